"""Decides gates on what each request takes of the service: the growth of a counter ÷ the requests that ended meanwhile.

The counter is taken between the readings of a phase, and requests are counted between the same moments, so a reading
that is missing costs nothing. A stretch that touches a second in which the load generator was late is left out on both
sides. Where the counter fell, a process has ended and took its figure with it: then the growth is at least what was
seen, which can show a FAIL and no PASS.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.evidence import Evidence, Pool
from harness.gates.exceedance import InconclusiveReason, describe_stopped
from harness.gates.gate import DECIDED, Finding, GateVerdict, Unit
from harness.gates.readings.per_request import READINGS_LEAST, PerRequestGate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.rows import Outcome
from harness.units import NS_PER_S, Span, format_bytes, format_duration, format_things

_TO_UNIT = {"cpu": 1000.0, "log": 1.0}
"""Seconds of processor time are shown in ms."""


@dataclass(frozen=True, slots=True)
class _Growth:
    """How much a counter grew while `requests` ended, in the gate's unit. `fell`: it is at least so much."""

    total: float
    requests: int
    readings: int
    fell: bool

    @property
    def each(self) -> float:
        return self.total / self.requests


def judge(gate: PerRequestGate, pool: Pool) -> Finding:
    """Judge the totals of all runs together."""
    if pool.plan.service.kind == "url":
        reason = "tailgate did not start the service, so its resources were not measured"
        return _undecided(gate, InconclusiveReason(FindingKind.NO_PROCESS, reason), gate.limit)
    limit, origin = gate.limit, ""
    if gate.factor is not None:
        usual = _growth(gate, pool, "baseline")
        if isinstance(usual, InconclusiveReason):
            stopped = usual.kind == FindingKind.STOPPED
            why = f"the limit cannot be computed from the baseline: {usual.reason}"
            return _undecided(gate, InconclusiveReason(usual.kind if stopped else FindingKind.NO_BASELINE, why), None)
        limit, origin = (
            gate.factor * usual.each,
            f", {gate.factor:g} times the baseline's {_text(usual.each, gate.unit)}",
        )
    assert limit is not None, "a gate has a limit or a factor"
    grown = _growth(gate, pool, gate.phase)
    if isinstance(grown, InconclusiveReason):
        return _undecided(gate, grown, limit)
    verdict: GateVerdict = "fail" if exceeds(grown.each, limit) else "inconclusive" if grown.fell else "pass"
    at_least = "at least " if grown.fell else ""
    what = "of processor time" if gate.metric == "cpu" else "of log"
    seen = f"{at_least}{_text(grown.each, gate.unit)} {what} for each of {format_things(grown.requests, 'request')}"
    reason = f"{seen}; the limit is {_text(limit, gate.unit)}{origin}"
    if verdict == "inconclusive":
        reason = f"a process of the service ended, so what it had used is not known: {reason}"
    return Finding(
        verdict=verdict,
        reason=reason,
        limit=limit,
        unit=gate.unit,
        op="<",
        kind=FindingKind.NO_READINGS if verdict == "inconclusive" else DECIDED[verdict],
        observed=grown.each,
        n=grown.requests if gate.unit == "ms" else grown.readings,
        seen=seen,
    )


def exceeds(each: float, limit: float) -> bool:
    """Whether the gate fails: its limit is strict."""
    return each >= limit


def _growth(gate: PerRequestGate, pool: Pool, phase: str) -> _Growth | InconclusiveReason:
    """What all runs together used in the phase."""
    parts = []
    for run in pool.runs:
        if run.window(phase).cut:
            return describe_stopped(pool)
        part = _growth_in(gate, run, phase)
        if isinstance(part, str):
            return InconclusiveReason(FindingKind.NO_READINGS, part)
        parts.append(part)
    requests = sum(part.requests for part in parts)
    if not requests:
        return InconclusiveReason(FindingKind.NO_ARRIVALS, f"no request ended in the phase `{phase}`")
    total, readings = sum(part.total for part in parts), sum(part.readings for part in parts)
    return _Growth(total, requests, readings, any(part.fell for part in parts))


def _growth_in(gate: PerRequestGate, run: Evidence, phase: str) -> _Growth | str:
    """In one run; or why it is not known."""
    every = run.readings_in(phase)
    known = every.knowing(gate.figure)
    if len(every) and not len(known):
        return (
            f"the service's {gate.metric} is not in the run's records: this system does not report it, or the run was "
            "recorded by an older tailgate"
        )
    if len(known) < READINGS_LEAST:
        few = format_things(len(known), "reading")
        return f"the phase `{phase}` has {few} of the service's {gate.metric}; {READINGS_LEAST} are needed"
    values, left_out = known.figure(gate.figure), _left_out(run)
    ended_ns = np.sort(run.samples["done_ns"][run.samples["outcome"] != Outcome.DROPPED])
    total, requests, fell = 0.0, 0, False
    for (begin_ns, before), (end_ns, after) in pairwise(zip(known.t_ns.tolist(), values.tolist(), strict=True)):
        stretch = Span(begin_ns, end_ns)
        if any(stretch.overlap_ns(span) for span in left_out):
            continue
        total += max(0.0, after - before)
        fell |= after < before
        requests += int(np.searchsorted(ended_ns, end_ns) - np.searchsorted(ended_ns, begin_ns))
    return _Growth(total * _TO_UNIT[gate.metric], requests, len(known), fell)


def _left_out(run: Evidence) -> list[Span]:
    """Late seconds of the load generator with the one after each, and when a fault kept the service from running."""
    late = [Span(run.t0_ns + second * NS_PER_S, run.t0_ns + (second + 2) * NS_PER_S) for second in run.bad_seconds]
    return [*late, *run.planned_absences]


def _text(value: float, unit: Unit) -> str:
    return format_duration(value) if unit == "ms" else format_bytes(value)


def _undecided(gate: PerRequestGate, why: InconclusiveReason, limit: float | None) -> Finding:
    return Finding("inconclusive", why.reason, limit, gate.unit, "<", why.kind)
