"""Decides gates on the service's own metrics by their TYPE: a gauge's highest reading, a counter's increase a request.

Of a gauge one reading at the limit is a FAIL, and of several runs the worst counts. A counter's increases and requests
are added over the runs. A PASS needs five readings, and of a gauge none may be missing for long. A series that never
came is inconclusive, never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from harness.evidence import Evidence, Pool
from harness.evidence.metrics import MetricSeries
from harness.gates.exceedance import InconclusiveReason, describe_stopped
from harness.gates.gate import DECIDED, Finding, GateVerdict, Unit
from harness.gates.readings.growth import Growth, growth, total_growth
from harness.gates.readings.metric import MetricGate
from harness.gates.readings.per_request import READINGS_LEAST
from harness.gates.readings.resource_gate import END_S, READINGS_LAST
from harness.gates.wording.figures import format_figure
from harness.rundir.finding_kind import FindingKind
from harness.units import NS_PER_S, Span, format_things

GAP_S_MOST: Final = 5.0
"""After a longer time without a reading a gauge's highest value is not known."""
_CUT: Final = "the load was stopped before the phase was over"


@dataclass(frozen=True, slots=True)
class _Level:
    """The highest of a gauge's `readings`, and why it may not be the highest of all; empty if it is."""

    highest: float
    at_s: float
    readings: int
    unsure: str


_Usage = _Level | Growth


def judge(gate: MetricGate, pool: Pool) -> Finding:
    """Judge all runs together."""
    limit, origin = gate.limit, ""
    if gate.factor is not None:
        usual = _usage(gate, pool, "baseline")
        if isinstance(usual, InconclusiveReason) or _unsure(usual):
            kind = usual.kind if isinstance(usual, InconclusiveReason) else FindingKind.NO_BASELINE
            why = usual.reason if isinstance(usual, InconclusiveReason) else _unsure(usual)
            missing = kind if kind != FindingKind.NO_READINGS else FindingKind.NO_BASELINE
            return _undecided(gate, InconclusiveReason(missing, f"the limit cannot be computed: {why}"), None)
        limit = gate.factor * _value(usual)
        origin = f", {gate.factor:g} times the baseline's {_text(_value(usual), gate.unit)}"
    assert limit is not None, "a gate has a limit or a factor"
    usage = _usage(gate, pool, gate.phase)
    if isinstance(usage, InconclusiveReason):
        return _undecided(gate, usage, limit)
    value = _value(usage)
    if not exceeds(value, limit) and _unsure(usage) == _CUT:
        return _undecided(gate, describe_stopped(pool), limit)
    verdict: GateVerdict = "fail" if exceeds(value, limit) else "inconclusive" if _unsure(usage) else "pass"
    seen = _describe(gate, usage)
    reason = f"{seen}; the limit is {_text(limit, gate.unit)}{origin}"
    if verdict == "inconclusive":
        reason = f"{_unsure(usage)}: {reason}"
    return Finding(
        verdict=verdict,
        reason=reason,
        limit=limit,
        unit=gate.unit,
        op="<",
        kind=FindingKind.NO_READINGS if verdict == "inconclusive" else DECIDED[verdict],
        observed=value,
        n=usage.readings,
        seen=seen,
    )


def exceeds(value: float, limit: float) -> bool:
    """Whether the gate fails: its limit is strict."""
    return value >= limit


def _usage(gate: MetricGate, pool: Pool, phase: str) -> _Usage | InconclusiveReason:
    """What all runs together show of the series in a phase."""
    levels: list[_Level] = []
    growths: list[Growth] = []
    for run in pool.runs:
        series = run.metric(gate.of.text, phase)
        if trouble := _not_readable(gate, series, phase):
            return describe_stopped(pool) if run.window(phase).cut and not len(series.t_ns) else trouble
        if series.type == "gauge":
            levels.append(_level(gate, run, series, phase))
        elif run.window(phase).cut:
            return describe_stopped(pool)
        else:
            growths.append(growth(run, series.t_ns, series.values))
    if levels and growths:
        return InconclusiveReason(FindingKind.NOT_A_READING, f"{gate.of.text} has another TYPE in each run")
    if levels:
        worst = max(levels, key=lambda level: level.highest)
        unsure = next((level.unsure for level in levels if level.unsure), "")
        return _Level(worst.highest, worst.at_s, sum(level.readings for level in levels), unsure)
    if few := next((each for each in growths if each.readings < READINGS_LEAST), None):
        return InconclusiveReason(FindingKind.NO_READINGS, _few(gate, few.readings, phase))
    return total_growth(growths, phase)


