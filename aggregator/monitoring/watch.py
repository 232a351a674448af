"""What is seen of the calls that are really made to one backend, probes of its breaker included.

It stands around the innermost call, so what a policy refuses is not seen. It refuses to change anything:
the call's answer, its failure and its time are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from aggregator.monitoring.logs import FaultLog
from aggregator.monitoring.metrics import Metrics
from aggregator.monitoring.monitor import Monitor
from aggregator.pages import BackendError
from aggregator.policies.deadline import DeadlineExceeded

T = TypeVar("T")
Ask = Callable[[float | None, Mapping[str, str]], Coroutine[Any, Any, T]]
"""A call of a backend: the seconds it has at most (None: no deadline), the headers that go with it."""


class Watch:
    """One backend's monitor, its gauge and its log lines, and the time that its calls have."""

    def __init__(self, backend: str, metrics: Metrics, fault_log: FaultLog, clock: Callable[[], float]) -> None:
        self._deadline_left = metrics.deadline_left.labels(backend)
        self._monitor = Monitor(partial(fault_log.health, backend), clock)
        metrics.degraded.labels(backend).set_function(self._degraded)

    def around(self, ask: Ask[T]) -> Ask[T]:
        async def watched(seconds: float | None, headers: Mapping[str, str]) -> T:
            if seconds is not None:
                self._deadline_left.observe(seconds)
            monitor = self._monitor
            call = monitor.begin()
            try:
                result = await ask(seconds, headers)
            except DeadlineExceeded:
                monitor.timed_out(call)
                raise
            except BackendError:
                monitor.failed(call)
                raise
            except BaseException:  # cancelled, or a bug of our own
                monitor.given_up(call)
                raise
            monitor.answered(call)
            return result

        return watched

    def _degraded(self) -> float:
        self._monitor.look()
        return float(self._monitor.degraded)
