"""Recognises in the warm-up a run that cannot end well: every request fails, or none of the service's calls matches a
route of its fakes.

Such a run is stopped as soon as this is known, and judged by the same rule afterwards. It is a FAIL if every request of
the warm-up's last half failed although requests reached the service, also if they only timed out. Otherwise it is a rig
failure: no request reached the service, or its calls match no route while some answers were ok.
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
"""Fewer requests, or fewer calls, are too few to conclude anything."""
NAMED_MOST: Final = 3
"""How many unmatched requests a message names."""
_REACHED: Final = (Outcome.CLIENT_TIMEOUT, Outcome.GATEWAY_TIMEOUT, Outcome.UNFINISHED)
"""These requests were sent and waited for an answer, so they count as having reached the service."""


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls came to the fakes, and how many of them matched a route of the fake.

    `others`: calls without a number, which may be probes of the service's own.
    """

    numbered: int = 0
    """Calls that carry the number (`seq`) of the arrival that they belong to."""
    numbered_matched: int = 0
    others: int = 0
    others_matched: int = 0

    @classmethod
    def of(cls, calls: NDArray[Any]) -> CallCounts:
        """`calls`: a structured array of `rows.CALLS`, without the calls of canaries."""
        numbered, matched = calls["seq"] != NO_SEQ, calls["route"] != NO_ROUTE
        return cls(
            numbered=int(np.count_nonzero(numbered)),
            numbered_matched=int(np.count_nonzero(numbered & matched)),
            others=int(np.count_nonzero(~numbered)),
            others_matched=int(np.count_nonzero(~numbered & matched)),
        )

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
    second arrival. False while there are fewer than LEAST calls.
    """
    if calls.numbered_matched or calls.others_matched:
        return False
    return calls.numbered >= LEAST or (calls.others >= LEAST and 2 * calls.others >= arrivals)


def last_half(plan: Plan, samples: NDArray[Any], t0_ns: int) -> NDArray[Any]:
    """The first requests of the arrivals intended in the second half of the warm-up.

    `samples`: a structured array of `rows.SAMPLES`; so is the result. `t0_ns`: the end of the warm-up.
    """
    since_ns = t0_ns - round(plan.load.warmup_ms / 2 * NS_PER_MS)
    intended = samples["intended_ns"]
    rows: NDArray[Any] = samples[(intended >= since_ns) & (intended < t0_ns) & (samples["part"] == 0)]
    return rows


def all_failed(rows: NDArray[Any]) -> bool:
    """Whether there are enough requests to conclude from, and none of them ended ok."""
    return len(rows) >= LEAST and not (rows["outcome"] == Outcome.OK).any()


@dataclass(frozen=True, slots=True)
class WarmupFailure:
    """Why the run was stopped after its warm-up. `blames_service`: it is a FAIL; otherwise it is a rig failure.

    `reason`, `why`, `next`: as in results.json. `reason` is a clause, `why` the whole explanation, `next` what to do.
    """

    reason: str
    why: str
    next: str
    blames_service: bool
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
        # "workers" is the check of every failure of the harness that has no check of its own
        return RunCheck(check="workers", ok=False, detail=self.reason, fix=self.next)


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
    reached = bool(calls.total) or (rows["status"] > 0).any() or np.isin(rows["outcome"], _REACHED).any()
    if none_matches(calls, len(arrivals)):
        return _unmatched(run, calls, rows, blames_service=failed)
    if not failed:
        return None
    return _failing_answers(run, rows) if reached else _unreachable(run, rows)


def _unmatched(run: Evidence, calls: CallCounts, rows: NDArray[Any], *, blames_service: bool) -> WarmupFailure:
    lines = unmatched_calls([run])
    named = [f"{line.upstream} has no {line.asked}: {line.answered()}" for line in lines if line.path is not None]
    more = [f"{len(named) - NAMED_MOST} more"] if len(named) > NAMED_MOST else []
    detail = "; ".join([*named[:NAMED_MOST], *more]) or format_things(calls.total, "call")
    reason = f"every call of the service in the warm-up asked for something that its fakes do not have ({detail})"
    speaks = next((f": {line.speaks}" for line in lines if line.speaks), "")
    nearest = next((f" The nearest to {line.asked} is {line.nearest}." for line in lines if line.nearest), "")
    outcomes = f" {_ended_as(rows)}" if blames_service else ""
    return WarmupFailure(
        reason=reason,
        why=f"{_capital(reason)}. The run was stopped, since such calls meet no fault of a fake.{outcomes}",
        next=f"Let the service ask for what the fakes have{speaks}; see docs/scenarios.md.{nearest}",
        blames_service=blames_service,
        requests=len(rows),
    )


def _failing_answers(run: Evidence, rows: NDArray[Any]) -> WarmupFailure:
    reason = "every request of the last half of the warm-up failed, before any fault"
    statuses = np.unique(rows["status"])
    status = int(statuses[0]) if len(statuses) == 1 and statuses[0] >= 400 else 0
    answered_with = f" Every request of the last half was answered with {status}." if status else ""
    log = "" if run.plan.service.kind == "url" else " See logs/sut.log for what the service says."
    advice = "First repair what fails without a fault; until then this scenario says nothing about one."
    if status:
        advice = (
            f"It answers {status} to everything: does it have this path, and does it accept these requests "
            "(authentication)?"
        )
    return WarmupFailure(
        reason=reason,
        why=f"{_ended_as(rows)}{answered_with} The run was stopped, since this cannot become a PASS.",
        next=f"{advice}{log}",
        blames_service=True,
        requests=len(rows),
    )


def _unreachable(run: Evidence, rows: NDArray[Any]) -> WarmupFailure:
    reason = f"no request of the warm-up got an answer from {run.plan.gateway.target}. {_ended_as(rows).rstrip('.')}"
    return WarmupFailure(
        reason=reason,
        why=reason,
        next="see that the service listens there, and logs/locust-*.log for what the requests ran into",
        blames_service=False,
        requests=len(rows),
    )


def _ended_as(rows: NDArray[Any]) -> str:
    """`Of its 200 requests, 150 ended as http_error and 50 as gateway_timeout.`"""
    counts: Mapping[str, int] = {
        outcome.name.lower(): int(np.count_nonzero(rows["outcome"] == outcome))
        for outcome in Outcome
        if (rows["outcome"] == outcome).any()
    }
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    parts = [f"{count} {'as' if place else 'ended as'} {name}" for place, (name, count) in enumerate(ranked)]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"Of the {format_things(len(rows), 'request')} of the warm-up's last half, {listed}."


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
