"""A real Locust worker that signs in before its load, against a server that gives out tokens."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.correlation import run_hash, seq_of
from harness.rundir.planned.login import TOKENS_FD_VARIABLE, PlannedLogin
from harness.rundir.rows import LOGIN_SEQ, Outcome
from harness.rundir.sessions.login_record import LoginRecord, read_logins
from tests.drive.drive_world import Answer, Asked, StubServer, Worker, a_plan, constant, get

pytestmark = pytest.mark.stack

REQUESTS = (
    get("/a?{token}", name="a", headers={"Authorization": "Bearer {token}", "X-Of": "{user}"}),
    get("/b", name="b", headers={"Authorization": "Bearer {token}"}, schedule=constant(20, 1000.0)),
)


class TokenServer:
    """Gives each login a new token and takes any that it gave. `refuses`: how it answers a login."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.refuses: Answer | None = None
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/login":
            if self.refuses:
                return self.refuses
            with self._lock:
                user = json.loads(asked.body)["user"]
                token = f"secret-{len(self.tokens)}-of-{user}"
                self.tokens[token] = user
            return Answer(status=201, body=json.dumps({"data": {"access": token}}).encode())
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        return Answer() if token in self.tokens else Answer(status=401)


def login(**changes: Any) -> PlannedLogin:
    body = '{"user": "{user}", "password": "hunter22"}'
    fields = {"method": "POST", "path": "/login", "body": body, "save": {"token": "data.access"}, "users": 3}
    return PlannedLogin(**{**fields, "by_row": True, **changes})


def started(
    stub: StubServer, run_dir: Path, planned: PlannedLogin, monkeypatch: pytest.MonkeyPatch, **load: Any
) -> tuple[Worker, int]:
    """A worker that may sign in at once, and the read end of its pipe of tokens."""
    (run_dir / "users.csv").write_text("user\nann\nben\n")
    data = str(run_dir / "users.csv")
    fields = {"requests": REQUESTS, "login": planned, "data": data, "duration_ms": 1000.0, **load}
    plan = a_plan(stub.url, rate_per_s=20, **fields)
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    monkeypatch.setenv(TOKENS_FD_VARIABLE, str(write_fd))
    worker = Worker(plan, run_dir, pass_fds=(write_fd,))
    os.close(write_fd)
    return worker, read_fd


def all_of(fd: int) -> list[str]:
    with os.fdopen(fd, "rb") as pipe:
        return [json.loads(line) for line in pipe.read().splitlines()]


def test_sessions_are_signed_in_shared_and_renewed_outside_of_the_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = TokenServer()
    with StubServer(server) as stub:
        worker, pipe = started(stub, tmp_path, login(every_ms=1500.0), monkeypatch)
        with worker:
            worker.await_ready()
            assert sorted(server.tokens.values()) == ["ann", "ann", "ben"], "row 0, 1 and 0 again, all before the load"
            worker.start()
            assert worker.finish() == 0, worker.stderr
        logins = [asked for asked in stub.asked if asked.path == "/login"]
        others = [asked for asked in stub.asked if asked.path != "/login"]
    rows = worker.rows()
    assert Counter(map(int, rows["outcome"])) == {Outcome.OK: 40}, "logins have no rows, and every token is known"
    assert {asked.headers["x-tailgate-seq"] for asked in logins} == {str(LOGIN_SEQ)}
    assert {seq_of(run_hash(worker.plan.run_id), asked.headers["traceparent"]) for asked in logins} == {LOGIN_SEQ}
    used = Counter(asked.headers["authorization"].removeprefix("Bearer ") for asked in others)
    assert len(used) > 3, "renewed tokens take the place of the first ones"
    assert {server.tokens[asked.headers["authorization"].removeprefix("Bearer ")] for asked in others} == {"ann", "ben"}
    for asked in others:
        if asked.path.startswith("/a"):
            token = asked.path.removeprefix("/a?")
            assert asked.headers["authorization"] == f"Bearer {token}"
            assert asked.headers["x-of"] == server.tokens[token], "the row is that of the session"
    record = read_logins(tmp_path, 1)
    assert record is not None and record.renewals >= 1
    assert record.renewals in (len(logins) - 4, len(logins) - 3), "one may be open when the load ends"
    assert set(all_of(pipe)) == set(server.tokens), "the supervisor knows every token"
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"secret-" not in file.read_bytes(), file
    assert "secret-" not in worker.stderr


def test_a_login_that_fails_ends_the_worker_with_the_reason_and_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = TokenServer()
    server.refuses = Answer(status=401, body=b'{"error": "bad credentials", "echo": "hunter22"}')
    with StubServer(server) as stub:
        worker, pipe = started(stub, tmp_path, login(), monkeypatch)
        with worker:
            assert worker.finish() == 4
    assert all_of(pipe) == []
    reported = json.loads((tmp_path / "control" / "failed-0").read_text())
    assert reported == {
        "message": 'load.login: POST /login was answered 401: {"error": "bad credentials", "echo": "********"}',
        "fix": "check the credentials that load.login.request sends",
    }
    assert worker.stderr.splitlines()[-1].startswith("error: was answered 401")
    assert not any(asked.path != "/login" for asked in stub.asked)


def test_a_renewal_that_fails_keeps_the_old_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = TokenServer()
    with StubServer(server) as stub:
        worker, pipe = started(stub, tmp_path, login(every_ms=1500.0), monkeypatch)
        with worker:
            worker.await_ready()
            server.refuses = Answer(status=503, body=b"busy")
            worker.start()
            assert worker.finish() == 0, worker.stderr
    assert Counter(map(int, worker.rows()["outcome"])) == {Outcome.OK: 40}
    record = read_logins(tmp_path, 1)
    assert record is not None and record.failed >= 1
    assert record == LoginRecord(
        sessions=3, renewals=record.failed, failed=record.failed, reason="was answered 503: busy"
    )
    assert len(all_of(pipe)) == 3


def test_users_who_wait_for_their_answers_have_sessions_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = TokenServer()
    with StubServer(server) as stub:
        worker, pipe = started(stub, tmp_path, login(), monkeypatch, model="closed", users=2, requests=REQUESTS[:1])
        with worker:
            worker.await_ready()
            worker.start()
            assert worker.finish() == 0, worker.stderr
    outcomes = set(map(int, worker.rows()["outcome"]))
    assert Outcome.OK in outcomes
    assert outcomes <= {Outcome.OK, Outcome.UNFINISHED}, "one may be open when the load ends"
    assert len(all_of(pipe)) == 3
    used = {asked.headers["authorization"].removeprefix("Bearer ") for asked in stub.asked if asked.path != "/login"}
    assert used == set(server.tokens), "in turn"
