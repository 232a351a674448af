"""Recognises in the warm-up a run that cannot end well: every answer fails, or no call asks for what a fake has.

Such a run is stopped as soon as this is known, and judged by the same rule afterwards. It is a FAIL if the service
answered with errors, and a rig failure if no request reached the service or no call matched a fake's routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence.run import Evidence, Pool
from harness.evidence.unmatched import unmatched_calls
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import Plan
from harness.rundir.results import GateResult
from harness.rundir.rows import NO_ROUTE, NO_SEQ, Outcome
from harness.units import NS_PER_MS, format_things
from harness.verdict.validity import RunCheck

LEAST: Final = 10
"""Fewer answers, or fewer calls, are too few to conclude anything."""
NAMED_MOST: Final = 3
_WAITED_FOR: Final = (Outcome.CLIENT_TIMEOUT, Outcome.GATEWAY_TIMEOUT, Outcome.UNFINISHED)
"""These requests were sent and waited for an answer, so they count as having reached the service."""


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls came to the fakes, and how many of them matched a route of the fake."""

    numbered: int = 0
    """Calls that carry the number (`seq`) of the arrival that they belong to."""
    numbered_matched: int = 0
    others: int = 0
    others_matched: int = 0

    @classmethod
    def of(cls, calls: NDArray[Any]) -> CallCounts:
        """`calls`: rows of calls, without those of canaries."""
        numbered, matched = calls["seq"] != NO_SEQ, calls["route"] != NO_ROUTE
        counts = (numbered, numbered & matched, ~numbered, ~numbered & matched)
        return cls(*(int(np.count_nonzero(chosen)) for chosen in counts))

    def plus(self, more: CallCounts) -> CallCounts:
        """The sum of both counts."""
        return CallCounts(
            self.numbered + more.numbered,
            self.numbered_matched + more.numbered_matched,
            self.others + more.others,
            self.others_matched + more.others_matched,
        )

    @property
    def total(self) -> int:
        return self.numbered + self.others


def none_matches(calls: CallCounts, arrivals: int) -> bool:
    """Whether every call that the service made for `arrivals` requests asked for something that the fakes do not have.

    Calls without a number may be probes of the service's own, so they count only if there is at least one for every
    second arrival.
    """
    if calls.numbered_matched or calls.others_matched:
        return False
    return calls.numbered >= LEAST or (calls.others >= LEAST and 2 * calls.others >= arrivals)


def last_half(plan: Plan, samples: NDArray[Any], t0_ns: int) -> NDArray[Any]:
    """The first requests of the arrivals intended in the second half of the warm-up."""
    since_ns = t0_ns - round(plan.load.warmup_ms / 2 * NS_PER_MS)
    intended = samples["intended_ns"]
    rows: NDArray[Any] = samples[(intended >= since_ns) & (intended < t0_ns) & (samples["part"] == 0)]
    return rows


def all_failed(rows: NDArray[Any]) -> bool:
    """Whether there are enough requests to conclude from, and none of them ended ok."""
    return len(rows) >= LEAST and not (rows["outcome"] == Outcome.OK).any()


@dataclass(frozen=True, slots=True)
class WarmupFailure:
    """Why the run was stopped after its warm-up. `answered`: the service answered with errors, so it is a FAIL; else it
    is a rig failure."""

    reason: str
    why: str
    next: str
    answered: bool
    requests: int

    def gate(self) -> GateResult:
        """The failed gate `service-answers`, which only results of such a run contain."""
        return GateResult(
            id="service-answers",
            text="service-answers",
            line=0,
            metric="service-answers",
            phase="warmup",
            verdict="fail",
            kind=FindingKind.WARMUP_FAILED,
            reason=self.reason,
            limit=None,
            unit="share",
            op="<",
            observed=None,
            low=None,
            high=None,
            as_before=True,
            n=self.requests,
            exceeded=self.requests,
            deflation=None,
            withstands_ms=None,
        )

    def check(self) -> RunCheck:
        """The failed validity check of a run that is a rig failure for this reason."""
        return RunCheck("workers", False, self.reason, self.next)


