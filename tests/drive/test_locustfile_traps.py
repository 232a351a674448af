"""What locustfiles do that a load generator must not take for the service's doing: a real worker for each."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.rundir.locustfile.notes import LocustfileNote, read_locustfile_notes
from harness.rundir.locustfile.request_names import read_names
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, StubServer, Worker, a_plan, get, run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

MS = 1_000_000
HEAD = """
import itertools, os, queue, sys, time
import gevent
from locust import FastHttpUser, HttpUser, LoadTestShape, TaskSet, User, constant, events, tag, task
from locust.exception import InterruptTaskSet, RescheduleTask, StopTest, StopUser
"""


def write(directory: Path, text: str) -> str:
    folder = directory / "theirs"
    folder.mkdir(exist_ok=True)
    (folder / "users.py").write_text(HEAD + textwrap.dedent(text))
    return str(folder / "users.py")


def planned(directory: Path, url: str, text: str, **load: Any) -> Plan:
    return a_plan(url, locustfile=write(directory, text), **load)


def closed(directory: Path, url: str, text: str, **load: Any) -> Plan:
    return planned(
        directory, url, text, **{"model": "closed", "schedule": None, "users": 1, "duration_ms": 500.0, **load}
    )


def refused(plan: Plan, run_dir: Path) -> tuple[LocustfileNote, Worker]:
    """The note for which the worker ended."""
    with Worker(plan, run_dir) as worker:
        try:
            worker.await_ready()
            worker.start()
        except AssertionError:  # it ended before
            worker.stderr = ""
        else:
            assert worker.finish() == 4, worker.stderr
    (note,) = [note for note in read_locustfile_notes(run_dir, 0) if note.is_fatal]
    return note, worker


def line_of(run_dir: Path, text: str) -> str:
    lines = (run_dir / "theirs" / "users.py").read_text().splitlines()
    return f"users.py:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def outcomes(rows: Any) -> Counter[Outcome]:
    return Counter(map(Outcome, rows["outcome"]))


def notes(run_dir: Path) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in read_locustfile_notes(run_dir, 0)]


def test_a_task_that_sends_nothing_is_no_error_and_no_lag(tmp_path: Path) -> None:
    """Feature flags, weights, RescheduleTask and InterruptTaskSet: some turns end without a request."""
    text = """
    class Visitor(FastHttpUser):
        turn = itertools.count()

        @task
        def sometimes(self):
            turn = next(self.turn)
            if turn % 4 == 1:
                time.sleep(0.05)
                return
            if turn % 4 == 2:
                raise RescheduleTask()
            if turn % 4 == 3:
                raise StopUser()
            self.client.get("/")
    """
    with StubServer() as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, max_in_flight=6, rate_per_s=16), tmp_path)
    assert set(outcomes(rows)) == {Outcome.OK, Outcome.NO_REQUEST}
    silent = rows[rows["outcome"] == Outcome.NO_REQUEST]
    assert len(silent) >= 8
    assert (silent["sent_ns"] == silent["intended_ns"]).all()
    assert set(silent["request"]) == {0}
    assert len(stub.asked) == len(rows) - len(silent)


NIGHTLY = pytest.mark.nightly
"""Variants of a test, of which the others stand for it by day."""


@pytest.mark.parametrize(
    ("base", "model"),
    [
        ("FastHttpUser", planned),
        ("HttpUser", closed),
        pytest.param("FastHttpUser", closed, marks=NIGHTLY),
        pytest.param("HttpUser", planned, marks=NIGHTLY),
    ],
)
def test_catch_response_without_with_names_its_line(tmp_path: Path, base: str, model: Any) -> None:
    text = f"""
    class Visitor({base}):
        @task
        def checks(self):
            answer = self.client.get("/", catch_response=True)
            if answer.status_code != 200:
                raise ValueError("no")
    """
    with StubServer() as stub:
        note, _ = refused(model(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("without_with", line_of(tmp_path, "catch_response=True"))


def test_an_answer_that_is_judged_outside_of_with_names_its_line(tmp_path: Path) -> None:
    """Locust raises in `success()`; the task may even catch that."""
    text = """
    class Visitor(FastHttpUser):
        @task
        def checks(self):
            self.client.get("/", catch_response=True).success()
    """
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("without_with", line_of(tmp_path, "catch_response=True"))


def test_answers_within_with_blocks_may_be_nested(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        @task
        def nested(self):
            with self.client.get("/a", catch_response=True) as first:
                with self.client.get("/b", catch_response=True) as second:
                    second.success()
                first.success()
    """
    with StubServer() as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, duration_ms=300.0), tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}


