"""Sessions of workers on other machines: each signs in its own, and the run redacts what they saved."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import RigError, UsageError
from harness.remote.messages import (
    TOKENS_MOST,
    BrokenMessage,
    Failed,
    KeptFile,
    Prepare,
    SavedTokens,
    from_worker,
)
from harness.rundir import handshake
from harness.rundir.plan import Plan
from harness.rundir.planned.login import PlannedLogin
from harness.rundir.sessions.login_record import LoginRecord, read_logins
from harness.stack.load.token_reader import TokenReader
from harness.stack.processes.ports import PortLease
from harness.worker.admission import accepted_plan
from harness.worker.load_process import LoadProcess
from tests.remote.remote_world import a_site
from tests.remote.test_admission import options, plan, welcome
from tests.remote.test_relay import World, remote_plan
from tests.run.real_runs import Running, assert_nothing_left
from tests.run.test_session_runs import SCENARIO

LOGIN = PlannedLogin(method="POST", path="/login", body='{"key": "${FAR_KEY}"}', save={"token": "t"}, users=3)


def with_login(given: Plan) -> Plan:
    return given.model_copy(update={"load": given.load.model_copy(update={"login": LOGIN})})


# ---------------------------------------------------------------- the run


def test_sessions_sign_in_when_the_service_is_ready(tmp_path: Path) -> None:
    world = World(tmp_path, with_login(remote_plan()))
    world.join("a", "b")
    world.run(5)
    assert not world.got("a", Prepare)
    handshake.write_service_ready(tmp_path)
    world.run(0.1)
    assert world.got("a", Prepare) and world.got("b", Prepare)
    world.relay.close()


def test_each_token_is_kept_secret_once_and_stands_in_no_file(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.join("a", "b")
    world.say("a", SavedTokens(values=("one", "two")))
    world.say("b", SavedTokens(values=("two", "three")))
    world.say("a", SavedTokens(values=("one", "two")))
    assert world.kept_secret == [{"one", "two"}, {"three"}, set()]
    assert not any(b"three" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    world.relay.close()


def test_a_message_has_only_so_many_tokens() -> None:
    assert isinstance(from_worker({"kind": "tokens", "values": ["t"] * TOKENS_MOST}), SavedTokens)
    with pytest.raises(BrokenMessage):
        from_worker({"kind": "tokens", "values": ["t"] * (TOKENS_MOST + 1)})


def test_the_records_of_logins_come_together(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.until_running()
    for index, name in enumerate(("a", "b")):
        record = LoginRecord(sessions=2, renewals=index)
        world.say(name, KeptFile(name=f"logins-{index}.json", data=record.model_dump_json().encode()))
    world.say("a", KeptFile(name="logins-1.json", data=b"another worker's"))
    assert read_logins(tmp_path, 2) == LoginRecord(sessions=4, renewals=1)
    world.relay.close()


def test_a_worker_that_fails_says_how_to_mend_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.until_running()
    with pytest.raises(RigError) as raised:
        world.say("a", Failed(message="load.login: POST /login was answered 401", fix="check the credentials"))
    assert raised.value.fix == "check the credentials"
    world.relay.close()


# ---------------------------------------------------------------- the worker


def test_a_login_is_expanded_and_checked_where_it_is_sent() -> None:
    given = with_login(plan())
    accepted = accepted_plan(welcome(given), options(), {"FAR_KEY": "k3y"})
    assert accepted.load.login == LOGIN, "no value stands in the plan"
    with pytest.raises(UsageError, match="FAR_KEY"):
        accepted_plan(welcome(given), options(), {})
    away = given.model_copy(
        update={"load": given.load.model_copy(update={"login": LOGIN.model_copy(update={"path": "http://far/"})})}
    )
    with pytest.raises(UsageError, match="is no path on"):
        accepted_plan(welcome(away), options(), {"FAR_KEY": "k3y"})


def test_what_logins_save_is_told_once_and_kept_for_a_message_that_is_lost(tmp_path: Path) -> None:
    pipe = TokenReader(set())
    with subprocess.Popen([sys.executable, "-c", ""], env=dict(os.environ)) as ended:
        ended.wait(timeout=20)
    process = LoadProcess(tmp_path, 0, ended, pipe)
    assert process.new_tokens() == frozenset()
    os.write(pipe.write_fd, json.dumps("one").encode() + b"\n")
    assert process.new_tokens() == {"one"}
    os.write(pipe.write_fd, json.dumps("two").encode() + b"\n")
    assert process.new_tokens() == {"two"}
    assert process.tokens == {"one", "two"}
    pipe.release_writer()
    pipe.close()


def test_a_worker_ends_with_why_its_login_failed(tmp_path: Path) -> None:
    handshake.prepare(tmp_path)
    handshake.Handshake(tmp_path, 0).failed("load.login: POST /login was answered 401", "check the credentials")
    LoginRecord(sessions=1).write(tmp_path, 0)
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"], env=dict(os.environ)) as ended:
        ended.wait(timeout=20)
    process = LoadProcess(tmp_path, 0, ended, None)
    with pytest.raises(RigError) as raised:
        process.check()
    assert raised.value.message == "load.login: POST /login was answered 401"
    assert raised.value.fix == "check the credentials"
    assert "logins-0.json" in {file.name for file in process.files(())}


# ---------------------------------------------------------------- whole runs


@pytest.mark.alone
@pytest.mark.nightly
@pytest.mark.usefixtures("toxiproxy_binary")
@pytest.mark.parametrize("refused", [False, True])
def test_a_whole_run_with_sessions_of_two_workers(refused: bool, tmp_path: Path) -> None:
    """By day, `tests/run/test_session_runs.py` and the tests above represent it."""
    scenario = SCENARIO.replace("POST /login", "POST /nowhere").replace("status: 201", "status: 200")
    with a_site(tmp_path) as site, PortLease() as lease:
        address = f"127.0.0.1:{lease.take()}"
        for user in ("bea", "cyd"):
            site.worker(address, env={"LOGIN_USER": user})
        words = ("--expect-workers", "2", "--listen", address, "--token-file", str(site.token))
        ran = Running(tmp_path, scenario if refused else SCENARIO, *words).end()
        codes = [worker.end() for worker in site.workers]
        told = "".join(worker.stderr for worker in site.workers)
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir)
    assert "t0ken-" not in ran.stdout + ran.stderr + told
    if refused:
        assert (ran.code, ran.verdict, codes) == (4, "RIG_FAILURE", [4, 4]), ran.stdout + told
        assert "load.login: POST /nowhere was answered 201" in ran.stdout + ran.stderr
        return
    assert (ran.verdict, codes) == ("PASS", [0, 0]), ran.stdout + ran.stderr + told
    for file in ran.run_dir.rglob("*"):
        assert not file.is_file() or b"t0ken-" not in file.read_bytes(), file.name
    log = (ran.run_dir / "logs" / "sut.log").read_text(encoding="utf-8")
    assert {name for name in ("bea", "cyd") if re.search(rf"gave \*+ to {name}", log)} == {"bea", "cyd"}, (
        "each worker has its own environment"
    )
    login = ran.results["login"]
    assert (login["sessions"], login["failed"]) == (3, 0)
    assert login["renewals"] >= 3
