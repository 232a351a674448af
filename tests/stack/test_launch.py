"""A supervisor that is started before its run is known: it gets its run, or it leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.run.run_id import new_run_id
from harness.stack.processes import orphans
from harness.stack.supervisor.launch import SupervisorProcess

pytestmark = pytest.mark.stack

RECEIVER = """
import os, sys
from harness.stack.supervisor import launch
before = set(os.listdir("/dev/fd"))
print(launch.receive())
print(len(set(os.listdir("/dev/fd")) - before))
print("to the log", file=sys.stderr)
"""


@pytest.fixture
def started() -> Iterator[SupervisorProcess]:
    supervisor = SupervisorProcess.start(new_run_id(), workers=1)
    yield supervisor
    supervisor.abandon()
    if supervisor.commands:
        supervisor.commands.close()
    if supervisor.process.stdout:
        supervisor.process.stdout.close()


def test_the_assignment_brings_the_run_the_log_and_all_locks(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    early = tempfile.TemporaryFile()  # noqa: SIM115  (the supervisor closes it)
    early.write(b"said early\n")
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER], stdin=theirs.fileno(), stdout=subprocess.PIPE, stderr=early, text=True
        )
    supervisor = SupervisorProcess("20250102-030405-abcd", process, ours, early)  # type: ignore[arg-type]
    run_dir, log = tmp_path / "a ü", tmp_path / "log"
    with ExitStack() as opened:
        locks = [opened.enter_context((tmp_path / f"{port}.lock").open("w")).fileno() for port in range(450)]
        supervisor.assign(run_dir, log, locks)
    out, _ = process.communicate(timeout=30)
    assert out.splitlines() == [str(run_dir), "450"]
    assert set(log.read_text().splitlines()) == {"said early", "to the log"}
    supervisor.abandon()  # it has its run: nothing happens
    assert process.returncode == 0
    assert supervisor.commands is not None
    supervisor.commands.close()


@pytest.mark.parametrize("after_s", [0.0, 0.2, 2.0])
def test_without_a_run_it_is_gone_with_all_it_has_on_standby(started: SupervisorProcess, after_s: float) -> None:
    time.sleep(after_s)
    started.abandon()
    assert started.process.returncode is not None
    end = time.monotonic() + 15
    while left := orphans.members(started.run_id):
        assert time.monotonic() < end, left
        time.sleep(0.02)
    started.abandon()


def test_it_is_gone_when_tailgate_is(started: SupervisorProcess) -> None:
    os.close(started._socket.detach())
    end = time.monotonic() + 15
    while started.process.poll() is None or orphans.members(started.run_id):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_it_has_on_standby_is_gone_when_it_was_killed(started: SupervisorProcess) -> None:
    end = time.monotonic() + 30
    while len(orphans.members(started.run_id)) < 3:  # it, the fakes, the worker
        assert time.monotonic() < end
        time.sleep(0.02)
    started.process.kill()
    while orphans.members(started.run_id):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_for_a_supervisor_that_is_gone_raises_nothing(started: SupervisorProcess, tmp_path: Path) -> None:
    started.process.kill()
    started.process.wait(20)
    started.assign(tmp_path, tmp_path / "log", [])
    assert started.process.stdout is not None
    assert started.process.stdout.read() == b""
