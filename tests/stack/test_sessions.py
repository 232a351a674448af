"""Signals to a whole session: a child and all that it has started are reached, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from harness.errors import RigError
from harness.stack.processes import session
from tests.has_ended import has_ended

pytestmark = pytest.mark.stack

FAMILY = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
subprocess.Popen(sleep)
subprocess.Popen(sleep, process_group=0)  # a group of its own, as a shell gives each job
away = subprocess.Popen(sleep, start_new_session=True)
print(away.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def family() -> Iterator[tuple[int, psutil.Process]]:
    """The leader of a session with two more processes in it, and one that has left it."""
    leader = subprocess.Popen([sys.executable, "-c", FAMILY], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert leader.stdout is not None
    away = psutil.Process(int(leader.stdout.readline()))
    try:
        until(lambda: len(session.members(leader.pid)) == 3)
        yield leader.pid, away
    finally:
        away.kill()
        for process in session.members(leader.pid):
            process.kill()
        leader.wait(5)
        leader.stdout.close()


def until(met: object) -> None:
    end = time.monotonic() + 20
    while not met():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_all_of_a_session_stops_and_continues(family: tuple[int, psutil.Process]) -> None:
    leader, away = family
    session.stop(leader, 10.0)
    assert session.is_stopped(leader)
    assert {process.status() for process in session.members(leader)} == {psutil.STATUS_STOPPED}
    assert away.status() != psutil.STATUS_STOPPED
    session.resume(leader)
    assert not session.is_stopped(leader)
    assert psutil.STATUS_STOPPED not in {process.status() for process in session.members(leader)}


def test_one_that_runs_is_enough_to_be_not_stopped(family: tuple[int, psutil.Process]) -> None:
    leader, _ = family
    session.stop(leader, 10.0)
    session.members(leader)[-1].send_signal(signal.SIGCONT)
    until(lambda: not session.is_stopped(leader))


def test_all_of_a_session_is_killed_also_while_it_is_stopped(family: tuple[int, psutil.Process]) -> None:
    leader, away = family
    session.stop(leader, 10.0)
    session.kill(leader, 10.0)
    assert session.members(leader) == []
    assert not has_ended(away)


def test_what_has_ended_cannot_be_stopped() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(RigError, match="has ended"):
        session.stop(child.pid, 1.0)
    session.resume(child.pid)
    child.wait(5)
