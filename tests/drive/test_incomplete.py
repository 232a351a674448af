"""Which answers a worker keeps, and that keeping them costs nobody anything."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.incomplete import BYTES_MOST, IncompleteAnswer, index_name, read_incomplete
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow, PlannedFault, Proof
from harness.rundir.rows import Outcome
from harness.text import is_sanitized
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.arrival import Arrival, Exchange, RequestEnd
from scenarios.drive.command import WorkerId
from scenarios.drive.incomplete import IncompleteAnswers
from tests.drive.drive_world import Answer, StubServer, Worker, a_plan, fake, get, run

AZURE, AWS, GCP = 1, 2, 4
NAMES = ("azure", "aws", "gcp")
T0_NS = 1_000 * NS_PER_S
UPSTREAMS = tuple(fake(name, index) for index, name in enumerate(NAMES))


def row(*names: str) -> bytes:
    return json.dumps({"offers": [{"instance_name": f"gpu-1x-t4-0001-tg-{name}."} for name in names]}).encode()


def planned(*windows_ms: tuple[str, float, float], **load: Any) -> Plan:
    """One fault for each (upstream, from, to)."""
    requests = load.pop("requests", (get(asks=NAMES),))
    plan = a_plan("http://127.0.0.1:1", upstreams=UPSTREAMS, requests=requests, **{"complete": "auto", **load})
    faults = tuple(
        PlannedFault(
            name=f"f{number}",
            kind="hang",
            text="hang",
            upstreams=(upstream,),
            windows=(FaultWindow(apply_ms=begin_ms, remove_ms=end_ms),),
            held_ms=0.0,
            proof=Proof(kind="failed"),
        )
        for number, (upstream, begin_ms, end_ms) in enumerate(windows_ms)
    )
    return plan.model_copy(update={"faults": faults})


class World:
    """`see` is one ok answer, sent at so many ms from t = 0 and there 100 ms later."""

    def __init__(self, folder: Path, plan: Plan, worker: int = 0, secrets: Sequence[str] = ()) -> None:
        self.folder, self.plan, self.worker = folder, plan, worker
        self.places = IncompleteAnswers(plan, WorkerId(folder, worker), secrets)
        self.places.start(T0_NS)
        self.seq = worker

    def see(self, lacks: int, at_ms: float = 0.0, body: bytes = b"{}", took_ms: float = 100.0) -> int:
        since_ns = T0_NS + round(at_ms * NS_PER_MS)
        exchange = Exchange(Arrival(self.seq, since_ns), 0, since_ns, since_ns)
        exchange.done_ns = since_ns + round(took_ms * NS_PER_MS)
        self.places.see(exchange, RequestEnd(Outcome.OK, 200, 0, len(body)), lacks, body)
        self.seq += self.plan.load.workers
        return exchange.arrival.seq

    def kept(self) -> tuple[IncompleteAnswer, ...]:
        return read_incomplete(self.folder, self.plan.load.workers)

    def files(self) -> set[str]:
        return {path.name for path in (self.folder / "answers").glob("*")}


def test_the_first_five_are_kept_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, planned())
    for number in range(20):
        world.see(GCP, at_ms=number * 10.0, body=f"answer {number}".encode())
    assert [answer.seq for answer in world.kept()] == [0, 1, 2, 3, 4]
    assert world.files() == {f"{seq}.txt" for seq in range(5)}
    first = world.kept()[0]
    assert first.missing == ("gcp",)
    assert (first.request, first.status, first.bytes, first.cut) == ("GET /", 200, 8, False)
    assert first.file is not None
    assert (tmp_path / first.file).read_text() == "answer 0"


def test_who_is_missing_in_another_way_takes_the_place_of_the_last_that_is_like_another(tmp_path: Path) -> None:
    world = World(tmp_path, planned())
    for _ in range(7):
        world.see(GCP)
    late = [world.see(AWS), world.see(AWS | GCP), world.see(AZURE)]
    assert [answer.seq for answer in world.kept()] == [0, 1, *late]
    last = world.see(AZURE | AWS)
    kept = world.kept()
    assert [answer.missing for answer in kept] == [("gcp",), ("aws",), ("aws", "gcp"), ("azure",), ("azure", "aws")]
    assert world.files() == {f"{answer.seq}.txt" for answer in kept}
    world.see(AZURE | AWS | GCP)
    assert world.kept()[-1].seq == last, "five that differ are kept for good"


def test_answers_that_lack_only_whom_the_plan_breaks_take_no_place(tmp_path: Path) -> None:
    world = World(tmp_path, planned(("azure", 10_000, 20_000), ("aws", 15_000, 30_000)))
    for at_ms in range(9_500, 20_500, 100):
        world.see(AZURE, float(at_ms))
    world.see(AZURE | AWS, 16_000)
    world.see(AZURE, 5_000, took_ms=6_000)  # it was caught by the fault
    assert world.kept() == ()
    both = world.see(AZURE | GCP, 12_000)
    aws_early = world.see(AZURE | AWS, 12_000)
    after = world.see(AZURE, 25_000)
    assert {answer.seq: answer.missing for answer in world.kept()} == {
        both: ("gcp",),
        aws_early: ("aws",),
        after: ("azure",),
    }


def test_the_warm_up_and_the_time_before_t0_is_known_are_not_looked_at(tmp_path: Path) -> None:
    world = World(tmp_path, planned(warmup_ms=1000.0))
    world.see(GCP, at_ms=-500)
    world.places = IncompleteAnswers(world.plan, WorkerId(tmp_path, 0))
    world.see(GCP)
    assert world.kept() == ()
    assert not list(tmp_path.iterdir())


def test_several_workers_share_the_five_places(tmp_path: Path) -> None:
    plan = planned(workers=3)
    for index in range(3):
        world = World(tmp_path, plan, index)
        for number in range(9):
            world.see(GCP, at_ms=number * 10.0)
    assert sorted(answer.seq for answer in world.kept()) == [0, 1, 2, 3, 4]
    many = planned(workers=8)
    idle = World(tmp_path, many, 7)
    idle.see(GCP)
    assert not (tmp_path / index_name(7)).exists()


def test_where_answers_are_not_looked_into_nobody_is_asked_for(tmp_path: Path) -> None:
    assert IncompleteAnswers(planned(complete="none"), WorkerId(tmp_path, 0)).asked_by(0, "") == 0
    some = planned(requests=(get(asks=("gcp",)), get("/all", asks=NAMES)))
    places = IncompleteAnswers(some, WorkerId(tmp_path, 0))
    assert [places.asked_by(number, "") for number in (0, 1)] == [GCP, AZURE | AWS | GCP]


def test_a_body_is_cut_redacted_and_made_harmless(tmp_path: Path) -> None:
    world = World(tmp_path, planned(), secrets=("hunter2-hunter2",))
    halved = b"x" * (BYTES_MOST - 5) + b"hunter2-hunter2" + b"y" * 10_000_000
    world.see(GCP, body=b'{"token": "hunter2-hunter2", "ok": true}')
    world.see(GCP, body=halved)
    world.see(GCP, body=b"\x1b]0;pwned\x07\x00\r\n" + bytes(range(256)) * 400)
    world.see(GCP, body="\u202e…".encode() * 40_000)
    world.see(GCP, body=b"")
    token, cut, binary, marks, empty = world.kept()
    texts = [(tmp_path / str(answer.file)).read_bytes() for answer in world.kept()]
    assert texts[0] == b'{"token": "***************", "ok": true}'
    assert texts[1] == b"x" * (BYTES_MOST - 5) + b"*****"
    assert (cut.bytes, cut.cut, token.cut, empty.cut, empty.bytes) == (len(halved), True, False, False, 0)
    assert texts[2].startswith(b"\\x1b]0;pwned\\x07\\x00\\x0d\n")
    assert binary.cut and marks.cut
    assert all(len(text) <= BYTES_MOST for text in texts)
    assert all(is_sanitized(text.decode("utf-8", "ignore")) for text in texts)


def test_a_disk_that_takes_none_is_said_in_the_index(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("in the way")
    world = World(tmp_path, planned())
    world.see(GCP)
    [answer] = world.kept()
    assert (answer.file, answer.trouble) == (None, os.strerror(errno.EEXIST))


def test_an_index_that_cannot_be_written_ends_the_keeping(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / f".{index_name(0)}").mkdir()
    world = World(tmp_path, planned())
    for _ in range(3):
        world.see(GCP)
    assert world.kept() == ()
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "incomplete-0.ndjson cannot be written, so incomplete answers are no longer kept"
    ]


def test_an_index_of_others_gives_no_path_and_no_end(tmp_path: Path) -> None:
    world = World(tmp_path, planned())
    world.see(GCP)
    index = tmp_path / index_name(0)
    good = index.read_text()
    paths = ("/etc/passwd", "answers/../plan.json", "answers/1.txt\n", "answers/1.html", "answers//1.txt")
    bad = [good.replace("answers/0.txt", json.dumps(path)[1:-1]) for path in paths]
    index.write_text("".join([*bad, "[" * 100_000, "\n", "{}\n", "\x00\n", good]), encoding="utf-8")
    assert [answer.file for answer in world.kept()] == ["answers/0.txt"]
    index.write_text(good * 1_000)
    assert len(world.kept()) == 5


def test_looking_at_one_more_costs_next_to_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, planned(*(("azure", at, at + 1_000) for at in range(0, 20_000, 2_000))))
    for _ in range(5):
        world.see(GCP, 50_000)
    began = time.process_time()
    for _ in range(10_000):
        world.see(GCP, 50_000)
    assert time.process_time() - began < 2


# ---------------------------------------------------------------- real workers


@pytest.mark.stack
@pytest.mark.parametrize("model", ["open", "closed"])
def test_a_worker_keeps_what_lacks_gcp(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret-of-the-run")

    def script(asked: Any) -> Answer:
        lost = asked.seq is not None and asked.seq % 3 == 0
        return Answer(body=row("azure", "aws", *([] if lost else ["gcp"])) + b" s3cret-of-the-run")

    with StubServer(script) as stub:
        requests = (get("/offers", asks=NAMES, headers={"authorization": "${API_TOKEN}"}),)
        shape: dict[str, Any] = {"schedule": None, "users": 2} if model == "closed" else {}
        plan = a_plan(
            stub.url, upstreams=UPSTREAMS, requests=requests, complete="auto", model=model, duration_ms=1500, **shape
        )
        rows, _ = run(plan, tmp_path)
    kept = read_incomplete(tmp_path, 1)
    lost = sorted(int(seq) for seq in rows["seq"][(rows["answered"] & GCP == 0) & (rows["outcome"] == Outcome.OK)])
    assert len(kept) == 5
    assert {answer.seq for answer in kept} <= set(lost)
    if model == "open":
        assert [answer.seq for answer in kept] == lost[:5]
    for answer in kept:
        assert answer.missing == ("gcp",)
        text = (tmp_path / str(answer.file)).read_text()
        assert "-tg-azure." in text and "-tg-gcp." not in text
        assert "s3cret" not in text and "*" * len("s3cret-of-the-run") in text


@pytest.mark.stack
def test_a_worker_that_cannot_keep_them_ends_well(tmp_path: Path) -> None:
    with StubServer(lambda _: Answer(body=row("azure"))) as stub:
        plan = a_plan(stub.url, upstreams=UPSTREAMS, requests=(get("/o", asks=NAMES),), complete="auto")
        (tmp_path / "answers").write_text("in the way")
        (tmp_path / f".{index_name(0)}").mkdir()
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            assert worker.finish() == 0, worker.stderr
    assert len(worker.rows()) == 20
    assert set(worker.rows()["outcome"]) == {Outcome.OK}
    assert "incomplete answers are no longer kept" in worker.stderr


@pytest.mark.stack
def test_nothing_is_written_where_answers_are_not_looked_into(tmp_path: Path) -> None:
    with StubServer(lambda _: Answer(body=b"nobody")) as stub:
        plan = a_plan(stub.url, upstreams=UPSTREAMS, requests=(get("/o", asks=NAMES),), complete="none")
        run(plan, tmp_path)
    assert not (tmp_path / "answers").exists()
    assert not (tmp_path / index_name(0)).exists()
