"""A user's own locustfile, run by a real worker: nothing in it needs to know of tailgate."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.locustfile.notes import read_locustfile_notes
from harness.rundir.locustfile.request_names import read_names
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, Asked, StubServer, Worker, a_plan, run

pytestmark = pytest.mark.stack

MS = 1_000_000


def write(directory: Path, text: str) -> str:
    folder = directory / "theirs"
    folder.mkdir()
    path = folder / "locustfile.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def by_seq(rows: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in sorted(rows, key=lambda row: (int(row["seq"]), int(row["part"]))):
        found.setdefault(int(row["seq"]), []).append(row)
    return found


@pytest.mark.parametrize("base", ["FastHttpUser", "HttpUser"])
def test_a_plain_user_class_is_measured_from_its_intended_times(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its relative paths count from the folder where the run was started, and not from the run directory."""
    (tmp_path / "started-here").mkdir()
    (tmp_path / "started-here" / "skus.csv").write_text("1\n2\n")
    monkeypatch.chdir(tmp_path / "started-here")
    file = write(
        tmp_path,
        f"""
        import neighbour
        from locust import {base}, between, task

        SKUS = open("skus.csv").read().split()

        class Visitor({base}):
            wait_time = between(5, 9)

            def on_start(self):
                self.client.get("/login")

            @task
            def look_and_buy(self):
                self.client.get("/look", name="look", headers={{"x-mine": neighbour.MINE}})
                self.client.post("/buy", json={{"n": len(SKUS), "of": open("skus.csv").readline()}})
        """,
    )
    (tmp_path / "theirs" / "neighbour.py").write_text("MINE = 'yes'\n")
    with StubServer(lambda asked: Answer(hold_s=0.05 if asked.path != "/login" else 0.0)) as stub:
        plan = a_plan(stub.url, locustfile=file)
        rows, worker = run(plan, tmp_path)
    arrivals = by_seq(rows)
    assert sorted(arrivals) == list(range(20))
    for seq, (look, buy) in arrivals.items():
        assert int(look["intended_ns"]) == worker.t0_ns + seq * 50 * MS
        assert int(buy["intended_ns"]) == int(buy["sent_ns"]) >= int(look["done_ns"])
        assert (int(look["part"]), int(buy["part"])) == (0, 1)
        assert (int(look["request"]), int(buy["request"])) == (1, 2)
    assert set(rows["outcome"]) == {Outcome.OK}
    logins = [asked for asked in stub.asked if asked.path == "/login"]
    assert logins
    assert all(asked.seq is None and asked.at_ns < worker.t0_ns for asked in logins)
    looks = [asked for asked in stub.asked if asked.path == "/look"]
    assert {asked.seq for asked in looks} == set(range(20))
    assert {asked.headers["x-mine"] for asked in looks} == {"yes"}
    assert read_names(tmp_path, 1) == (("look", "/buy"),)
    assert [(note.kind, note.text, note.where) for note in read_locustfile_notes(tmp_path, 0)] == [
        ("ignored", "wait_time of Visitor is ignored between tasks: arrivals are planned", ""),
        ("in_on_start", "/login", "locustfile.py:11"),
    ]


