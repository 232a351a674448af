"""A circuit breaker for one backend: after some failures in a row it is left alone, and tried again now and then.

Without it every request pays the backend's whole deadline, and a backend that is ill is asked as often
as one that is well. Closed: calls go through. Open: they are refused at once. Half-open, after a pause:
one call goes out as a probe, and decides whether it closes or opens again for a longer pause. Nobody
waits for a probe: the request that sets it off is refused like the others, since a backend that hung
will most likely hang again, and its caller would pay for finding out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any, Final, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

FAILURES_TO_OPEN: Final = 5
PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 10.0

log = logging.getLogger(__name__)


class State(IntEnum):
    """As the metric shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpen(Exception):
    """The backend is being left alone. The message says for how long yet."""


class Tell(Protocol):
    """Told when a breaker opens, and when it closes again; not of the pauses in between."""

    def __call__(self, *, is_open: bool, detail: str) -> None: ...


def _tell_nobody(*, is_open: bool, detail: str) -> None:
    pass


class Breaker:
    """Pure but for its clock. Each call and each probe reports `succeeded`, `failed` or `given_up`, once."""

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        pause_s: float = PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        tell: Tell = _tell_nobody,
    ) -> None:
        self._tell = tell
        self._failures_to_open = failures_to_open
        self._first_pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._clock = clock
        self._failures = 0
        self._pause_s = pause_s
        self._opened_s: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        if self._opened_s is None:
            return State.CLOSED
        return State.HALF_OPEN if self._probing or not self._rests_for_s else State.OPEN

    @property
    def _rests_for_s(self) -> float:
        return 0.0 if self._opened_s is None else max(0.0, self._opened_s + self._pause_s - self._clock())

    def check(self) -> None:
        """Raises CircuitOpen unless it is closed."""
        if self._opened_s is not None:
            left = f"for {self._rests_for_s:.1f} s" if self._rests_for_s else "until a probe has answered"
            raise CircuitOpen(f"left alone {left}, after {self._failures} failures in a row")

    def take_probe(self) -> bool:
        """True for one caller after each pause: it is to probe the backend now."""
        if self._opened_s is None or self._probing or self._rests_for_s:
            return False
        self._probing = True
        return True

    def succeeded(self, *, probe: bool = False) -> None:
        if self._opened_s is not None and not probe:
            return  # an answer to a question from before it opened says nothing about now
        was_open = self._opened_s is not None
        self._failures = 0
        self._pause_s = self._first_pause_s
        self._opened_s, self._probing = None, False
        if was_open:
            self._tell(is_open=False, detail="a probe was answered")

    def failed(self, *, probe: bool = False) -> None:
        self._failures += 1
        if probe:
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)
        elif self._opened_s is not None or self._failures < self._failures_to_open:
            return
        was_open = self._opened_s is not None
        self._opened_s, self._probing = self._clock(), False
        if not was_open:
            self._tell(is_open=True, detail=f"{self._failures} failures in a row")

    def given_up(self, *, probe: bool = False) -> None:
        """Nothing was learned: the caller went away, or broke."""
        if probe:
            self._probing = False


def guarded(
    breaker: Breaker, call: Callable[P, Coroutine[Any, Any, T]], failures: tuple[type[Exception], ...]
) -> Callable[P, Coroutine[Any, Any, T]]:
    """`call`, refused with CircuitOpen while the breaker is open.

    `failures` are the backend's. Anything else that is raised is our own bug, and no reason to leave
    the backend alone.
    """
    probes: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    async def counted(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = await call(*args, **kwargs)
        except failures:
            breaker.failed()
            raise
        except BaseException:  # cancelled, or a bug
            breaker.given_up()
            raise
        breaker.succeeded()
        return result

    async def probe(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await call(*args, **kwargs)
        except failures:
            breaker.failed(probe=True)
        except Exception:
            breaker.given_up(probe=True)
            log.exception("a probe failed by a bug")  # nobody waits for it, so nobody else would hear
        except BaseException:
            breaker.given_up(probe=True)
            raise
        else:
            breaker.succeeded(probe=True)

    async def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        if breaker.take_probe():
            task = asyncio.get_running_loop().create_task(probe(*args, **kwargs))
            probes.add(task)
            task.add_done_callback(probes.discard)
        breaker.check()
        return await counted(*args, **kwargs)

    return tried