def failed_warmup(pool: Pool) -> WarmupFailure | None:
    """The failure of the first run that was stopped after its warm-up; None if none was, whatever its warm-up shows."""
    for run in pool.runs:
        ended = run.manifest.ended
        if ended and ended.reason == "warmup_failed" and (failure := _failure_of(run)):
            return failure
    return None


def _failure_of(run: Evidence) -> WarmupFailure | None:
    arrivals = run.samples[(run.samples["intended_ns"] < run.t0_ns) & (run.samples["part"] == 0)]
    calls = CallCounts.of(run.calls[run.calls["arrived_ns"] < run.t0_ns])
    rows = last_half(run.plan, run.samples, run.t0_ns)
    failed = all_failed(rows)
    reached = bool(calls.total) or (rows["status"] > 0).any() or np.isin(rows["outcome"], _WAITED_FOR).any()
    if none_matches(calls, len(arrivals)):
        return _unmatched(run, calls, rows, answered=failed)
    if not failed:
        return None
    return _failing_answers(run, rows) if reached else _unreachable(run, rows)


def _unmatched(run: Evidence, calls: CallCounts, rows: NDArray[Any], *, answered: bool) -> WarmupFailure:
    lines = unmatched_calls([run])
    named = [f"{line.upstream} has no {line.asked}: {line.answered()}" for line in lines if line.path is not None]
    more = [f"{len(named) - NAMED_MOST} more"] if len(named) > NAMED_MOST else []
    detail = "; ".join([*named[:NAMED_MOST], *more]) or format_things(calls.total, "call")
    reason = f"every call of the service in the warm-up asked for something that its fakes do not have ({detail})"
    speaks = next((f": {line.speaks}" for line in lines if line.speaks), "")
    outcomes = f" {_ended_as(rows)}" if answered else ""
    return WarmupFailure(
        reason=reason,
        why=f"{_capital(reason)}. The run was stopped, since such calls meet no fault of a fake.{outcomes}",
        next=f"Let the service ask for what the fakes have{speaks}; docs/scenarios.md lists the providers.",
        answered=answered,
        requests=len(rows),
    )


def _failing_answers(run: Evidence, rows: NDArray[Any]) -> WarmupFailure:
    reason = "every request of the last half of the warm-up failed, before any fault"
    statuses = np.unique(rows["status"])
    status = int(statuses[0]) if len(statuses) == 1 and statuses[0] >= 400 else 0
    answered_with = f" Every request of it was answered with {status}." if status else ""
    log = "" if run.plan.service.kind == "url" else " See logs/sut.log for what the service says."
    return WarmupFailure(
        reason=reason,
        why=f"{_ended_as(rows)}{answered_with} The run was stopped, since this cannot become a PASS.",
        next=f"It answers {status} to everything: does it have the path of these requests, and may we ask it?{log}"
        if status
        else f"First repair what fails without a fault; until then this scenario says nothing about one.{log}",
        answered=True,
        requests=len(rows),
    )


def _unreachable(run: Evidence, rows: NDArray[Any]) -> WarmupFailure:
    reason = f"no request of the warm-up got an answer from {run.plan.gateway.target}. {_ended_as(rows).rstrip('.')}"
    return WarmupFailure(
        reason=reason,
        why=reason,
        next="see that the service listens there, and logs/locust-*.log for what the requests ran into",
        answered=False,
        requests=len(rows),
    )


def _ended_as(rows: NDArray[Any]) -> str:
    """`Of its 200 requests, 150 ended as http_error and 50 as gateway_timeout.`"""
    counts: Mapping[str, int] = {
        outcome.name.lower(): int(np.count_nonzero(rows["outcome"] == outcome))
        for outcome in Outcome
        if (rows["outcome"] == outcome).any()
    }
    parts = [f"{count} as {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    listed = listed.replace(" as", " ended as", 1)
    return f"Of the {format_things(len(rows), 'request')} of the warm-up's last half, {listed}."


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
