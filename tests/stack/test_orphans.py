"""Leftovers: found by TAILGATE_RUN wherever they hide, and never the living, ourselves, or strangers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.stack.names import RUN_VARIABLE, SUPERVISOR_MODULE
from harness.stack.processes import orphans
from tests.has_ended import has_ended
from tests.stack import headless_program

pytestmark = pytest.mark.stack
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how Linux takes a process apart")

SLEEP = "import time; time.sleep(60)"
# a grandchild in a session of its own, as a service's workers may be; an orphan soon
HIDDEN = f"""
import subprocess, sys
kid = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True, stdout=subprocess.DEVNULL)
print(kid.pid)
"""
LISTENS = "import socket; server = socket.create_server(('127.0.0.1', 0)); print(server.getsockname()[1], flush=True);"
# the kernel takes the memory first, and the socket only then
SLOW_TO_DIE = f"{LISTENS} import time; hoard = b'x' * (300 << 20); print(flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


@contextlib.contextmanager
def _process(code: str, run_id: str, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    with _program(["-c", code, *argv], run_id) as process:
        yield process


@contextlib.contextmanager
def _program(argv: list[str], run_id: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *argv],
        env={**os.environ, RUN_VARIABLE: run_id},
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _headless(run_id: str, lives_s: float) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One without its first thread, and the port on which it listens."""
    with _program([headless_program.__file__, str(lives_s)], run_id) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        process.stdout.readline()
        end = time.monotonic() + 20
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end, "its first thread goes on"
            time.sleep(0.005)
        yield process, port


def test_one_in_a_session_of_its_own_is_found_and_ended(run_id: str) -> None:
    with _process(SLEEP, run_id):  # a run with a process of ours is not swept by the runs of other tests
        with _process(HIDDEN, run_id) as parent:
            assert parent.wait(30) == 0
        assert len(orphans.members(run_id)) == 2
        assert len(orphans.kill_run(run_id)) == 2
        assert orphans.members(run_id) == []


def test_one_that_is_deaf_to_sigterm_is_killed(run_id: str) -> None:
    with _process(DEAF, run_id) as process:
        assert process.stdout and process.stdout.readline()
        (ended,) = orphans.kill_run(run_id, grace_s=0.2)
        assert f"pid {process.pid}, run {run_id}" in ended
        assert process.wait(20) == -9


def _listened_on(port: int) -> bool:
    return port in {c.laddr[1] for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr}


@LINUX
def test_one_that_is_dying_is_gone_only_when_its_sockets_are(run_id: str) -> None:
    with _process(SLOW_TO_DIE, run_id) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        process.stdout.readline()
        assert _listened_on(port)
        process.kill()
        orphans.kill_run(run_id)
        assert not _listened_on(port)


@LINUX
@pytest.mark.parametrize("grace_s", [0, 0.5])
def test_one_whose_first_thread_has_ended_is_found_and_ended(grace_s: float, run_id: str) -> None:
    with _headless(run_id, 60) as (process, port):
        assert _listened_on(port)
        assert [member.process.pid for member in orphans.members(run_id)] == [process.pid]
        assert len(orphans.kill_run(run_id, grace_s=grace_s)) == 1
        assert orphans.members(run_id) == []
        assert not _listened_on(port)


class Shy:
    """Stands for a process that is in passage until `shows_s`, by the clock of `Patience`."""

    def __init__(self, pid: int, shows_s: float) -> None:
        self.pid, self.shows_s = pid, shows_s


class Patience:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_one_that_is_stuck_takes_nobody_elses_patience_and_not_ours_for_good(
    run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Patience()
    shy = [Shy(-1, 1e9), Shy(-2, 1.2), Shy(-3, 0.0)]
    monkeypatch.setattr(orphans, "time", clock)
    monkeypatch.setattr(psutil, "process_iter", lambda: iter(shy))
    monkeypatch.setattr(orphans, "run_of", lambda each: run_id if clock.now_s >= each.shows_s else None)
    monkeypatch.setattr(orphans, "_is_supervisor", lambda _: False)
    assert sorted(member.process.pid for member in orphans.members(run_id)) == [-3, -2]
    assert clock.now_s <= 2.1
    clock.now_s = 0.0
    shy.pop()
    assert orphans.kill_run(run_id, within_s=1.0) == []
    assert clock.now_s <= 1.1


def test_another_run_is_left_alone(run_id: str) -> None:
    with _process(SLEEP, "20260101-000000-0000") as stranger:
        assert orphans.kill_run(run_id) == []
        assert stranger.poll() is None


def _orphan(run_id: str) -> psutil.Process:
    with _process(HIDDEN, run_id) as parent:
        out, _ = parent.communicate(timeout=30)
    return psutil.Process(int(out))


@pytest.mark.alone  # a run of another test would sweep them as well
def test_a_sweep_ends_dead_runs_and_spares_what_somebody_looks_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive, kept, no_id = "20200101-000000-dead", "20200101-000000-a11e", "20200101-000000-beef", "not-a-run-id"
    everybody = orphans.members

    def ours(run_id: str | None = None) -> list[orphans.OrphanProcess]:
        # what other tests run beside this one is none of its business
        return [member for member in everybody(run_id) if member.run_id in (dead, alive, kept, no_id)]

    monkeypatch.setattr(orphans, "members", ours)
    with _process(SLEEP, alive, SUPERVISOR_MODULE), _process(SLEEP, kept) as child:
        orphan, of_the_living, stranger = _orphan(dead), _orphan(alive), _orphan(no_id)
        try:
            swept = orphans.sweep(tmp_path / "locks")
            assert has_ended(orphan)
            assert of_the_living.is_running() and stranger.is_running()
            assert child.poll() is None
            assert [dead in line for line in swept.processes] == [True]
        finally:
            of_the_living.kill()
            stranger.kill()


def test_a_run_of_another_user_is_seen_by_its_supervisors_words(run_id: str) -> None:
    """Their environment cannot be read."""
    words = [sys.executable, "-c", SLEEP, SUPERVISOR_MODULE, "--workers", "1", run_id]
    environ = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
    process = subprocess.Popen(words, env=environ)
    try:
        assert run_id in orphans.live_runs()
    finally:
        process.kill()
        process.wait()
    assert run_id not in orphans.live_runs()


def test_we_and_our_ancestors_are_never_members(run_id: str) -> None:
    # a tailgate started below another tailgate's service carries that one's id
    program = f"""
import os, sys
from harness.stack.processes import orphans
from tests.stack import headless_program
print([m.process.pid for m in orphans.members({run_id!r})])
"""
    answer = subprocess.run(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"],
        env={**os.environ, RUN_VARIABLE: run_id},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
