"""Observes the calls that are really made to one backend: metrics, and the monitor of its health.

It wraps the call itself, inside the breaker: a probe of the breaker is observed, and a refused call is not. Answers and
errors pass through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from aggregator.backends.pages import BackendError
from aggregator.monitoring.logs import FaultLog
from aggregator.monitoring.metrics import Metrics
from aggregator.monitoring.monitor import Monitor
from aggregator.policies.deadline import DeadlineExceeded
from aggregator.reasons import reason_of

T = TypeVar("T")
Ask = Callable[[float | None, Mapping[str, str]], Coroutine[Any, Any, T]]
"""A call of a backend: the seconds it has at most (None: no deadline), the headers that go with it."""


class Watch:
    """One backend's monitor with its gauge and its log lines, and the metrics of the calls made to it."""

    def __init__(self, backend: str, metrics: Metrics, fault_log: FaultLog, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._metrics = metrics
        self._clock = clock
        self._in_flight = metrics.in_flight.labels(backend)
        self._deadline_left = metrics.deadline_left.labels(backend)
        self._monitor = Monitor(partial(fault_log.health, backend), clock)
        metrics.degraded.labels(backend).set_function(self._degraded)

    def around(self, ask: Ask[T]) -> Ask[T]:
        async def watched(seconds: float | None, headers: Mapping[str, str]) -> T:
            if seconds is not None:
                self._deadline_left.observe(seconds)
            with self._in_flight.track_inprogress():
                return await self._observed(ask(seconds, headers))

        return watched

    async def _observed(self, answer: Coroutine[Any, Any, T]) -> T:
        began_s, monitor = self._clock(), self._monitor
        call = monitor.begin()
        try:
            result = await answer
        except (DeadlineExceeded, BackendError) as error:
            self._metrics.asked(self._backend, self._clock() - began_s, reason_of(error))
            if isinstance(error, DeadlineExceeded):
                monitor.timed_out(call)
            else:
                monitor.failed(call)
            raise
        except BaseException:  # cancelled, never made for want of a connection, or a bug of our own
            monitor.given_up(call)
            raise
        self._metrics.asked(self._backend, self._clock() - began_s)
        monitor.answered(call)
        return result

    def _degraded(self) -> float:
        self._monitor.look()
        return float(self._monitor.degraded)
