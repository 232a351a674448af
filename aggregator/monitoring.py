"""What can be seen from outside: Prometheus metrics, and logs in JSON that name the backend at fault.

A backend that fails does so hundreds of times a minute, so its errors are logged up to a few lines a
second, and the next line says how many were left out. Metrics count all of them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from aggregator.trace import Trace

BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120)
LINES_PER_S: Final = 5
REFUSALS: Final = ("circuit_open", "bulkhead_full", "budget_spent")
"""Reasons for which a backend was not even asked."""

log = logging.getLogger("aggregator")


class HasState(Protocol):
    @property
    def state(self) -> int: ...


def _state_of(lane: HasState) -> float:
    return float(lane.state)


class Metrics:
    """The service's own registry, so that two services in one process (tests) do not meet."""

    def __init__(self, backends: Iterable[str]) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.seconds = Histogram(
            "aggregator_backend_seconds",
            "Time until a backend's whole answer, error or deadline",
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
        self.requests = Counter("aggregator_requests", "Requests answered, by status", ["status"], registry=registry)
        self.requests_in_flight = Gauge("aggregator_requests_in_flight", "Requests being worked on", registry=registry)
        for name in backends:  # a backend that was never asked shows as zero, not as nothing
            self.seconds.labels(name)
            self.calls.labels(name, "ok")
            self.timeouts.labels(name)
            self.in_flight.labels(name)
            self.stale.labels(name)
            self.breaker.labels(name)

    def watch_breakers(self, lanes: Mapping[str, HasState]) -> None:
        """Their states are asked for when the metrics are."""
        for name, lane in lanes.items():
            self.breaker.labels(name).set_function(partial(_state_of, lane))

    def left_out(self, backend: str, reason: str, elapsed_s: float) -> None:
        """A backend that gave no offers, for whatever reason."""
        self.seconds.labels(backend).observe(elapsed_s)
        if reason == "timeout":
            self.timeouts.labels(backend).inc()
        else:
            self.errors.labels(backend, reason).inc()
        outcome = "timeout" if reason == "timeout" else "refused" if reason in REFUSALS else "error"
        self.calls.labels(backend, outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)


class FaultLog:
    """Error lines about backends, at most LINES_PER_S a second for each backend and reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def left_out(self, backend: str, reason: str, detail: str, elapsed_s: float, trace: Trace) -> None:
        window = self._windows.setdefault((backend, reason), _Window())
        suppressed = window.admit(self._clock())
        if suppressed is None:
            return
        fields: dict[str, object] = {
            "backend": backend,
            "reason": reason,
            "detail": detail,
            "elapsed_ms": round(elapsed_s * 1000, 1),
            **trace.fields(),
        }
        if suppressed:
            fields["lines_left_out"] = suppressed
        log.error("backend %s left out of the answer: %s", backend, reason, extra={"fields": fields})


class _Window:
    """One second's lines of one kind."""

    def __init__(self) -> None:
        self._began_s = float("-inf")
        self._lines = 0
        self._suppressed = 0

    def admit(self, now_s: float) -> int | None:
        """None: one line too many. Otherwise how many were left out since the last one."""
        if now_s - self._began_s >= 1:
            self._began_s, self._lines = now_s, 0
        if self._lines >= LINES_PER_S:
            self._suppressed += 1
            return None
        self._lines += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, message, and the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document: dict[str, object] = {"time": moment, "level": record.levelname, "message": record.getMessage()}
        document.update(getattr(record, "fields", {}))
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(document, default=str).decode()


def log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every call