def _not_readable(gate: MetricGate, series: MetricSeries, phase: str) -> InconclusiveReason | None:
    """Why the series says nothing at all; None if it says something."""
    if not series.is_recorded:
        return InconclusiveReason(FindingKind.NO_READINGS, "the run has no record of the service's metrics")
    if not len(series.t_ns):
        why = f": {series.failed}" if series.failed else ""
        return InconclusiveReason(FindingKind.NO_SERIES, f"{gate.of.text} never came in the phase `{phase}`{why}")
    if series.type not in ("gauge", "counter"):
        found = "is a histogram, a summary, or has no TYPE; only gauges and counters are judged"
        return InconclusiveReason(FindingKind.NOT_A_READING, f"{gate.of.text} {found}")
    return None


def _level(gate: MetricGate, run: Evidence, series: MetricSeries, phase: str) -> _Level:
    window = run.window(phase)
    t_ns, values, begin_ns = series.t_ns, series.values, window.start_ns
    if gate.is_back and phase == gate.phase:  # what the fault caused must be gone in the end
        begin_ns = max(begin_ns, window.end_ns - round(END_S * NS_PER_S))
        t_ns, values = t_ns[t_ns >= begin_ns][-READINGS_LAST:], values[t_ns >= begin_ns][-READINGS_LAST:]
        begin_ns = int(t_ns[0]) if len(t_ns) else begin_ns
    if not len(t_ns):
        return _Level(-np.inf, 0.0, 0, f"there is no reading of {gate.of.text} at the end of `{phase}`")
    place = int(values.argmax())
    unsure = _CUT if window.cut else ""
    if len(t_ns) < READINGS_LEAST:
        unsure = unsure or _few(gate, len(t_ns), phase)
    edges = [begin_ns, *t_ns.tolist(), window.end_ns]
    longest = max(
        Span(a, b).end_ns - a - sum(Span(a, b).overlap_ns(gone) for gone in run.planned_absences)
        for a, b in pairwise(edges)
    )
    if longest > GAP_S_MOST * NS_PER_S:
        unsure = unsure or f"for {longest / NS_PER_S:.1f} s of `{phase}` there is no reading of {gate.of.text}"
    return _Level(float(values[place]), (int(t_ns[place]) - window.start_ns) / NS_PER_S, len(t_ns), unsure)


def _few(gate: MetricGate, readings: int, phase: str) -> str:
    return (
        f"the phase `{phase}` has {format_things(readings, 'reading')} of {gate.of.text}; {READINGS_LEAST} are needed"
    )


def _value(usage: _Usage) -> float:
    return usage.highest if isinstance(usage, _Level) else usage.each


def _unsure(usage: _Usage) -> str:
    if isinstance(usage, _Level):
        return usage.unsure
    return (
        "the counter fell, so the service was started again and what it had counted is not known" if usage.fell else ""
    )


def _describe(gate: MetricGate, usage: _Usage) -> str:
    value = _text(_value(usage), gate.unit)
    if isinstance(usage, _Level):
        of = {"baseline": "the baseline", "whole": "the run"}.get(gate.phase, gate.phase)
        if gate.is_back:
            return f"{gate.of.text} was {value} at most in the last {usage.readings} readings {gate.phase}"
        return f"{gate.of.text} reached {value} at {usage.at_s:.1f} s of {of}"
    at_least = "at least " if usage.fell else ""
    return f"{gate.of.text} grew by {at_least}{value} for each of {format_things(usage.requests, 'request')}"


def _text(value: float, unit: Unit) -> str:
    return format_figure(unit, value)


def _undecided(gate: MetricGate, why: InconclusiveReason, limit: float | None) -> Finding:
    return Finding("inconclusive", why.reason, limit, gate.unit, "<", why.kind)
