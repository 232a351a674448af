"""A real Locust worker on the open model: what it sends, when, and what it writes down."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.correlation import run_hash, seq_of
from harness.rundir.plan import Plan
from harness.rundir.planned.load import Schedule, Stage
from harness.rundir.planned.service import PlannedGateway
from harness.rundir.rows import Outcome
from scenarios.load import PlannedArrivals, request_index
from tests.drive.drive_world import Answer, Asked, StubServer, Worker, a_plan, constant, fake, get, run

pytestmark = pytest.mark.stack

MS = 1_000_000


def planned_ns(plan: Plan) -> list[int]:
    return list(PlannedArrivals.of(plan.load, plan.seed).at_ns)


def outcomes(rows: Any) -> Counter[Outcome]:
    return Counter(Outcome(value) for value in rows["outcome"])


def latency_ms(rows: Any) -> list[float]:
    return [float(value) / MS for value in rows["done_ns"] - rows["intended_ns"]]


def test_every_arrival_is_sent_at_its_time_and_marked(tmp_path: Path) -> None:
    stage = Stage(start_per_s=20, end_per_s=60, duration_ms=1500)
    with StubServer() as stub:
        plan = a_plan(stub.url, schedule=Schedule(start_ms=-500, stages=(stage,)), warmup_ms=500.0, duration_ms=1000.0)
        rows, worker = run(plan, tmp_path)
    planned = planned_ns(plan)
    by_seq = {int(row["seq"]): row for row in rows}
    assert sorted(by_seq) == list(range(len(planned)))
    assert [int(by_seq[seq]["intended_ns"]) for seq in range(len(planned))] == [worker.t0_ns + at for at in planned]
    assert outcomes(rows) == {Outcome.OK: len(planned)}
    lag_ms = sorted((rows["sent_ns"] - rows["intended_ns"]) / MS)
    assert lag_ms[0] >= 0
    assert lag_ms[len(lag_ms) // 2] < 25, "the half of them at least"
    assert {asked.seq for asked in stub.asked} == set(range(len(planned)))
    run_half = run_hash(plan.run_id)
    assert all(seq_of(run_half, asked.headers["traceparent"]) == asked.seq for asked in stub.asked)


def test_latency_counts_from_the_intended_time_through_a_stall(tmp_path: Path) -> None:
    """One that waits for answers would see a single slow request; here all that were due are slow."""

    def script(asked: Asked) -> Answer:
        stall_left_s = (stub.asked[0].at_ns + 1000 * MS - asked.at_ns) / 1e9
        return Answer(hold_s=max(0.0, stall_left_s))

    with StubServer(script) as stub:
        plan = a_plan(stub.url, rate_per_s=20, duration_ms=2000.0)
        rows, worker = run(plan, tmp_path)
    truth_ms = [(stub.replied_ns[seq] - worker.t0_ns - at) / MS for seq, at in enumerate(planned_ns(plan))]
    seen_ms = dict(zip(map(int, rows["seq"]), latency_ms(rows), strict=True))
    wrong_ms = sorted(abs(seen_ms[seq] - true) for seq, true in enumerate(truth_ms))
    assert wrong_ms[-1] < 500 and wrong_ms[len(wrong_ms) // 2] < 100, "either side may have waited for a core"
    assert sum(value > 100 for value in seen_ms.values()) >= 17


def test_two_workers_share_the_arrivals(tmp_path: Path) -> None:
    with StubServer() as stub:
        plan = a_plan(stub.url, workers=2, duration_ms=500.0)
        with Worker(plan, tmp_path, 0) as first, Worker(plan, tmp_path, 1) as second:
            first.await_ready()
            second.await_ready()
            first.start()
            assert (first.finish(), second.finish()) == (0, 0)
    assert sorted(map(int, first.rows()["seq"])) == list(range(0, 10, 2))
    assert sorted(map(int, second.rows()["seq"])) == list(range(1, 10, 2))


def test_an_arrival_that_finds_no_slot_is_dropped_at_once(tmp_path: Path) -> None:
    with StubServer(lambda asked: Answer(hold_s=1.5)) as stub:
        plan = a_plan(stub.url, max_in_flight=3, duration_ms=250.0, client_cap_ms=20_000.0, drain_ms=20_000.0)
        rows, _ = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 3, Outcome.DROPPED: 2}
    dropped = rows[rows["outcome"] == Outcome.DROPPED]
    assert (dropped["sent_ns"] == dropped["done_ns"]).all()
    assert len(stub.asked) == 3


def test_what_is_open_at_the_end_of_the_drain_is_unfinished(tmp_path: Path) -> None:
    with StubServer(lambda asked: Answer(hold_s=30.0 if asked.seq == 2 else 0.0)) as stub:
        plan = a_plan(stub.url, duration_ms=400.0, drain_ms=1_000.0, client_cap_ms=60_000.0)
        rows, worker = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 7, Outcome.UNFINISHED: 1}
    (lost,) = rows[rows["outcome"] == Outcome.UNFINISHED]
    assert int(lost["seq"]) == 2
    assert 1_400 <= (int(lost["done_ns"]) - worker.t0_ns) / MS < 15_000


def test_the_drain_ends_when_nothing_is_open(tmp_path: Path) -> None:
    with StubServer() as stub, Worker(a_plan(stub.url, duration_ms=200.0, drain_ms=60_000.0), tmp_path) as worker:
        worker.await_ready()
        worker.start()
        assert worker.finish() == 0


@pytest.mark.parametrize("kind", ["none", "client"])
def test_the_deadline_is_total_even_while_bytes_trickle_in(tmp_path: Path, kind: str) -> None:
    """Each read is within the deadline; only the sum is too long."""
    with StubServer(lambda asked: Answer(body=b"x" * 100, hold_s=0.9, drip_s=0.9)) as stub:
        gateway = PlannedGateway.model_validate({"kind": kind, "timeout_ms": 1000.0, "target": stub.url})
        cap_ms = 5000.0 if kind == "client" else 1000.0
        rows, _ = run(a_plan(stub.url, gateway=gateway, client_cap_ms=cap_ms, duration_ms=300.0), tmp_path)
    expected = Outcome.GATEWAY_TIMEOUT if kind == "client" else Outcome.CLIENT_TIMEOUT
    assert outcomes(rows) == {expected: 6}
    assert all(value >= 999 for value in latency_ms(rows))


def test_the_first_byte_of_a_body_has_its_time(tmp_path: Path) -> None:
    """Of a body that trickles in, of one that comes with its headers, and of none: the end of the headers."""
    answers = {
        0: Answer(body=b"x" * 100, hold_s=0.1, drip_s=1.0),
        1: Answer(body=b"x" * 100, hold_s=0.1),
        2: Answer(body=b"", hold_s=0.1),
        3: Answer(body=b"x" * 100, hold_s=0.1, drip_s=30.0),
        4: Answer(close=True),
    }
    with StubServer(lambda asked: answers[asked.seq or 0]) as stub:
        plan = a_plan(stub.url, rate_per_s=10, duration_ms=500.0, client_cap_ms=2000.0)
        rows, _ = run(plan, tmp_path)
    rows = rows[rows["seq"].argsort()]
    first_ms = (rows["first_ns"] - rows["sent_ns"]) / MS
    rest_ms = (rows["done_ns"] - rows["first_ns"]) / MS
    assert all(100 <= first_ms[seq] < 1_000 for seq in range(4)), first_ms
    assert rest_ms[0] >= 950, "the other half came later"
    assert all(0 <= rest_ms[seq] < 900 for seq in (1, 2))
    assert Outcome(rows["outcome"][3]) is Outcome.CLIENT_TIMEOUT, "and its first byte is known all the same"
    assert rows["first_ns"][4] == 0


def test_a_worker_stops_at_the_moment_it_is_told(tmp_path: Path) -> None:
    with StubServer() as stub:
        plan = a_plan(stub.url, rate_per_s=50, duration_ms=30_000.0)
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            stop_at_ns = worker.t0_ns + 700 * MS
            worker.tell("stop.json", {"at_ns": stop_at_ns})
            assert worker.finish() == 0
    rows = worker.rows()
    expected = [seq for seq, at in enumerate(planned_ns(plan)) if at < 700 * MS]
    assert sorted(map(int, rows["seq"])) == expected


def test_each_way_to_fail_has_its_outcome(tmp_path: Path) -> None:
    answers = {
        "/ok": Answer(),
        "/503": Answer(status=503),
        "/504": Answer(status=504),
        "/expected-404": Answer(status=404),
        "/unexpected-200": Answer(),
        "/with-warning": Answer(body=b"a warning"),
        "/without-word": Answer(body=b"nothing"),
        "/closed": Answer(close=True),
        "/moved": Answer(status=302, headers={"location": "/ok"}),
        "/cut": Answer(body=b"x" * 500, cut=True),
        "/garbage": Answer(body=b"not gzip", headers={"content-encoding": "gzip"}),
    }
    expected = {
        "/ok": Outcome.OK,
        "/503": Outcome.HTTP_ERROR,
        "/504": Outcome.GATEWAY_TIMEOUT,
        "/expected-404": Outcome.OK,
        "/unexpected-200": Outcome.BAD_ANSWER,
        "/without-word": Outcome.BAD_ANSWER,
        "/with-warning": Outcome.BAD_ANSWER,
        "/closed": Outcome.CONNECTION_ERROR,
        "/cut": Outcome.CONNECTION_ERROR,
        "/moved": Outcome.OK,
        "/garbage": Outcome.BAD_ANSWER,
    }
    checks: dict[str, dict[str, Any]] = {
        "/expected-404": {"expect_status": ((404, 404),)},
        "/unexpected-200": {"expect_status": ((201, 201),)},
        "/without-word": {"expect_contains": "word"},
        "/with-warning": {"expect_lacks": "warning"},
    }
    requests = tuple(get(path, **checks.get(path, {})) for path in expected)
    with StubServer(lambda asked: answers[asked.path]) as stub:
        plan = a_plan(stub.url, rate_per_s=100, requests=requests)
        rows, _ = run(plan, tmp_path)
    found: dict[str, set[Outcome]] = {}
    for row in rows:
        found.setdefault(requests[row["request"]].path, set()).add(Outcome(row["outcome"]))
    assert found == {path: {outcome} for path, outcome in expected.items()}
    drawn = [request_index(plan.seed, seq, [1] * len(requests)) for seq in range(100)]
    assert {int(row["seq"]): int(row["request"]) for row in rows} == dict(enumerate(drawn))
    closed = [asked for asked in stub.asked if asked.path == "/closed"]
    assert len(closed) <= 2 * len({asked.seq for asked in closed}), "a request is resent once at most"


def test_streams_are_sent_as_planned_each_with_its_own_rows_of_data(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("word\n" + "".join(f"w{number}\n" for number in range(1000)))
    requests = (
        get("/shared?{word}", name="shared"),
        get("/own?{word}", name="own", schedule=constant(30, 600.0)),
        get("/burst?{word}", name="burst", schedule=constant(50, 200.0)),
    )
    with StubServer() as stub:
        plan = a_plan(stub.url, rate_per_s=10, duration_ms=1000.0, requests=requests, data=str(data))
        rows, _ = run(plan, tmp_path)
        asked = {one.seq: one.path for one in stub.asked}
    planned = PlannedArrivals.of(plan.load, plan.seed)
    assert [int(row["seq"]) for row in sorted(rows, key=lambda row: int(row["seq"]))] == list(range(10 + 18 + 10))
    for row in rows:
        seq = int(row["seq"])
        assert int(row["request"]) == planned.request_of(seq)
        assert asked[seq] == requests[planned.request_of(seq)].path.replace("{word}", f"w{planned.turn_of(seq)}")
    at = planned_ns(plan)
    assert {int(row["seq"]): int(row["intended_ns"]) for row in rows} == {
        seq: int(rows["intended_ns"].min()) + at[seq] - at[0] for seq in range(len(at))
    }


def test_nobody_listening_is_a_connection_error(tmp_path: Path) -> None:
    with StubServer() as stub:
        url = stub.url
    rows, _ = run(a_plan(url, duration_ms=200.0), tmp_path)
    assert outcomes(rows) == {Outcome.CONNECTION_ERROR: 4}
    assert set(rows["status"]) == {0}


def test_answered_holds_the_fakes_whose_rows_came_through(tmp_path: Path) -> None:
    body = b'{"offers": [{"name": "a-0001-tg-azure."}, {"name": "b-0001-tg-gcp."}]}' + b" " * 100_000
    with StubServer(lambda asked: Answer(body=body)) as stub:
        upstreams = (fake("azure", 0), fake("aws", 1), fake("gcp", 2))
        rows, _ = run(a_plan(stub.url, upstreams=upstreams, complete="auto", duration_ms=200.0), tmp_path)
    assert set(rows["answered"]) == {0b101}
    assert set(rows["bytes"]) == {len(body)}


def test_data_fills_path_headers_and_body_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_TEST_TOKEN", "secret")
    data = tmp_path / "gpus.csv"
    data.write_text("gpu,region\nA100,eu\nH100,us\nL4,asia\n")
    request = get(
        "/offers?gpu={gpu}",
        method="POST",
        headers={"x-region": "{region}", "authorization": "Bearer ${LOAD_TEST_TOKEN}"},
        body='{"where": {"region": "{region}"}}',
    )
    with StubServer() as stub:
        run(a_plan(stub.url, requests=(request,), data=str(data), duration_ms=300.0), tmp_path)
    gpus, regions = ("A100", "H100", "L4"), ("eu", "us", "asia")
    assert len(stub.asked) == 6
    for asked in stub.asked:
        assert asked.seq is not None
        row = asked.seq % 3
        assert asked.path == f"/offers?gpu={gpus[row]}"
        assert asked.headers["x-region"] == regions[row]
        assert asked.headers["authorization"] == "Bearer secret"
        assert asked.body == f'{{"where": {{"region": "{regions[row]}"}}}}'.encode()


def test_a_long_pause_between_arrivals_is_kept(tmp_path: Path) -> None:
    """The dispatcher sleeps in pieces; none of them may send early."""
    with StubServer() as stub:
        rows, _ = run(a_plan(stub.url, schedule=constant(1.25, 2000), duration_ms=2000.0), tmp_path)
    assert len(rows) == 3
    lag_ms = (rows["sent_ns"] - rows["intended_ns"]) / MS
    assert 0 <= lag_ms.min() < 100 and lag_ms.max() < 400, "half of a pause would be 400 ms"