def test_a_task_that_raises_before_it_sent_anything_is_counted(tmp_path: Path) -> None:
    text = """
    ROWS = []

    class Visitor(FastHttpUser):
        turn = itertools.count()

        @task
        def buys(self):
            if next(self.turn) % 2:
                self.client.get("/")
            else:
                self.client.get(ROWS[0])
    """
    with StubServer() as stub:
        note, worker = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.text) == ("raised", "IndexError: list index out of range")
    assert note.where == line_of(tmp_path, "ROWS[0]")
    assert note.n >= 1 and note.of in (2 * note.n - 1, 2 * note.n), "it ends within two seconds of the first"
    assert "Traceback" in worker.stderr


def test_it_ends_soon_after_the_first_one(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        @task
        def buys(self):
            raise LookupError("no rows")
    """
    began = time.monotonic()
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text, duration_ms=60_000.0), tmp_path)
    assert note.n == note.of
    assert time.monotonic() - began < 45, "the load of a minute was not waited for"


def test_with_users_a_task_that_raises_is_the_same(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        wait_time = constant(0.05)

        @task
        def buys(self):
            self.client.get([][0])
    """
    with StubServer() as stub:
        note, _ = refused(closed(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("raised", line_of(tmp_path, "[][0]"))


def test_a_step_that_raises_because_the_step_before_failed_counts_against_the_service(tmp_path: Path) -> None:
    text = """
    from locust import SequentialTaskSet

    class Steps(SequentialTaskSet):
        @task
        def look(self):
            self.ids = self.client.get("/look").json() if self.user.turn < 0 else []
            self.client.get("/503")

        @task
        def buy(self):
            self.client.get(f"/{self.ids[0]}")

    class Visitor(FastHttpUser):
        turn = 0
        tasks = [Steps]
    """
    with StubServer(lambda asked: Answer(status=503)) as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, rate_per_s=10, max_users=1), tmp_path)
    assert outcomes(rows) == {Outcome.HTTP_ERROR: 5, Outcome.BAD_ANSWER: 5}


def test_exit_codes_of_listeners_are_not_used_and_said(tmp_path: Path) -> None:
    text = """
    @events.quitting.add_listener
    def fails(environment, **kw):
        environment.process_exit_code = 1

    @events.init.add_listener
    def adds(environment, **kw):
        environment.events.quitting.add_listener(lambda environment, **kw: fails(environment))

    class Visitor(FastHttpUser):
        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer() as stub:
        run(planned(tmp_path, stub.url, text, duration_ms=200.0), tmp_path)  # which exits with 0
    assert notes(tmp_path) == [("exit_code", "1")]


def test_the_test_cannot_be_stopped_by_the_locustfile_but_says_so(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        turn = itertools.count()

        @task
        def get(self):
            turn = next(self.turn)
            self.client.get("/")
            if turn == 2:
                self.environment.runner.quit()
            if turn == 4:
                raise StopTest("enough")
            if turn == 6:
                gevent.spawn(lambda: self.environment.runner.stop())

    class Shape(LoadTestShape):
        def tick(self):
            return None
    """
    with StubServer() as stub:
        rows, _ = run(planned(tmp_path, stub.url, text), tmp_path)
    assert outcomes(rows) == {Outcome.OK: 20}
    assert {note.kind for note in read_locustfile_notes(tmp_path, 0)} == {"ignored", "stopped"}
    where = [note.where for note in read_locustfile_notes(tmp_path, 0) if note.kind == "stopped"]
    assert where == [line_of(tmp_path, text) for text in ("runner.quit()", "raise StopTest", "runner.stop()")]


@pytest.mark.parametrize(
    ("call", "model"),
    [
        ("sys.exit(0)", planned),
        ("raise SystemExit", closed),
        pytest.param("exit(3)", planned, marks=NIGHTLY),
        pytest.param("sys.exit(0)", closed, marks=NIGHTLY),
    ],
)
def test_sys_exit_in_a_task_is_the_files_fault(tmp_path: Path, call: str, model: Any) -> None:
    text = f"""
    class Visitor(FastHttpUser):
        @task
        def leaves(self):
            self.client.get("/")
            {call}
    """
    with StubServer() as stub:
        note, _ = refused(model(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("exit", line_of(tmp_path, call))


@pytest.mark.nightly
def test_a_loop_that_never_yields_ends_the_worker(tmp_path: Path) -> None:
    """By day `test_stall_watch` stands for it."""
    text = """
    class Visitor(FastHttpUser):
        @task
        def spins(self):
            while True:
                pass  # for ever
    """
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text, duration_ms=60_000.0), tmp_path)
    assert note.kind == "stuck"
    assert note.where in (line_of(tmp_path, "while True"), line_of(tmp_path, "# for ever"))


@pytest.mark.parametrize(
    ("body", "slots", "said"),
    [
        ("time.sleep(0.1)", 8, "8 of 8 slots are taken by tasks that wait for no answer"),
        pytest.param('self.client.get("/")', 1, "it sent more than 1,000 requests for one arrival", marks=NIGHTLY),
    ],
)
def test_a_loop_without_end_is_not_the_services_fault(tmp_path: Path, body: str, slots: int, said: str) -> None:
    text = f"""
    class Visitor(FastHttpUser):
        @task
        def loops(self):
            while True:
                {body}
    """
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, duration_ms=30_000.0, max_in_flight=slots)
        note, _ = refused(plan, tmp_path)
    assert (note.kind, note.text, note.where) == ("endless", said, line_of(tmp_path, body))


