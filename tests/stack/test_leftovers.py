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

from harness.stack import leftovers

pytestmark = pytest.mark.stack

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
# its first thread ends for good, which makes it a zombie that listens
HEADLESS = f"""{LISTENS}
import ctypes, os, threading, time
threading.Thread(target=lambda: (time.sleep(0.3), os._exit(0))).start()
libc = ctypes.CDLL(None)
libc.syscall.restype = None
print(flush=True)
libc.syscall({{"x86_64": 60}}.get(os.uname().machine, 93), 0)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


@contextlib.contextmanager
def _process(code: str, run_id: str, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        env={**os.environ, leftovers.RUN_VARIABLE: run_id},
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_in_a_session_of_its_own_is_found_and_ended(run_id: str) -> None:
    with _process(HIDDEN, run_id) as parent:
        assert parent.wait(10) == 0
    assert len(leftovers.members(run_id)) == 1
    assert len(leftovers.kill_run(run_id)) == 1
    assert leftovers.members(run_id) == []


def test_one_that_is_deaf_to_sigterm_is_killed(run_id: str) -> None:
    with _process(DEAF, run_id) as process:
        assert process.stdout and process.stdout.readline()
        (ended,) = leftovers.kill_run(run_id, grace_s=0.2)
        assert f"pid {process.pid}, run {run_id}" in ended
        assert process.wait(5) == -9


def _listened_on(port: int) -> bool:
    return port in {c.laddr[1] for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how Linux takes a process apart")
@pytest.mark.parametrize("code", [SLOW_TO_DIE, HEADLESS], ids=["slow", "headless"])
def test_one_that_is_dying_is_gone_only_when_its_sockets_are(code: str, run_id: str) -> None:
    with _process(code, run_id) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        process.stdout.readline()
        assert _listened_on(port)
        if code is SLOW_TO_DIE:
            process.kill()
        else:
            _await_zombie(process.pid)
        leftovers.kill_run(run_id)
        assert not _listened_on(port)


def _await_zombie(pid: int) -> None:
    end = time.monotonic() + 5
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "its first thread goes on"
        time.sleep(0.005)


def test_another_run_is_left_alone(run_id: str) -> None:
    with _process(SLEEP, "20260101-000000-0000") as stranger:
        assert leftovers.kill_run(run_id) == []
        assert stranger.poll() is None


def _orphan(run_id: str) -> psutil.Process:
    with _process(HIDDEN, run_id) as parent:
        out, _ = parent.communicate(timeout=10)
    return psutil.Process(int(out))


def test_a_sweep_ends_dead_runs_and_spares_what_somebody_looks_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive, kept, no_id = "20200101-000000-dead", "20200101-000000-a11e", "20200101-000000-beef", "not-a-run-id"
    everybody = leftovers.members

    def ours(run_id: str | None = None) -> list[leftovers.Member]:
        # what other tests run beside this one is none of its business
        return [member for member in everybody(run_id) if member.run_id in (dead, alive, kept, no_id)]

    monkeypatch.setattr(leftovers, "members", ours)
    with _process(SLEEP, alive, leftovers.SUPERVISOR_MODULE), _process(SLEEP, kept) as child:
        orphan, of_the_living, stranger = _orphan(dead), _orphan(alive), _orphan(no_id)
        try:
            swept = leftovers.sweep(tmp_path / "locks")
            assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
            assert of_the_living.is_running() and stranger.is_running()
            assert child.poll() is None
            assert [dead in line for line in swept.processes] == [True]
        finally:
            of_the_living.kill()
            stranger.kill()


def test_a_run_of_another_user_is_seen_by_its_supervisors_words(run_id: str) -> None:
    """Their environment cannot be read."""
    words = [sys.executable, "-c", SLEEP, leftovers.SUPERVISOR_MODULE, "/somewhere", run_id]
    environ = {name: value for name, value in os.environ.items() if name != leftovers.RUN_VARIABLE}
    process = subprocess.Popen(words, env=environ)
    try:
        assert run_id in leftovers.live_runs()
    finally:
        process.kill()
        process.wait()
    assert run_id not in leftovers.live_runs()


def test_we_and_our_ancestors_are_never_members(run_id: str) -> None:
    # a tailgate started below another tailgate's service carries that one's id
    program = f"""
import os, sys
from harness.stack import leftovers
print([m.process.pid for m in leftovers.members({run_id!r})])
"""
    answer = subprocess.run(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"],
        env={**os.environ, leftovers.RUN_VARIABLE: run_id},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
