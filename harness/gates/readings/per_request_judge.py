"""Decides gates on what each request takes of the service, by the growth of its counters (`readings.growth`).

A counter that fell shows a FAIL and no PASS, since what an ended process had used is not in it.
"""

from __future__ import annotations

from typing import Final

from harness.evidence import Evidence, Pool
from harness.gates.exceedance import InconclusiveReason, describe_stopped
from harness.gates.gate import DECIDED, Finding, GateVerdict, Unit
from harness.gates.readings.growth import Growth, growth, total_growth
from harness.gates.readings.per_request import READINGS_LEAST, PerRequestGate
from harness.rundir.finding_kind import FindingKind
from harness.units import format_bytes, format_duration, format_things

_TO_UNIT: Final = {"cpu": 1000.0, "log": 1.0}
"""Seconds of processor time are shown in ms."""


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


def _growth(gate: PerRequestGate, pool: Pool, phase: str) -> Growth | InconclusiveReason:
    """What all runs together used in the phase."""
    parts = []
    for run in pool.runs:
        if run.window(phase).cut:
            return describe_stopped(pool)
        part = _growth_in(gate, run, phase)
        if isinstance(part, str):
            return InconclusiveReason(FindingKind.NO_READINGS, part)
        parts.append(part)
    return total_growth(parts, phase)


def _growth_in(gate: PerRequestGate, run: Evidence, phase: str) -> Growth | str:
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
    return growth(run, known.t_ns, known.figure(gate.figure) * _TO_UNIT[gate.metric])


def _text(value: float, unit: Unit) -> str:
    return format_duration(value) if unit == "ms" else format_bytes(value)


def _undecided(gate: PerRequestGate, why: InconclusiveReason, limit: float | None) -> Finding:
    return Finding("inconclusive", why.reason, limit, gate.unit, "<", why.kind)
