"""Logs in JSON that name the backend at fault, at a limited rate.

A backend that fails does so hundreds of times a minute. At most a few lines a second are written for each backend and
reason, and the next line says how many were left out. The metrics count all of them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import orjson

from aggregator.monitoring.monitor import AlertChange
from aggregator.reasons import INTERNAL, reason_of
from aggregator.trace import Trace

LINES_PER_S: Final = 5

log = logging.getLogger("aggregator")


class FaultLog:
    """Lines about backends and failed requests, at most LINES_PER_S a second for each backend and reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def left_out(
        self, backend: str, reason: str, detail: str, elapsed_s: float, trace: Trace, *, age_s: float | None = None
    ) -> None:
        """A backend that is missing in an answer, or whose offers of `age_s` ago stand in."""
        fields: dict[str, object] = {
            "reason": reason,
            "detail": detail,
            "elapsed_ms": round(elapsed_s * 1000, 1),
            **trace.fields(),
        }
        became = "left out of the answer"
        if age_s is not None:
            fields["age_s"] = round(age_s, 1)
            became = f"gave no answer, its offers of {age_s:.1f} s ago stand in"
        self._write(logging.ERROR, f"backend {backend} {became}: {reason}", backend, reason, fields)

    def breaker(self, backend: str, detail: str, error: Exception | None) -> None:
        """The breaker opened, or stays open after a probe, because of `error`; with None it closed."""
        if error is None:
            message = f"backend {backend} is asked again: {detail}"
            self._write(logging.INFO, message, backend, "breaker closed", {"breaker": "closed"})
            return
        reason = reason_of(error)
        fields: dict[str, object] = {"breaker": "open", "reason": reason, "detail": str(error)}
        self._write(logging.WARNING, f"backend {backend} is left alone: {detail}: {reason}", backend, "breaker", fields)

    def health(self, backend: str, change: AlertChange) -> None:
        """The backend's monitor reports a change."""
        state = "degraded" if change.degraded else "normal"
        fields: dict[str, object] = {"state": state, "why": change.why}
        for name, value in (("recent_p50_ms", change.recent_p50_ms), ("normal_p50_ms", change.normal_p50_ms)):
            if value is not None:
                fields[name] = round(value, 1)
        level = logging.WARNING if change.degraded else logging.INFO
        self._write(level, f"backend {backend} is {state}: {change.why}", backend, state, fields)

    def bug(self, backend: str, error: Exception, trace: Trace) -> None:
        """A bug of the service that this backend's answer brought out, with its traceback."""
        message = f"backend {backend} left out of the answer: a bug, {type(error).__name__}"
        self._write(logging.ERROR, message, backend, "bug", {"reason": INTERNAL, **trace.fields()}, error=error)

    def request_failed(self, error: Exception, trace: Trace, *, is_bug: bool) -> None:
        """A whole request that was answered with an error; with the traceback if it is a bug."""
        message = f"a request failed: {error or type(error).__name__}"
        bug = error if is_bug else None
        self._write(logging.ERROR, message, "", type(error).__name__, {**trace.fields()}, error=bug)

    def _write(
        self,
        level: int,
        message: str,
        backend: str,
        kind: str,
        fields: dict[str, object],
        *,
        error: Exception | None = None,
    ) -> None:
        suppressed = self._windows.setdefault((backend, kind), _Window()).admit(self._clock())
        if suppressed is None:
            return
        if backend:
            fields = {"backend": backend, **fields}
        if suppressed:
            fields["lines_left_out"] = suppressed
        log.log(level, "%s", message, extra={"fields": fields}, exc_info=error)


class _Window:
    """One second's lines of one kind."""

    def __init__(self) -> None:
        self._began_s = float("-inf")
        self._lines = 0
        self._suppressed = 0

    def admit(self, now_s: float) -> int | None:
        """How many lines were left out since the last one that was written; None: this one is left out too."""
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
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # and this one a traceback for every header that is none
