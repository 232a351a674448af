"""Processes that are started before it is known what they run: handed out, told what to do, and gone in any case."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.stack.process_spec import ProcessSpec
from harness.stack.processes.process import ChildProcess
from harness.stack.standby.pool import FAKES, WORKER, StandbyPool
from tests.has_ended import has_ended

pytestmark = pytest.mark.stack

MODULE = "standby_sample"
SAMPLE = """
import os, resource, sys
prepared = ""
def prepare():
    global prepared
    prepared = os.getcwd()
def main(argv):
    print(prepared not in ("", os.getcwd()), os.getcwd(), sys.argv[1:] == argv, *argv, flush=True)
    print(resource.getrlimit(resource.RLIMIT_NOFILE), sys.stdin.read(), flush=True)
    return 7
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandbyPool]:
    (tmp_path / f"{MODULE}.py").write_text(SAMPLE)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # it changes in the middle of a test
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    pool = StandbyPool()
    yield pool
    pool.end([MODULE])


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def spec(folder: Path, *args: str, module: str = MODULE, env: dict[str, str] | None = None) -> ProcessSpec:
    cwd = folder / "cwd"
    cwd.mkdir(exist_ok=True)
    argv = (sys.executable, "-P", "-m", module, *args)
    return ProcessSpec("kid", argv, env or _environ(), cwd, folder / "kid.log", keep_signals=True)


def test_a_process_on_standby_runs_what_it_is_told(tmp_path: Path, pool: StandbyPool) -> None:
    async def run() -> ChildProcess:
        child = ChildProcess.start(spec(tmp_path, "--of", "a b"), pool.take)
        await asyncio.wait_for(child.wait(), 30)
        return child

    pool.start(MODULE)
    child = asyncio.run(run())
    assert child.code.result() == 7
    said, limits = child.log_tail()
    assert said == f"True {tmp_path / 'cwd'} True --of a b"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits == str((hard, hard)), "the limit is raised as of any child of ours, and stdin is empty"


def test_without_one_on_standby_the_command_is_started(tmp_path: Path, pool: StandbyPool) -> None:
    async def run() -> int:
        return await asyncio.wait_for(ChildProcess.start(spec(tmp_path), pool.take).wait(), 30)

    assert asyncio.run(run()) == 0, "as a program the module does nothing"


def test_it_is_given_only_to_what_it_was_started_for(tmp_path: Path, pool: StandbyPool) -> None:
    pool.start(MODULE)
    assert pool.take(spec(tmp_path, module="another")) is None
    assert pool.take(spec(tmp_path, env={**_environ(), "MORE": "1"})) is None
    process = pool.take(spec(tmp_path))
    assert process is not None
    assert process.wait(30) == 7
    assert pool.take(spec(tmp_path)) is None, "it was the only one"


def test_one_that_has_died_is_not_given(tmp_path: Path, pool: StandbyPool) -> None:
    pool.start("no_such_module")
    ((_, process),) = pool._waiting
    process.wait(30)
    assert pool.take(spec(tmp_path, module="no_such_module")) is None


def test_those_that_are_not_needed_are_gone(pool: StandbyPool) -> None:
    pool.start(MODULE)
    ((_, process),) = pool._waiting
    pool.end([FAKES, WORKER])
    assert process.poll() is None
    pool.end([MODULE])
    assert process.returncode == -signal.SIGKILL


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, pool: StandbyPool) -> None:
    program = (
        "import os, signal\nfrom harness.stack.standby.pool import StandbyPool\n"
        f"pool = StandbyPool()\npool.start({MODULE!r})\nprint(pool._waiting[0][1].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    pid = int(parent.stdout)
    give_up = time.monotonic() + 30
    while not has_ended(pid):
        assert time.monotonic() < give_up
        time.sleep(0.02)
