"""Prometheus metrics of the service and of each backend.

They count every call that is made, a breaker's probes and each try of several included, and every one
that is refused; logs do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from aggregator.reasons import REFUSALS, TIMEOUT

BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120)


class HasState(Protocol):
    @property
    def state(self) -> int: ...


def _state_of(pipeline: HasState) -> float:
    return float(pipeline.state)


class Metrics:
    """The service's own registry, so that two services in one process (tests) do not meet."""

    def __init__(self, backends: Iterable[str]) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.seconds = Histogram(
            "aggregator_backend_seconds",
            "Time until a backend's whole answer, error or deadline, where it was asked",
            ["backend"],
            registry=registry,
            buckets=BUCKETS_S,
        )
        self.calls = Counter(
            "aggregator_backend_calls", "Backends asked, by how it ended", ["backend", "outcome"], registry=registry
        )
        self.timeouts = Counter(
            "aggregator_backend_timeouts", "Backends given up on at their deadline", ["backend"], registry=registry
        )
        self.errors = Counter(
            "aggregator_backend_errors", "Backends that gave no usable answer", ["backend", "reason"], registry=registry
        )
        self.in_flight = Gauge(
            "aggregator_backend_in_flight", "Backends being waited for", ["backend"], registry=registry
        )
        self.stale = Counter(
            "aggregator_backend_stale",
            "Answers that hold a backend's last known offers",
            ["backend"],
            registry=registry,
        )
        self.breaker = Gauge(
            "aggregator_backend_breaker", "0 closed, 1 half-open, 2 open", ["backend"], registry=registry
        )
        self.degraded = Gauge(
            "aggregator_backend_degraded",
            "1 while a backend is slower than its own past, or fails",
            ["backend"],
            registry=registry,
        )
        self.deadline_left = Histogram(
            "aggregator_backend_deadline_left_seconds",
            "Time that a call may take at most, when it is made",
            ["backend"],
            registry=registry,
            buckets=BUCKETS_S,
        )
        self.requests = Counter("aggregator_requests", "Requests answered, by status", ["status"], registry=registry)
        self.requests_in_flight = Gauge("aggregator_requests_in_flight", "Requests being worked on", registry=registry)
        self._show(backends)

    def _show(self, backends: Iterable[str]) -> None:
        """A backend that was never asked shows as zero, and not as nothing."""
        for name in backends:
            self.seconds.labels(name)
            self.calls.labels(name, "ok")
            self.timeouts.labels(name)
            self.in_flight.labels(name)
            self.stale.labels(name)
            self.breaker.labels(name)
            self.degraded.labels(name)
            self.deadline_left.labels(name)

    def watch_breakers(self, lanes: Mapping[str, HasState]) -> None:
        """Their states are asked for when the metrics are."""
        for name, pipeline in lanes.items():
            self.breaker.labels(name).set_function(partial(_state_of, pipeline))

    def asked(self, backend: str, elapsed_s: float, reason: str | None = None) -> None:
        """A call that was made, and why it brought no offers if it did not."""
        self.seconds.labels(backend).observe(elapsed_s)
        self.calls.labels(backend, "ok" if reason is None else TIMEOUT if reason == TIMEOUT else "error").inc()
        if reason == TIMEOUT:
            self.timeouts.labels(backend).inc()
        elif reason is not None:
            self.errors.labels(backend, reason).inc()

    def not_asked(self, backend: str, reason: str) -> None:
        """A call that was refused, or came to nothing by a bug of ours. It took no time that would tell anything."""
        self.calls.labels(backend, "refused" if reason in REFUSALS else "error").inc()
        self.errors.labels(backend, reason).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)
