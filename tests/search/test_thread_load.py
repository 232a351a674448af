"""The busiest thread by two readings of a made-up /proc: alone, and with those that share an interpreter's lock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.search.witnesses.thread_load import BusiestThread, ThreadLoad
from harness.units import NS_PER_S

TICKS = os.sysconf("SC_CLK_TCK")
PID = 10


def write(
    proc: Path,
    used_s: dict[int, float],
    exe: str = "/usr/bin/service",
    whole_s: float | None = None,
    waited_s: float = 0.0,
) -> None:
    """`used_s`: by thread id; `whole_s`: of the process; None: of its threads together; `waited_s`: of each thread."""

    def stat(path: Path, seconds: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"1 (a ) name) S {'0 ' * 10}{round(seconds * TICKS) - 1} 1 0 0\n")

    for thread, seconds in used_s.items():
        stat(proc / f"{PID}/task/{thread}/stat", seconds)
        (proc / f"{PID}/task/{thread}/schedstat").write_text(f"1 {round(waited_s * NS_PER_S)} 7\n")
    stat(proc / f"{PID}/stat", sum(used_s.values()) if whole_s is None else whole_s)
    (proc / f"{PID}/exe").unlink(missing_ok=True)
    (proc / f"{PID}/exe").symlink_to(exe)


def busiest(
    proc: Path, exe: str, used_s: dict[int, float], whole_s: float | None = None, waited_s: float = 0.0
) -> float | None:
    """Of a process whose threads used so much in 10 s; each had used 5 s before."""
    found = looked_at(proc, exe, used_s, whole_s, waited_s)
    return None if found is None else found.busy


def looked_at(
    proc: Path, exe: str, used_s: dict[int, float], whole_s: float | None = None, waited_s: float = 0.0
) -> BusiestThread | None:
    found = ThreadLoad(PID, proc)
    write(proc, dict.fromkeys(used_s, 5.0), exe, None if whole_s is None else 5.0)
    found.take([PID], 0)
    write(proc, {thread: 5.0 + seconds for thread, seconds in used_s.items()}, exe, whole_s and 5.0 + whole_s, waited_s)
    found.take([PID], 10 * NS_PER_S)
    return found.busiest


@pytest.mark.parametrize("exe", ["/usr/bin/python3.11", "/opt/bin/ruby3.1", "/usr/bin/pypy3", "/usr/bin/python3"])
def test_threads_that_share_an_interpreters_lock_count_as_one(tmp_path: Path, exe: str) -> None:
    assert busiest(tmp_path, exe, {10: 2.0, 11: 4.0, 12: 3.5}) == pytest.approx(0.95)


@pytest.mark.parametrize("exe", ["/usr/bin/java", "/usr/bin/python3.13t", "/srv/python-proxy", "/usr/bin/node"])
def test_threads_that_share_no_lock_are_looked_at_one_by_one(tmp_path: Path, exe: str) -> None:
    assert busiest(tmp_path, exe, {10: 2.0, 11: 4.0, 12: 3.5}) == pytest.approx(0.4)


def test_threads_that_have_ended_count_where_they_shared_the_lock(tmp_path: Path) -> None:
    assert busiest(tmp_path, "/usr/bin/python3.11", {10: 0.5}, whole_s=9.3) == pytest.approx(0.93)


def test_an_interpreter_that_used_more_than_a_core_let_go_of_its_lock(tmp_path: Path) -> None:
    assert busiest(tmp_path, "/usr/bin/python3.11", {10: 8.0, 11: 8.0}) == pytest.approx(0.8)


@pytest.mark.parametrize(("exe", "waited"), [("/usr/bin/python3", 0.12), ("/usr/bin/java", 0.06)])
def test_it_says_how_long_it_had_no_core(tmp_path: Path, exe: str, waited: float) -> None:
    """Threads that share a lock waited together, and no longer than they were not busy."""
    found = looked_at(tmp_path, exe, {10: 4.0, 11: 3.0}, waited_s=0.6)
    assert found is not None and found.waited == pytest.approx(waited)
    full = looked_at(tmp_path, exe, {10: 4.7, 11: 4.7}, waited_s=0.6)
    assert full is not None and full.waited == pytest.approx(0.06)


def test_two_readings_are_needed(tmp_path: Path) -> None:
    assert ThreadLoad(None).busiest is None
    found = ThreadLoad(PID, tmp_path)
    write(tmp_path, {10: 5.0})
    found.take([PID], 0)
    assert found.busiest is None
    found.take([], NS_PER_S)
    assert found.busiest is None, "its processes are gone"
    found.take([PID], 0)
    assert found.busiest is None, "no time between them"


SPINNING = """\
import threading
for _ in range(2):
    threading.Thread(target=lambda: all(True for _ in iter(int, 1)), daemon=True).start()
input()
"""


def test_a_real_interpreters_threads_count_together() -> None:
    process = subprocess.Popen([sys.executable, "-c", SPINNING], stdin=subprocess.PIPE)
    try:
        found = ThreadLoad(process.pid)
        ran = psutil.Process(process.pid)
        end_s = time.monotonic() + 20
        while ran.num_threads() < 3:
            assert time.monotonic() < end_s
            time.sleep(0.01)
        found.look(0, 2**62)
        before_s, begun_s = sum(ran.cpu_times()[:2]), time.monotonic()
        time.sleep(0.5)
        share = (sum(ran.cpu_times()[:2]) - before_s) / (time.monotonic() - begun_s)
        found.look(0, 2**62)
    finally:
        process.kill()
        process.communicate()
    assert found.busiest is not None
    assert found.busiest.busy == pytest.approx(share, abs=0.1), "the two threads together"
    assert ThreadLoad(2**22 + 1).busiest is None
