"""Decides gates on memory, threads and sockets by the highest reading of a phase. Of several runs the worst counts.

During a phase every reading must be below the limit, so one reading that is not makes a FAIL. After a fault resources
are released only gradually, so there only the phase's last readings count. A PASS needs readings throughout the phase:
with too few, a gap between them, a figure that the system does not report, or a stopped load it is inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from harness.evidence import Evidence, Pool
from harness.evidence.resources import format_states, in_order
from harness.gates.exceedance import InconclusiveReason, describe_stopped
from harness.gates.gate import Finding, GateVerdict, Unit
from harness.gates.readings.resource_gate import (
    END_S,
    READINGS_LAST,
    READINGS_LEAST,
    SLACK,
    ResourceGate,
)
from harness.rundir.finding_kind import FindingKind
from harness.units import NS_PER_S, Span, format_bytes, format_quantity, format_things

GAP_S_MOST: Final = 5.0
"""After a longer time without a reading it is unknown what the service used meanwhile."""
SAMPLES_LEAST: Final = 0.7
"""Attempts to read per second. If there were fewer, the machine was too busy to read in time."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The gate in one run. `n`: readings judged; `exceeded`: those at or above the limit."""

    verdict: GateVerdict
    kind: FindingKind
    reason: str
    limit: float | None
    observed: float | None = None
    n: int = 0
    exceeded: int = 0
    seen: str = ""
    socket_states: tuple[tuple[str, int], ...] = ()

    @property
    def weight(self) -> tuple[int, float]:
        """A sort key: the worst of several runs has the greatest."""
        return ("pass", "inconclusive", "fail").index(self.verdict), self.observed or 0.0


def judge(gate: ResourceGate, pool: Pool) -> Finding:
    """Judge each run by itself; the worst counts."""
    if pool.plan.service.kind == "url":
        reason = "tailgate did not start the service, so its resources were not measured"
        return Finding("inconclusive", reason, gate.limit, gate.unit, "<", FindingKind.NO_PROCESS)
    outcomes = [_outcome(gate, run, pool) for run in pool.runs]
    worst = max(outcomes, key=lambda outcome: outcome.weight)
    return Finding(
        verdict=worst.verdict,
        reason=worst.reason,
        limit=worst.limit,
        unit=gate.unit,
        op="<",
        observed=worst.observed,
        n=sum(outcome.n for outcome in outcomes),
        exceeded=sum(outcome.exceeded for outcome in outcomes),
        kind=worst.kind,
        seen=worst.seen,
        socket_states=worst.socket_states,
    )


def exceeds(value: float, limit: float) -> bool:
    """Whether a reading counts against the gate: its limit is strict, so a reading equal to it does."""
    return value >= limit


def _outcome(gate: ResourceGate, run: Evidence, pool: Pool) -> _Outcome:
    limit, origin = gate.limit, ""
    if gate.factor is not None:
        baseline = _Usage(gate, run, "baseline")
        if trouble := baseline.unknown(pool):
            reason = f"the limit cannot be computed from the baseline: {trouble.reason}"
            stopped = trouble.kind == FindingKind.STOPPED
            return _Outcome("inconclusive", trouble.kind if stopped else FindingKind.NO_BASELINE, reason, None)
        limit, origin = _multiple(gate, gate.factor, baseline.highest)
    assert limit is not None, "a gate has a limit or a factor"
    limit_text = f"the limit is {_formatted(limit, gate.unit)}{origin}"
    usage = _Usage(gate, run, gate.phase, last=gate.is_back)
    trouble = usage.unknown(pool)
    if usage.n and exceeds(usage.highest, limit) and not (trouble and gate.is_back):
        seen = usage.describe(failed=True)
        return _Outcome(
            verdict="fail",
            kind=FindingKind.EXCEEDED,
            reason=f"{seen}; {limit_text}",
            limit=limit,
            observed=usage.highest,
            n=usage.n,
            exceeded=usage.at_least(limit),
            seen=seen,
            socket_states=usage.socket_states,
        )
    if trouble:
        observed = usage.highest if usage.n else None
        return _Outcome("inconclusive", trouble.kind, trouble.reason, limit, observed, usage.n)
    seen = usage.describe(failed=False)
    reason = f"{seen}; {limit_text}"
    return _Outcome("pass", FindingKind.HELD, reason, limit, usage.highest, usage.n, seen=seen)


def _multiple(gate: ResourceGate, factor: float, highest: float) -> tuple[float, str]:
    """The limit, and a clause on where it comes from. `highest`: the baseline's highest reading."""
    slack = SLACK[gate.metric]
    usual = _formatted(highest, gate.unit)
    if factor * highest >= highest + slack:
        return factor * highest, f", {factor:g} times the baseline's highest, {usual}"
    room = f"and {_formatted(slack, gate.unit)} more, since {factor:g} times it would leave less room"
    return highest + slack, f", the baseline's highest, {usual}, {room}"