def test_tasks_that_wait_for_answers_are_dropped_as_ever(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        @task
        def get(self):
            self.client.get("/")
    """
    patient = {"client_cap_ms": 20_000.0, "drain_ms": 20_000.0}
    with StubServer(lambda asked: Answer(hold_s=1.5)) as stub:
        plan = planned(tmp_path, stub.url, text, duration_ms=250.0, max_in_flight=3, **patient)
        rows, _ = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 3, Outcome.DROPPED: 2}


def test_think_time_is_latency_of_the_first_request_of_a_task_only_and_never_lag(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        wait_time = constant(0.4)

        @task
        def get(self):
            self.wait()
            self.client.get("/a")
            time.sleep(0.4)
            self.client.get("/b")
    """
    with StubServer() as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, duration_ms=300.0), tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}
    first, second = (rows[rows["part"] == part] for part in (0, 1))
    lag_ns = first["sent_ns"] - first["intended_ns"] - first["waited_us"].astype("i8") * 1000
    assert ((first["done_ns"] - first["intended_ns"]) >= 400 * MS).all()
    assert (first["waited_us"] >= 399_000).all()
    assert (lag_ns < first["sent_ns"] - first["intended_ns"]).all()
    assert (second["intended_ns"] == second["sent_ns"]).all()
    assert (second["sent_ns"] - first["done_ns"] >= 399 * MS).all()
    assert np.median(second["done_ns"] - second["intended_ns"]) < 300 * MS, "the user's own wait is no latency"


