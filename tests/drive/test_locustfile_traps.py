"""What locustfiles do that a load generator must not take for the service's doing: a real worker for each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.locustfile.notes import read_locustfile_notes
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, StubServer, run
from tests.drive.user_files import NIGHTLY, closed, line_of, notes, outcomes, planned, refused

pytestmark = [pytest.mark.stack, pytest.mark.beside]


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
