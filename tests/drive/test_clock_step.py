"""The clock on the wall is set forward and back during a load, as NTP or an operator does: nothing of the load notices.

A preloaded library plays it for one worker, so that the machine's own clock stays. By day
tests/structure/test_clocks.py stands for this: nothing that decides reads that clock.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, StubServer, a_plan, run

pytestmark = [pytest.mark.stack, pytest.mark.nightly]

STEPPING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {  /* an hour forward in every other half second */
  struct timespec now;
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  real(CLOCK_MONOTONIC, &now);
  return ((now.tv_sec * 2 + now.tv_nsec / 500000000) % 2) ? 3600 : 0;
}
int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(id, at);
  if (id == CLOCK_REALTIME) at->tv_sec += offset();
  return code;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
"""


STEPS_SEEN = """
import time
readings = []
for _ in range(120):
    readings.append(time.time() - time.monotonic())
    time.sleep(0.01)
print(max(readings) - min(readings))
"""


def test_a_clock_that_is_set_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "step.c", tmp_path / "step.so"
    source.write_text(STEPPING)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    seen = subprocess.run([sys.executable, "-c", STEPS_SEEN], capture_output=True, text=True, check=True)
    assert float(seen.stdout) > 3500, "the library steps the clock"
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with StubServer(lambda asked: Answer(hold_s=0.2)) as stub:
        rows, worker = run(a_plan(stub.url, rate_per_s=40, duration_ms=2500.0), run_dir)
    assert [Outcome(value) for value in rows["outcome"]] == [Outcome.OK] * 100
    latency_ms = (rows["done_ns"] - rows["intended_ns"]) / 1e6
    assert 200 <= latency_ms.min() <= latency_ms.max() < 2000
    assert ((rows["intended_ns"] - worker.t0_ns) / 1e6).max() < 2500