def test_no_more_users_than_max_users_and_arrivals_wait_for_one(tmp_path: Path) -> None:
    """Three accounts, one for each user."""
    text = """
    accounts = queue.SimpleQueue()
    for name in ("ann", "bob", "cem"):
        accounts.put(name)

    class Customer(FastHttpUser):
        def on_start(self):
            self.account = accounts.get_nowait()

        @task
        def get(self):
            self.client.get(f"/{self.account}", name="get")
    """
    with StubServer(lambda asked: Answer(hold_s=0.3)) as stub:
        plan = planned(tmp_path, stub.url, text, duration_ms=600.0, max_users=3, client_cap_ms=10_000.0)
        rows, _ = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}
    assert {asked.path for asked in stub.asked} == {"/ann", "/bob", "/cem"}
    rows = rows[rows["seq"].argsort()]
    assert rows["waited_us"][:3].max() < rows["waited_us"][3:].min()
    assert (rows["sent_ns"][3:] - rows["intended_ns"][3:] > 100 * MS).all()


@NIGHTLY
def test_a_user_that_stops_as_it_starts_sends_nothing(tmp_path: Path) -> None:
    """By day the task that raises StopUser stands for it."""
    text = """
    accounts = ["ann", "bob", "cem"]

    class Customer(FastHttpUser):
        def on_start(self):
            if not accounts:
                raise StopUser()
            self.account = accounts.pop()

        @task
        def get(self):
            self.client.get(f"/{self.account}")
    """
    with StubServer(lambda asked: Answer(hold_s=0.5)) as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, duration_ms=500.0), tmp_path)
    assert outcomes(rows) == {Outcome.OK: 3, Outcome.NO_REQUEST: 7}
    assert notes(tmp_path) == []


def test_without_max_users_the_fix_names_it(tmp_path: Path) -> None:
    text = """
    accounts = ["ann", "bob", "cem"]

    class Customer(FastHttpUser):
        def on_start(self):
            self.account = accounts.pop()

        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("raised", line_of(tmp_path, "accounts.pop()"))
    assert "load.max_users" in note.remedy


def test_an_on_start_that_misses_what_the_service_refused_says_so(tmp_path: Path) -> None:
    text = """
    class Customer(FastHttpUser):
        def on_start(self):
            self.token = self.client.post("/v1/login", name="login").json()["data"]

        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer(lambda asked: Answer(401, b'{"detail": "no such user"}')) as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("on_start", line_of(tmp_path, '["data"]'))
    assert note.text == 'KeyError: \'data\', after POST login was answered 401: {"detail": "no such user"}'
    assert ("in_on_start", "login") in notes(tmp_path)


def test_headers_of_the_scenario_are_under_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_TEST_TOKEN", "secret-of-the-test")
    text = """
    class Fast(FastHttpUser):
        def on_start(self):
            self.client.get("/login")

        @task
        def get(self):
            self.client.get("/fast", headers={"x-team": "theirs"})

    class Slow(HttpUser):
        def on_start(self):
            self.client.headers["X-Region"] = "theirs"

        @task
        def get(self):
            self.client.get("/slow")
    """
    headers = {"Authorization": "Bearer ${LOAD_TEST_TOKEN}", "X-Team": "ours", "x-region": "ours", "User-Agent": "us"}
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, requests=(get(name="locustfile", headers=headers),))
        run(plan, tmp_path)
    by_path = {asked.path: asked.headers for asked in stub.asked}
    assert {headers["authorization"] for headers in by_path.values()} == {"Bearer secret-of-the-test"}
    assert {path: headers["x-team"] for path, headers in by_path.items()} == {
        "/login": "ours",
        "/fast": "theirs",
        "/slow": "ours",
    }
    assert by_path["/slow"]["x-region"] == "theirs"
    assert by_path["/slow"]["user-agent"] == "us"


@pytest.mark.parametrize(
    "call",
    [
        'self.client.get("http://192.0.2.7/x")',
        pytest.param('__import__("requests").get("http://192.0.2.7/x", timeout=1)', marks=NIGHTLY),
        '__import__("socket").create_connection(("192.0.2.7", 80), 1)',
    ],
)
def test_a_host_outside_this_machine_is_never_asked(tmp_path: Path, call: str) -> None:
    text = f"""
    class Visitor(HttpUser):
        @task
        def get(self):
            self.client.get("/")
            {call}
    """
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.text, note.where) == ("host", "192.0.2.7", line_of(tmp_path, "192.0.2.7"))
    assert "--allow-target 192.0.2.7" in note.remedy


