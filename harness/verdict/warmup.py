"""Recognises in the warm-up a run that cannot end well: every request fails, or an upstream that the run is about has
nothing that the service asks it for.

Such a run is stopped as soon as this is known, and judged by the same rule afterwards. It is a FAIL if every request of
the warm-up's last half failed although requests reached the service, also if they only timed out. Otherwise it is a rig
failure: no request reached the service, or an upstream has nothing of what it is asked for while some answers were ok.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence.joining.row_table import AnyRows, RowTable
from harness.evidence.run import Evidence, Pool
from harness.evidence.unmatched import CallCounts, unmatched_calls
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.manifest import part_of_upstream
from harness.rundir.plan import Plan
from harness.rundir.results import GateResult
from harness.rundir.rows import Outcome
from harness.rundir.unmatched import Unmatched
from harness.units import NS_PER_MS, format_things
from harness.verdict.bad_seconds.taken import TakenSeconds
from harness.verdict.bad_seconds.waiting import without_waiting
from harness.verdict.validity import RunCheck

SERVICE_ANSWERS: Final = "service-answers"
"""The gate that only results of a run have that was stopped after its warm-up."""
LEAST: Final = 10
"""Fewer requests, or fewer calls, are too few to conclude anything."""
NAMED_MOST: Final = 3
"""How many upstreams, and how many unmatched requests, a message names."""
ASKED_BY_ALL: Final = 0.9
"""An upstream that at least this share of the arrivals asks counts as asked by all: the last calls of the warm-up may
come after it."""
_REACHED: Final = (Outcome.CLIENT_TIMEOUT, Outcome.GATEWAY_TIMEOUT, Outcome.UNFINISHED)
"""These requests were sent and waited for an answer, so they count as having reached the service."""


def none_matches(calls: CallCounts, arrivals: int) -> bool:
    """Whether every call that the service made for `arrivals` requests asked for something that the fakes do not have.

    Calls without a number may be probes of the service's own, so they count only if there is at least one for every
    second arrival. False while there are fewer than LEAST calls.
    """
    if calls.numbered_matched or calls.others_matched:
        return False
    return calls.numbered >= LEAST or (calls.others >= LEAST and 2 * calls.others >= arrivals)


def asked_in_vain(plan: Plan, calls: NDArray[Any] | RowTable, arrivals: int) -> tuple[str, ...]:
    """The upstreams because of which a run cannot end well, in the plan's order; empty if there is none.

    The service got nothing from them that they have, and the run is about them: a fault or a gate names them, or every
    request asks them, or the service got nothing from any other upstream either. `calls`: rows of
    `rows.CALLS`, the calls of the warm-up without those of canaries; `arrivals`: how many requests it had.
    """
    counts = {
        upstream.name: CallCounts.of(calls[calls["upstream"] == upstream.index])
        for upstream in plan.upstreams
        if upstream.records_calls
    }
    if none_matches(CallCounts.of(calls), arrivals):
        return tuple(name for name, count in counts.items() if count.total)
    about = _named(plan)
    return tuple(
        name
        for name, count in counts.items()
        if none_matches(count, arrivals)
        and (name in about or max(count.arrivals, count.others) >= ASKED_BY_ALL * arrivals)
    )


def _named(plan: Plan) -> set[str]:
    """The upstreams that a fault or a gate is about. A gate on `complete` is about all that a request asks for, one on
    calls that names no upstream about all."""
    names = {name for fault in plan.faults for name in fault.upstreams}
    for gate in (parse_gate(planned.text) for planned in plan.gates):
        names |= set(gate.upstreams())
        if gate.uses_complete:
            names |= {name for request in plan.load.requests for name in request.asks}
        if gate.counts_calls and not gate.upstreams():
            names |= {upstream.name for upstream in plan.upstreams}
    return names


def last_half(plan: Plan, samples: AnyRows, t0_ns: int) -> AnyRows:
    """The first requests of the arrivals intended in the second half of the warm-up.

    `samples`: rows of `rows.SAMPLES`; so is the result. `t0_ns`: the end of the warm-up.
    """
    since_ns = t0_ns - round(plan.load.warmup_ms / 2 * NS_PER_MS)
    intended = samples["intended_ns"]
    sent = (samples["part"] == 0) & (samples["outcome"] != Outcome.NO_REQUEST)
    rows: AnyRows = samples[(intended >= since_ns) & (intended < t0_ns) & sent]
    return rows


def all_failed(rows: NDArray[Any] | RowTable) -> bool:
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
    part: str = ""
    """What the run failed by, if it is a rig failure."""

    def gate(self) -> GateResult:
        """The failed gate `service-answers`, which only results of such a run contain."""
        return GateResult(
            id=SERVICE_ANSWERS,
            text=SERVICE_ANSWERS,
            line=0,
            metric=SERVICE_ANSWERS,
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
        return RunCheck(check="workers", ok=False, detail=self.reason, fix=self.next, part=self.part)


def failed_warmup(pool: Pool) -> WarmupFailure | None:
    """The failure of the first run that was stopped after its warm-up; None if none was, whatever its warm-up shows."""
    for run in pool.runs:
        ended = run.manifest.ended
        if ended and ended.reason == "warmup_failed" and (failure := _failure_of(run)):
            return failure
    return None


def held_up_warmup(pool: Pool, taken: Sequence[TakenSeconds]) -> bool:
    """Whether others may have made the requests of a warm-up fail, by which a run was stopped: not all of its last half
    fail if they are believed to have been held up for as long as is possible. `taken`: one for each run."""
    return any(
        each.seconds and not all_failed(last_half(run.plan, without_waiting(run, each).samples, run.t0_ns))
        for run, each in zip(pool.runs, taken, strict=True)
        if run.manifest.ended is not None and run.manifest.ended.reason == "warmup_failed"
    )


def _failure_of(run: Evidence) -> WarmupFailure | None:
    arrivals = run.samples[(run.samples["intended_ns"] < run.t0_ns) & (run.samples["part"] == 0)]
    in_warmup = run.calls[run.calls["arrived_ns"] < run.t0_ns]
    rows = last_half(run.plan, run.samples, run.t0_ns)
    failed = all_failed(rows)
    reached = bool(len(in_warmup)) or (rows["status"] > 0).any() or np.isin(rows["outcome"], _REACHED).any()
    if names := asked_in_vain(run.plan, in_warmup, len(arrivals)):
        return _unmatched(run, names, rows, blames_service=failed)
    if not failed:
        return None
    return _failing_answers(run, rows) if reached else _unreachable(run, rows)


def _unmatched(run: Evidence, names: tuple[str, ...], rows: RowTable, *, blames_service: bool) -> WarmupFailure:
    lines = [line for line in unmatched_calls([run]) if line.upstream in names and line.path is not None]
    listed = [f"{line.upstream} has no {line.asked}: {line.answered()}" for line in lines]
    detail = f" ({_some(listed, '; ')})" if listed else ""
    what = "it does not have" if len(names) == 1 else "they do not have"
    reason = f"every call of the service to {_some(names)} in the warm-up asked for something that {what}{detail}"
    outcomes = f" {_ended_as(rows)}" if blames_service else ""
    return WarmupFailure(
        reason=reason,
        why=f"The run was stopped, since it would show nothing of what the service does with {_some(names)}.{outcomes}",
        next=_let_them_have_it(names, lines),
        blames_service=blames_service,
        requests=len(rows),
        part=part_of_upstream(names[0]) if len(names) == 1 else "upstreams",
    )


def _let_them_have_it(names: tuple[str, ...], lines: Sequence[Unmatched]) -> str:
    """What to do about calls for what fakes do not have, with what they have that is most like it."""
    speaks = next((f": {line.speaks}" for line in lines if line.speaks and not line.nearest), "")
    nearest = [f"the nearest to {line.asked} of {line.upstream} is {line.nearest}" for line in lines if line.nearest]
    if not nearest:
        return f"Let the service ask for what {_some(names)} has{speaks}; see docs/scenarios.md."
    return (
        f"Add a route for what the service asks, or correct the base URL that it is given: "
        f"{_some(nearest, '; ')}. A 404 that is meant is a route too, such as "
        f"`{lines[0].asked}: {{status: 404}}`."
    )


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    """The first NAMED_MOST texts, and how many more there are."""
    more = [f"{len(texts) - NAMED_MOST} more"] if len(texts) > NAMED_MOST else []
    return separator.join([*texts[:NAMED_MOST], *more])


def _failing_answers(run: Evidence, rows: RowTable) -> WarmupFailure:
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


def _unreachable(run: Evidence, rows: RowTable) -> WarmupFailure:
    reason = f"no request of the warm-up got an answer from {run.plan.gateway.target}. {_ended_as(rows).rstrip('.')}"
    return WarmupFailure(
        reason=reason,
        why=reason,
        next="see that the service listens there, and logs/locust-*.log for what the requests ran into",
        blames_service=False,
        requests=len(rows),
    )


def _ended_as(rows: RowTable) -> str:
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
