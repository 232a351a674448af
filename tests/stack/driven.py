"""tailgate's side of a run as a process of its own, for tests that kill or stop it; and how clean it leaves things."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from harness.rundir.manifest import Manifest, RunEnd
from harness.rundir.plan import Plan
from harness.stack.processes import orphans
from tests.stack.stack_scene import assert_nothing_left

WITHIN_S = 15.0


@contextlib.contextmanager
def driver(folder: Path, run_id: str, engine: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """tailgate's side of a run whose directory is `folder`/run."""
    (folder / "run").mkdir()
    argv = [sys.executable, "-m", "tests.stack.stack_driver", str(folder / "run"), str(folder / "locks"), run_id]
    process = subprocess.Popen(
        [*argv, engine, *options], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        orphans.kill_run(run_id, grace_s=0)


def await_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"the driver ended without saying {word}")


def until(holds: Callable[[], bool], within_s: float) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def assert_clean_within(folder: Path, run_id: str, within_s: float = WITHIN_S) -> RunEnd:
    """Processes, listeners, control files and locks gone, the manifest finished."""
    plan = Plan.read(folder / "run")
    until(lambda: not orphans.members(run_id), within_s)
    assert_nothing_left(plan, folder / "run")
    assert not (folder / "locks").exists()
    ended = Manifest.read(folder / "run").ended
    assert ended is not None
    return ended


def supervisor(run_id: str) -> psutil.Process:
    (found,) = [member.process for member in orphans.members(run_id) if member.is_supervisor]
    return found