@pytest.mark.parametrize("base", ["FastHttpUser", "HttpUser"])
def test_the_deadline_holds_for_either_client(tmp_path: Path, base: str) -> None:
    file = write(
        tmp_path,
        f"""
        from locust import {base}, task

        class Visitor({base}):
            @task
            def slow(self):
                self.client.get("/")
        """,
    )
    with StubServer(lambda asked: Answer(hold_s=0.9, drip_s=30.0, body=b"x" * 50)) as stub:
        rows, _ = run(a_plan(stub.url, locustfile=file, client_cap_ms=1000.0, duration_ms=300.0), tmp_path)
    assert Counter(map(Outcome, rows["outcome"])) == {Outcome.CLIENT_TIMEOUT: 6}
    taken_ms = sorted((rows["done_ns"] - rows["intended_ns"]) / MS)
    assert taken_ms[0] >= 999
    assert taken_ms[len(taken_ms) // 2] < 1_800, "a timeout of each read would be over after 1,900 ms"


def test_what_a_task_says_of_an_answer_counts(tmp_path: Path) -> None:
    """One task a turn, in order: a SequentialTaskSet keeps its place from one arrival to the next. A step that raises
    after a step that went wrong counts against the service."""
    file = write(
        tmp_path,
        """
        from locust import FastHttpUser, SequentialTaskSet, task

        class Steps(SequentialTaskSet):
            @task
            def calls_it_a_failure(self):
                with self.client.get("/200", catch_response=True) as answer:
                    answer.failure("no")

            @task
            def accepts_a_404(self):
                with self.client.get("/404", catch_response=True) as answer:
                    answer.success()

            @task
            def fails_on_the_answer(self):
                assert self.client.get("/200").status_code == 201

            @task
            def does_nothing(self):
                pass

            @task
            def raises_before_a_request(self):
                raise KeyError("gpu")

            @task
            def gets_a_503(self):
                self.client.get("/503").json()["offers"]

            @task
            def is_fine(self):
                self.client.get("/200")

        class Visitor(FastHttpUser):
            tasks = [Steps]
        """,
    )
    expected = [
        (Outcome.BAD_ANSWER, 200),
        (Outcome.OK, 404),
        (Outcome.BAD_ANSWER, 200),
        (Outcome.NO_REQUEST, 0),
        (Outcome.BAD_ANSWER, 0),
        (Outcome.HTTP_ERROR, 503),
        (Outcome.OK, 200),
    ]
    with StubServer(lambda asked: Answer(status=int(asked.path[1:]))) as stub:
        rows, worker = run(a_plan(stub.url, rate_per_s=14, locustfile=file, max_users=1), tmp_path)
    found = [(Outcome(row["outcome"]), int(row["status"])) for (row,) in by_seq(rows).values()]
    assert found == expected * 2
    assert "KeyError: 'gpu'" in worker.stderr
    assert worker.stderr.count("Traceback") == 3, "each kind of failure is told once"
    assert worker.stderr.count("2 × KeyError at") == 2


def test_classes_are_drawn_by_weight_and_clients_without_http_are_heard(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        import time
        from locust import FastHttpUser, User, task

        class Heavy(FastHttpUser):
            weight = 3

            @task
            def get(self):
                self.client.get("/")

        class Queue(User):
            @task
            def put(self):
                began = time.perf_counter()
                time.sleep(0.02)
                self.environment.events.request.fire(
                    request_type="PUT", name="queue", response_time=(time.perf_counter() - began) * 1000,
                    response_length=5, exception=None, context={},
                )
        """,
    )
    with StubServer() as stub:
        rows, _ = run(a_plan(stub.url, rate_per_s=80, locustfile=file), tmp_path)
    assert sorted(by_seq(rows)) == list(range(80))
    assert set(rows["outcome"]) == {Outcome.OK}
    queued = rows[rows["status"] == 0]
    assert 8 <= len(queued) <= 35
    assert all(taken >= 19 * MS for taken in queued["done_ns"] - queued["sent_ns"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("from locust import FastHttpUser\n", "has no user class that is not abstract"),
        ("from locust import User\nclass Idle(User):\n    pass\n", "Idle in locustfile.py has no tasks"),
        ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
        (
            "from locust import User, task\nclass A(User):\n    def on_start(self): raise OSError('no login')\n"
            "    @task\n    def t(self): pass\n",
            "raised OSError: no login at locustfile.py:3, before anything was sent, in 1 of 1 tasks",
        ),
    ],
)
def test_a_locustfile_that_cannot_run_ends_the_worker_and_says_why(tmp_path: Path, text: str, complaint: str) -> None:
    plan = a_plan("http://127.0.0.1:9", locustfile=write(tmp_path, text))
    with Worker(plan, tmp_path) as worker:
        assert worker.finish() not in (0, None)
    assert complaint in worker.stderr.strip().splitlines()[-1]


def test_an_asked_path_keeps_the_order_of_the_plan(tmp_path: Path) -> None:
    """Random draws of a locustfile are seeded: a replay asks the same."""
    file = write(
        tmp_path,
        """
        import random
        from locust import FastHttpUser, task

        class Visitor(FastHttpUser):
            @task
            def get(self):
                self.client.get(f"/{random.randrange(1000)}", name="any")
        """,
    )

    def paths(asked: list[Asked]) -> list[str]:
        return [each.path for each in sorted(asked, key=lambda each: each.seq or 0)]

    found = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        with StubServer() as stub:
            run(a_plan(stub.url, locustfile=file, duration_ms=300.0), tmp_path / name)
        found.append(paths(stub.asked))
    assert found[0] == found[1]
