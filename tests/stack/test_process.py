"""One child: started or refused with a reason, its end noticed, its group killed whole."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.errors import RigError
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes.process import ChildProcess
from tests.has_ended import has_ended

pytestmark = pytest.mark.stack

WITH_GRANDCHILD = """
import subprocess, sys, time
kid = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(kid.pid, flush=True)
time.sleep(60 if sys.argv[1:] else 0)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def _spec(folder: Path, *argv: str, raise_limits: bool = True) -> ProcessSpec:
    return ProcessSpec("kid", argv, dict(os.environ), folder, folder / "kid.log", raise_limits=raise_limits)


async def _said(child: ChildProcess) -> str:
    end = time.monotonic() + 30
    while not (tail := child.log_tail(1)):
        assert time.monotonic() < end
        await asyncio.wait([child.code], timeout=0.01)
    return tail[0]


def _gone(pid: int) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if has_ended(pid):
            return True
        time.sleep(0.01)
    return False


def test_its_exit_code_and_last_words_are_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        child = ChildProcess.start(_spec(tmp_path, sys.executable, "-c", "import sys; print('one'); sys.exit('boom')"))
        assert await asyncio.wait_for(child.wait(), 30) == 1
        assert not child.alive
        assert child.ended_ns is not None and child.ended_ns > child.started_ns
        assert sorted(child.log_tail()) == ["boom", "one"]

    asyncio.run(scene())


def test_a_command_that_is_not_there_is_a_rig_error(tmp_path: Path) -> None:
    async def scene() -> None:
        ChildProcess.start(_spec(tmp_path, "no-such-command-here"))

    with pytest.raises(RigError, match="kid could not be started: `no-such-command-here`"):
        asyncio.run(scene())


def test_stopping_takes_the_whole_group(tmp_path: Path) -> None:
    async def scene() -> int:
        child = ChildProcess.start(_spec(tmp_path, sys.executable, "-c", WITH_GRANDCHILD, "stay"))
        grandchild = int(await _said(child))
        await child.stop(grace_s=5)
        assert child.code.result() == -signal.SIGTERM
        await child.stop(grace_s=5)
        return grandchild

    assert _gone(asyncio.run(scene()))


def test_when_it_ends_by_itself_its_group_ends_too(tmp_path: Path) -> None:
    async def scene() -> int:
        child = ChildProcess.start(_spec(tmp_path, sys.executable, "-c", WITH_GRANDCHILD))
        await asyncio.wait_for(child.wait(), 30)
        return int(await _said(child))

    assert _gone(asyncio.run(scene()))


def test_one_that_is_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    async def scene() -> None:
        child = ChildProcess.start(_spec(tmp_path, sys.executable, "-c", DEAF))
        await _said(child)
        begin = time.monotonic()
        await child.stop(grace_s=0.3)
        assert child.code.result() == -signal.SIGKILL
        assert time.monotonic() - begin >= 0.3

    asyncio.run(scene())


def test_one_that_was_stopped_ends_as_quickly_as_any(tmp_path: Path) -> None:
    async def scene() -> None:
        child = ChildProcess.start(
            _spec(tmp_path, sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
        )
        await _said(child)
        psutil.Process(child.pid).suspend()
        begin = time.monotonic()
        await child.stop(grace_s=20)
        assert child.code.result() == -signal.SIGTERM
        assert time.monotonic() - begin < 20

    asyncio.run(scene())


def test_open_files_are_raised_for_our_own_and_never_for_the_service(tmp_path: Path) -> None:
    # one text, since each piece that print is given is written by itself, and may be read before the next
    program = "import resource; print('%d %d' % resource.getrlimit(resource.RLIMIT_NOFILE))"
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = (256, before[1])

    async def scene() -> tuple[str, str]:
        resource.setrlimit(resource.RLIMIT_NOFILE, low)
        (tmp_path / "own").mkdir()
        (tmp_path / "sut").mkdir()
        own = ChildProcess.start(_spec(tmp_path / "own", sys.executable, "-c", program))
        service = ChildProcess.start(_spec(tmp_path / "sut", sys.executable, "-c", program, raise_limits=False))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == low
        return await _said(own), await _said(service)

    try:
        own, service = asyncio.run(scene())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert own == f"{before[1]} {before[1]}"
    assert service == f"256 {before[1]}"
