"""`users: N`: Locust's own loop, recorded."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, StubServer, Worker, a_plan, get

pytestmark = pytest.mark.stack

MS = 1_000_000


def closed(url: str, **load: Any) -> Plan:
    return a_plan(url, model="closed", schedule=None, warmup_ms=300.0, duration_ms=700.0, **load)


def test_users_take_turns_with_the_service_and_every_request_is_a_row(tmp_path: Path) -> None:
    with StubServer(lambda asked: Answer(hold_s=0.1)) as stub:
        plan = closed(stub.url, users=3, workers=2, requests=(get("/a"), get("/b")))
        with Worker(plan, tmp_path, 0) as first, Worker(plan, tmp_path, 1) as second:
            first.await_ready()
            second.await_ready()
            first.start()
            assert (first.finish(), second.finish()) == (0, 0), first.stderr + second.stderr
    assert {*first.rows()["request"], *second.rows()["request"]} == {0, 1}
    t0_ns = first.t0_ns
    for index, (worker, users) in enumerate(((first, 2), (second, 1))):
        rows = worker.rows()
        assert sorted(map(int, rows["seq"])) == [index + 2 * turn for turn in range(len(rows))]
        assert (rows["intended_ns"] == rows["sent_ns"]).all()
        assert set(rows["outcome"]) == {Outcome.OK}
        assert users * 2 <= len(rows) <= users * 10, "each waits for its answer, 100 ms or more on a busy machine"
        assert min(rows["intended_ns"]) >= t0_ns - 300 * MS
        assert max(rows["intended_ns"]) < t0_ns + 1_700 * MS


def test_a_locustfile_keeps_its_own_waits_and_its_tasks_have_parts(tmp_path: Path) -> None:
    file = tmp_path / "users.py"
    file.write_text(
        textwrap.dedent(
            """
            from locust import FastHttpUser, TaskSet, constant, task

            class worker(FastHttpUser):  # also a name in our own locustfile
                wait_time = constant(0.3)

                def on_start(self):
                    self.client.get("/login")

                @task
                def two(self):
                    self.client.get("/one")
                    self.client.get("/two")

            class Nested(FastHttpUser):
                wait_time = constant(0.3)

                @task
                class Inner(TaskSet):
                    @task
                    def one(self):
                        self.client.get("/inner")
            """
        )
    )
    with StubServer() as stub:
        plan = closed(stub.url, users=2, locustfile=str(file))
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            assert worker.finish() == 0, worker.stderr
    rows = worker.rows()
    paths = [asked.path for asked in stub.asked]
    assert paths.count("/login") == 1
    assert 1 <= paths.count("/inner") <= 5
    assert 1 <= paths.count("/two") <= 5
    assert set(rows["part"]) == {0, 1}
    for part, asked in ((0, paths.count("/one") + paths.count("/inner")), (1, paths.count("/two"))):
        mine = rows[rows["part"] == part]
        # each of the two users may have been cut off at the end, before the server saw the request
        assert (mine["outcome"] == Outcome.OK).sum() <= asked <= len(mine) <= asked + 2


def test_sigterm_does_not_wait_for_what_is_in_flight(tmp_path: Path) -> None:
    with StubServer(lambda asked: Answer(hold_s=30.0)) as stub:
        plan = closed(stub.url, users=2, drain_ms=30_000.0, client_cap_ms=60_000.0)
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            worker.wait_for(lambda: len(stub.asked) == 2, "to send two requests")
            worker.process.terminate()
            began = time.monotonic()
            assert worker.finish() == 0, worker.stderr
            assert time.monotonic() - began < 20, "the answers of 30 s were not waited for"
    assert [Outcome(value) for value in worker.rows()["outcome"]] == [Outcome.UNFINISHED] * 2


def test_a_worker_without_users_ends_with_the_others(tmp_path: Path) -> None:
    plan = closed("http://127.0.0.1:9", users=1, workers=2)
    with Worker(plan, tmp_path, 1) as worker:
        worker.await_ready()
        worker.start()
        assert worker.finish() == 0, worker.stderr
    assert len(worker.rows()) == 0


def test_a_request_that_outlives_the_drain_is_unfinished(tmp_path: Path) -> None:
    with StubServer(lambda asked: Answer(hold_s=10.0)) as stub:
        plan = closed(stub.url, users=2, drain_ms=300.0, client_cap_ms=60_000.0)
        with Worker(plan, tmp_path) as worker:
            worker.await_ready()
            worker.start()
            assert worker.finish() == 0, worker.stderr
    assert [Outcome(value) for value in worker.rows()["outcome"]] == [Outcome.UNFINISHED] * 2