@pytest.mark.parametrize("base", ["FastHttpUser", pytest.param("HttpUser", marks=NIGHTLY)])
def test_another_server_is_asked_and_not_counted_as_the_service(tmp_path: Path, base: str) -> None:
    text = f"""
    class Visitor({base}):
        @task
        def get(self):
            self.client.get(os.environ["OTHER"] + "/token")
            self.client.get("/offers")
            self.client.get(self.host + "/absolute", name="absolute")
    """
    with StubServer() as stub, StubServer() as other, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER", other.url)
        headers = {"authorization": "for the service alone"}
        plan = planned(tmp_path, stub.url, text, requests=(get(name="locustfile", headers=headers),), duration_ms=300.0)
        rows, _ = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}
    assert read_names(tmp_path, 1) == (("/offers", "absolute"),)
    assert len(other.asked) == 6
    assert all("authorization" not in asked.headers and asked.seq is None for asked in other.asked)


def test_options_of_the_locustfile_and_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_TEST_KEY", "from-the-environment")
    text = """
    @events.init_command_line_parser.add_listener
    def add(parser):
        parser.add_argument("--region", default="none")
        parser.add_argument("--key", is_secret=True)
        parser.add_argument("--verbose-paths", action="store_true")

    class Visitor(FastHttpUser):
        @tag("wanted")
        @task
        def get(self):
            options = self.environment.parsed_options
            self.client.get(f"/{options.region}/{options.key}/{options.verbose_paths}")

        @tag("other")
        @task(9)
        def never(self):
            self.client.get("/never")
    """
    options = ("--region", "eu west", "--key", "${LOAD_TEST_KEY}", "--verbose-paths", "--tags", "wanted")
    with StubServer() as stub:
        run(planned(tmp_path, stub.url, text, locust_options=options, duration_ms=200.0), tmp_path)
        run_dir = tmp_path / "closed"
        run_dir.mkdir()
        run(closed(tmp_path, stub.url, text, locust_options=options), run_dir)
    assert {asked.path for asked in stub.asked} <= {
        "/eu west/from-the-environment/True",
        "/eu%20west/from-the-environment/True",
    }
    assert b"from-the-environment" not in (tmp_path / "plan.json").read_bytes()


def test_users_start_when_the_service_is_ready(tmp_path: Path) -> None:
    """The worker starts beside the service, and a login before that would be refused."""
    text = """
    class Visitor(FastHttpUser):
        def on_start(self):
            assert self.client.get("/login").status_code == 200

        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, duration_ms=200.0)
        with Worker(plan, tmp_path, service_ready=False) as worker:
            time.sleep(1.5)
            assert stub.asked == []
            assert not (tmp_path / "control" / "ready-0").exists()
            (tmp_path / "control").mkdir(exist_ok=True)
            worker.tell("service.json", {})
            worker.await_ready()
            assert {asked.path for asked in stub.asked} == {"/login"}
            worker.start()
            assert worker.finish() == 0, worker.stderr


@NIGHTLY
def test_names_with_ids_are_bounded_and_said(tmp_path: Path) -> None:
    """By day `test_request_names` stands for it."""
    text = """
    class Visitor(FastHttpUser):
        @task
        def get(self):
            for number in range(300):
                self.client.get(f"/item/{next(self.turn)}")
        turn = itertools.count()
    """
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, rate_per_s=5, duration_ms=1000.0, drain_ms=15_000.0)
        rows, _ = run(plan, tmp_path)
    assert len(rows) == 1500
    assert int(rows["request"].max()) == 1001
    assert notes(tmp_path) == [("many_names", "1000")]
