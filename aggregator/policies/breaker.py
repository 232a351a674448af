"""A circuit breaker for one backend: after some failures in a row it is left alone, and tried again now and then.

Without it every request pays the backend's whole deadline, and a backend that is ill is asked as often
as one that is well. Closed: calls go through. Open: they are refused at once. Half-open, after a pause:
one call goes out as a probe, and decides whether it closes or opens again for a longer pause. Nobody
waits for a probe: the request that sets it off is refused like the others, since a backend that hung
will most likely hang again, and its caller would pay for finding out.

Calls overlap. One that was made before the breaker opened may fail after a probe has closed it, and says
nothing about now: so each report tells of which era it is, and those of former eras are not counted.
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
PROBE_WITHIN_S: Final = 30.0
"""A probe that no deadline ended has failed by then: one that hung for ever would be the last."""

log = logging.getLogger(__name__)


class State(IntEnum):
    """As the metric shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpen(Exception):
    """The backend is being left alone. The message says for how long yet, and what its last failure was."""

    def __init__(self, message: str, rests_for_s: float) -> None:
        super().__init__(message)
        self.rests_for_s = rests_for_s


class StateListener(Protocol):
    """Told when a breaker opens, and each time it stays open after a probe: `error` is the failure; None: it closed."""

    def __call__(self, detail: str, error: Exception | None) -> None: ...


def _tell_nobody(detail: str, error: Exception | None) -> None:
    pass


class Breaker:
    """Pure but for its clock.

    Each call is let in by `admit`, each probe by `take_probe`; both give the era that it is to report with,
    once: `succeeded`, `failed` or `given_up`.
    """

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        pause_s: float = PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        on_change: StateListener = _tell_nobody,
    ) -> None:
        self._on_change = on_change
        self._failures_to_open = failures_to_open
        self._first_pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._clock = clock
        self._state = State.CLOSED
        self._era = 0
        self._failures = 0
        self._last_error: Exception | None = None
        self._pause_s = pause_s
        self._rests_until_s = 0.0

    @property
    def state(self) -> State:
        """Half-open as soon as a probe may be made."""
        return State.HALF_OPEN if self._state is State.OPEN and not self._rests_for_s else self._state

    @property
    def _rests_for_s(self) -> float:
        return max(0.0, self._rests_until_s - self._clock()) if self._state is State.OPEN else 0.0

    def admit(self) -> int:
        """The era of a call that may be made now. Raises CircuitOpen unless it is closed."""
        if self._state is not State.CLOSED:
            rests_for_s = self._rests_for_s
            left = f"for {rests_for_s:.1f} s" if rests_for_s else "until a probe has answered"
            why = f"after {self._failures} failures in a row, the last: {self._last_error}"
            raise CircuitOpen(f"left alone {left}, {why}", rests_for_s)
        return self._era

    def take_probe(self) -> int | None:
        """The era of the one probe after each pause; None to everybody else."""
        if self._state is not State.OPEN or self._rests_for_s:
            return None
        self._enter(State.HALF_OPEN)
        return self._era

    def succeeded(self, era: int) -> None:
        if era != self._era:
            return
        self._failures = 0
        if self._state is State.HALF_OPEN:
            self._pause_s = self._first_pause_s
            self._enter(State.CLOSED)
            self._on_change("a probe was answered", None)

    def failed(self, era: int, error: Exception) -> None:
        if era != self._era:
            return
        self._failures += 1
        self._last_error = error
        if self._state is State.HALF_OPEN:
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)
            detail = "a probe failed"
        elif self._failures >= self._failures_to_open:
            detail = f"{self._failures} failures in a row"
        else:
            return
        self._rests_until_s = self._clock() + self._pause_s
        self._enter(State.OPEN)
        self._on_change(detail, error)

    def given_up(self, era: int) -> None:
        """Nothing was learned: the caller went away, or broke. After a probe the next one may be made at once."""
        if era == self._era and self._state is State.HALF_OPEN:
            self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self._state = state
        self._era += 1


def guarded(
    breaker: Breaker, call: Callable[P, Coroutine[Any, Any, T]], is_failure: Callable[[Exception], bool]
) -> Callable[P, Coroutine[Any, Any, T]]:
    """`call`, refused with CircuitOpen while the breaker is open.

    `is_failure` tells the backend's failures from our own: a bug, or a shortage of ours, is no reason to
    leave the backend alone.
    """
    probes: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    async def counted(era: int, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = await call(*args, **kwargs)
        except Exception as error:
            if is_failure(error):
                breaker.failed(era, error)
            raise
        breaker.succeeded(era)
        return result

    async def probe(era: int, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            async with asyncio.timeout(PROBE_WITHIN_S) as patience:
                await counted(era, *args, **kwargs)
        except Exception as error:
            if patience.expired():
                breaker.failed(era, TimeoutError(f"no answer to a probe within {PROBE_WITHIN_S:g} s"))
            elif not is_failure(error):
                log.exception("a probe failed, and not by its backend's fault")  # no caller waits for this task
        finally:
            breaker.given_up(era)  # of no effect once it has reported

    async def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        era = breaker.take_probe()
        if era is not None:
            task = asyncio.get_running_loop().create_task(probe(era, *args, **kwargs))
            probes.add(task)
            task.add_done_callback(probes.discard)
        return await counted(breaker.admit(), *args, **kwargs)

    return tried
