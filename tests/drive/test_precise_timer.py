"""The timer that wakes the dispatcher, with and without a timer of the kernel."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import pytest

from scenarios.drive.models.precise_timer import PreciseTimer

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("kernel", [True, False], ids=["timerfd", "without"])
def test_it_never_wakes_early_and_waits_for_nothing_that_has_passed(
    kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    with PreciseTimer() as timer:
        for after_ns in (0, -5_000_000, 100_000, 300_000, 2_700_000, 20_000_000):
            due_ns = time.monotonic_ns() + after_ns
            timer.wait_until(due_ns)
            assert time.monotonic_ns() >= due_ns


def open_timers() -> list[str]:
    return [fd.name for fd in Path("/proc/self/fd").iterdir() if _is_timer(fd)]


def _is_timer(fd: Path) -> bool:
    try:
        return "timerfd" in str(fd.readlink())
    except FileNotFoundError:  # that of the listing itself
        return False


def test_it_leaves_no_file_open() -> None:
    before = len(open_timers())
    with PreciseTimer() as timer:
        timer.wait_until(time.monotonic_ns() + 100_000)
        assert len(open_timers()) == before + 1
    timer.close()
    assert len(open_timers()) == before