class _Usage:
    """The readings of the gate's metric in a phase of one run; with `last` only those at its end."""

    def __init__(self, gate: ResourceGate, run: Evidence, phase: str, *, last: bool = False) -> None:
        window = run.window(phase)
        every = run.readings_in(phase)
        if last:
            every = every.since(window.end_ns - round(END_S * NS_PER_S))
        known = every.knowing(gate.figure)
        if last:
            known = known.last(READINGS_LAST)
        self._gate = gate
        self._phase = phase
        self._last = last
        self._seconds = min(window.seconds, END_S) if last else window.seconds
        self._every = every
        self._states = known.by_state
        self._cut = window.cut
        self._end_ns = window.end_ns
        self._t_ns = known.t_ns
        self._values = known.figure(gate.figure)
        self._phase_start_ns = window.start_ns
        self._absences = run.planned_absences

    @property
    def n(self) -> int:
        return len(self._values)

    @property
    def highest(self) -> float:
        return float(self._values.max())

    def at_least(self, limit: float) -> int:
        """How many readings count against the limit."""
        return sum(exceeds(value, limit) for value in self._values.tolist())

    @property
    def socket_states(self) -> tuple[tuple[str, int], ...]:
        """For a gate on sockets, how many were in each state at the highest reading; else empty."""
        states = self._states[int(self._values.argmax())] if self._gate.metric == "sockets" else None
        return tuple(in_order(states)) if states else ()

    def unknown(self, pool: Pool) -> InconclusiveReason | None:
        """Why the highest usage is not known for certain; None if it is."""
        if self._cut:
            return describe_stopped(pool)
        reason = self._too_few_readings()
        return InconclusiveReason(FindingKind.NO_READINGS, reason) if reason else None

    def _too_few_readings(self) -> str:
        metric, phase = self._gate.metric, self._phase
        if not len(self._every):
            return f"there is no reading of the service in the phase `{phase}`"
        if not self.n:
            are = "is" if metric == "rss" else "are"
            return (
                f"the service's {metric} {are} not in the run's records: this system does not report it, or the run "
                "was recorded by an older tailgate"
            )
        if self.n < READINGS_LEAST:
            where = f"the last {END_S:g} s of `{phase}` have" if self._last else f"the phase `{phase}` has"
            few = f"{where} {format_things(self.n, 'reading')} of the service's {metric}; {READINGS_LEAST} are needed"
            return few + self._why_few()
        edges = np.concatenate([[self._t_ns[0] if self._last else self._phase_start_ns], self._t_ns, [self._end_ns]])
        gaps = np.array(
            [
                (end - begin - sum(Span(begin, end).overlap_ns(absence) for absence in self._absences)) / NS_PER_S
                for begin, end in pairwise(edges.tolist())
            ]
        )
        longest = int(gaps.argmax())
        if gaps[longest] > GAP_S_MOST:
            since = self._second(int(edges[longest]))
            gap = f"for {gaps[longest]:.1f} s, from {since} of `{phase}` on"
            return f"{gap}, there is no reading of the service's {metric}"
        return ""

    def _why_few(self) -> str:
        """A bracket on why there are so few readings; empty if the phase itself was short."""
        attempts = len(self._every)
        if attempts < SAMPLES_LEAST * self._seconds:
            return f" ({attempts} attempts in {self._seconds:.1f} s: the machine was too busy for one a second)"
        if self.n == attempts:
            return ""
        if self._gate.metric == "sockets" and not self._silent_twice:
            every_s = self._seconds / self.n
            return f" (counted every {every_s:.1f} s, since one count took more than a tenth of a core)"
        return f" (the system gave no figure in {attempts - self.n} of {attempts} attempts)"

    @property
    def _silent_twice(self) -> bool:
        """Whether two attempts in a row gave no figure. A count that is left out to save time is never left out twice
        in a row, so then the system gave none."""
        silent = np.isnan(self._every.figure(self._gate.figure))
        return bool((silent[1:] & silent[:-1]).any())

    def describe(self, *, failed: bool) -> str:
        """`threads reached 271 at 12.3 s of azure-slow`."""
        metric, most = self._gate.metric, _formatted(self.highest, self._gate.unit)
        place = int(self._values.argmax())
        by_state = self._states[place] if failed and metric == "sockets" else None
        states = f" ({format_states(by_state)})" if by_state else ""
        if self._last:
            span = f"{self._second(int(self._t_ns[0]))} to {self._second(int(self._t_ns[-1]))}"
            was = "was" if metric == "rss" else "were"
            back = f"{metric} {was} {'not ' if failed else ''}back"
            return f"{back}: {most} at most in the last {self.n} readings {self._phase}, {span} of it{states}"
        at = self._second(int(self._t_ns[place]))
        of = {"baseline": "the baseline", "whole": "the run"}.get(self._phase, self._phase)
        return f"{metric} reached {most} at {at} of {of}{states}"

    def _second(self, t_ns: int) -> str:
        return f"{(t_ns - self._phase_start_ns) / NS_PER_S:.1f} s"


def _formatted(value: float, unit: Unit) -> str:
    return format_bytes(value) if unit == "bytes" else format_quantity(value)
