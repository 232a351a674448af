"""Waits until a time on the monotonic clock, exact to some tens of microseconds, without a busy loop.

gevent's event loop rounds waits up to whole milliseconds. Linux has timers that are files, and a file wakes the loop at
once.
"""

from __future__ import annotations

import ctypes
import os
import time
from types import TracebackType
from typing import Any, Final, Self

import gevent

from harness.units import NS_PER_S

_READ: Final = 1
_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("ns", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("first", _Timespec)]


class PreciseTimer:
    """For one greenlet. Where the system has no timerfd, waits are up to a millisecond too long."""

    def __init__(self) -> None:
        self._fd = -1
        self._spec = _Itimerspec()
        self._spec_at = ctypes.byref(self._spec)
        self._hub = gevent.get_hub()
        self._io: Any = None
        libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(libc, "timerfd_create"):
            self._settime = libc.timerfd_settime
            self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
            self._fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            self._io = self._hub.loop.io(self._fd, _READ)

    def wait_until(self, due_ns: int) -> None:
        """Lets other greenlets run until then (monotonic). Returns at once for a time that has passed."""
        if self._io is None:
            gevent.sleep(max(0, due_ns - time.monotonic_ns()) / NS_PER_S)
            return
        if due_ns <= time.monotonic_ns():
            return
        first = self._spec.first
        first.seconds, first.ns = divmod(due_ns, NS_PER_S)
        # setting the timer again also ends that it is readable, so it need not be read
        if self._settime(self._fd, _ABSOLUTE, self._spec_at, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._hub.wait(self._io)

    def close(self) -> None:
        if self._io is not None:
            self._io.stop()
            self._io = None
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
