"""Polls the service's alert metric and writes to the detection book for which upstreams it is raised.

The request goes to the service itself and not through its gateway, and does not count as load. A poll that fails is
repeated once. Two failures are recorded as a gap and nothing more. An answer that was cut short counts as a failure,
because an alert that is not in it may be raised all the same. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from harness.rundir.plan import Plan
from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.detection.detection_book import DetectionBook
from harness.stack.detection.exposition import alerts, holds_samples, import_parser, is_metrics
from harness.stack.processes import probe

POLL_S: Final = 0.5
POLL_TIMEOUT_S: Final = 1.0
_ANSWER_MOST: Final = 80


@dataclass(slots=True)
class AlertPoll:
    """What the service's alert metric said of each upstream in the polls so far."""

    url: str
    metric: str
    headers: Mapping[str, str]
    upstreams: tuple[PlannedUpstream, ...]
    known: dict[str, bool] = field(default_factory=dict)
    """By upstream: whether the alert was raised when it was last seen."""
    _gone_ns: dict[str, int] = field(default_factory=dict)
    """By upstream whose alert was raised: since when it has no sample."""

    @classmethod
    def of(cls, plan: Plan, base_url: str, headers: Mapping[str, str]) -> Self | None:
        """None if the plan names no alert."""
        service = plan.service
        if service.alerts_path is None or service.alerts_metric is None or not plan.upstreams:
            return None
        return cls(f"{base_url}{service.alerts_path}", service.alerts_metric, headers, plan.upstreams)

    def note(self, text: str, book: DetectionBook, t_ns: int) -> None:
        """Record what the service answered (`text`). A raised alert is over once two answers in a row have no sample of
        it."""
        found = alerts(text, self.metric, self.upstreams)
        for upstream in (planned.name for planned in self.upstreams):
            before, now = self.known.get(upstream), found.get(upstream)
            sample = f'{self.metric}{{…"{upstream}"}}'
            if now is None:
                if before and (since_ns := self._gone_ns.setdefault(upstream, t_ns)) != t_ns:
                    self.known[upstream] = False
                    book.normal(upstream, f"{sample} is gone", since_ns)
                continue
            self._gone_ns.pop(upstream, None)
            self.known[upstream] = now
            if now:
                book.raised(upstream, "alert", f"{sample} > 0", t_ns)
            elif before is not False:
                book.normal(upstream, f"{sample} is 0", t_ns)

    def refused(self, answer: probe.ProbeAnswer, text: str) -> str:
        """Why an answer cannot be used; empty if it can."""
        if answer.status != 200:
            return f"answered {answer.status}"
        if not is_metrics(text) and not alerts(text, self.metric, self.upstreams):
            return f"the answer is no metrics: {text.strip()[:_ANSWER_MOST]}"
        if not answer.whole:
            return f"the answer was cut short after {len(answer.body):,} bytes"
        if any(self.known.values()) and not holds_samples(text):
            return "an alert was raised, and now the answer holds no sample of anything"
        return ""


async def poll_forever(poll: AlertPoll, book: DetectionBook) -> None:
    """Poll about twice a second until cancelled. A failure is recorded at most once a second."""
    import_parser()
    next_s = time.monotonic()
    answered_ns = time.monotonic_ns()
    recorded_s = float("-inf")
    while True:
        asked_ns = time.monotonic_ns()
        text, failed = await _ask(poll)
        if failed:  # a service under load may fail to answer once
            asked_ns = time.monotonic_ns()
            text, failed = await _ask(poll)
        t_ns = time.monotonic_ns()
        if not failed:
            poll.note(text, book, t_ns)
            book.flush(t_ns)
            answered_ns = asked_ns
        elif time.monotonic() - recorded_s >= 1:
            recorded_s = time.monotonic()
            book.gap("alert", f"the alert could not be read: {failed}", answered_ns, t_ns)
        next_s = max(next_s + POLL_S, time.monotonic())
        await asyncio.sleep(next_s - time.monotonic())


async def _ask(poll: AlertPoll) -> tuple[str, str]:
    """What the service answered, and why that cannot be used (empty if it can)."""
    try:
        answer = await probe.get(poll.url, headers=poll.headers, timeout_s=POLL_TIMEOUT_S)
    except TimeoutError:
        return "", f"no answer within {POLL_TIMEOUT_S:g} s"
    except (OSError, ValueError) as exc:
        return "", str(exc) or type(exc).__name__
    text = answer.body.decode("utf-8", "replace")
    return text, poll.refused(answer, text)
