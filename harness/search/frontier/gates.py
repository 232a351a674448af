"""Which gates judge the loads of one curve of a frontier search. Pure.

What must hold while an upstream is bad, the scenario says in the `during` gates of its faults on that upstream. A
scenario without any is judged by its gates on the whole run, which hold with and without faults; one without those by
its gates on the baseline, or else by the `during` gates of other faults, which were written for something else. An
outage is judged by the recovery gate alone: the question is whether the service comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.gates.parse import parse_gate
from harness.gates.recovery import RecoveryGate
from harness.rundir.plan import Plan, PlannedGate
from harness.rundir.searches.frontier import FrontierFinding, FrontierKind
from harness.search.load_plans import not_judged, over_the_whole
from harness.units import duration_literal

HEALTHY: Final = PlannedGate(id="healthy", text="errors < 10%", line=0)
"""Where the scenario has no gate for it. A `recovery` gate takes a baseline with more errors for broken, too."""


@dataclass(frozen=True, slots=True)
class LevelGates:
    """`broken`: of the loads with the fault. `healthy`: of those without it, before the search and after a load that
    broke. `findings`: what a reader must know of the choice."""

    broken: tuple[PlannedGate, ...]
    healthy: tuple[PlannedGate, ...]
    findings: tuple[FrontierFinding, ...] = ()
    used: tuple[str, ...] = ()
    """The texts of the scenario's gates among them that no other search could judge."""
    of_outage: bool = False


def level_gates(plan: Plan, upstream: str, kind: FrontierKind, *, fault: str, recovery_ms: float) -> LevelGates:
    """The gates of one curve. `fault`: the name of the search's own fault. `recovery_ms`: the limit of the recovery
    gate where the scenario has none. There may be none for the loads with the fault."""
    steady, borrowed = _steady(plan, upstream)
    healthy = over_the_whole(plan, ("whole", "baseline")) or _without_calls(steady) or (HEALTHY,)
    if kind != "outage":
        return LevelGates(steady, healthy, ("borrowed_gates",) if borrowed else ())
    gate, findings, used = _recovery(plan, upstream, fault, recovery_ms)
    return LevelGates((gate,), healthy, findings, used, of_outage=True)


def unjudged(plan: Plan, every: tuple[LevelGates, ...]) -> dict[str, str]:
    """The scenario's gates that no load of the search can judge, with the reason."""
    used = {text for gates in every for text in gates.used}
    has_outage = any(gates.of_outage for gates in every)
    found = {text: reason for text, reason in not_judged(plan).items() if text not in used}
    if has_outage:
        found |= {text: reason for text in found if (reason := _beside_outage(text, sorted(used)))}
    return found


def _beside_outage(text: str, used: Sequence[str]) -> str:
    """Why an outage is not judged by this gate either; empty if that is no question. `used`: those that judge some."""
    gate = parse_gate(text)
    if not isinstance(gate, RecoveryGate):
        return "an outage is judged by its recovery alone" if gate.phase.startswith("after ") else ""
    limits_ms = {each: parsed.limit_ms for each in used if isinstance(parsed := parse_gate(each), RecoveryGate)}
    shorter = [each for each, limit_ms in limits_ms.items() if limit_ms <= gate.limit_ms]
    if shorter:
        return f"the outages are judged by the shorter limit of `{shorter[0]}`"
    return f"the outages are judged by `{used[0]}`, which is of a fault on their upstream" if used else ""


def _steady(plan: Plan, upstream: str) -> tuple[tuple[PlannedGate, ...], bool]:
    """The gates of the loads in which the fault stands all the time, and whether they were written for something else.

    Gates on faults that break this upstream alone come before those on faults that break others with it.
    """
    alone = tuple(fault.name for fault in plan.faults if fault.upstreams == (upstream,))
    among = tuple(fault.name for fault in plan.faults if upstream in fault.upstreams)
    for phases in (alone, among, ("whole",)):
        if own := over_the_whole(plan, phases):
            return own, False
    for phases in (("baseline",), tuple(fault.name for fault in plan.faults)):
        if others := over_the_whole(plan, phases):
            return others, True
    return (), True


def _without_calls(gates: tuple[PlannedGate, ...]) -> tuple[PlannedGate, ...]:
    """Those that also hold in health: how often an upstream is asked while it is broken says nothing of that."""
    return tuple(gate for gate in gates if not parse_gate(gate.text).counts_calls)


def _recovery(
    plan: Plan, upstream: str, fault: str, recovery_ms: float
) -> tuple[PlannedGate, tuple[FrontierFinding, ...], tuple[str, ...]]:
    """The recovery gate of an outage, with the shortest limit that the scenario has: first of the faults on this
    upstream, then of any."""
    on_it = {each.name for each in plan.faults if upstream in each.upstreams}
    parsed = [(planned, parse_gate(planned.text)) for planned in plan.gates]
    every = [(planned, gate) for planned, gate in parsed if isinstance(gate, RecoveryGate)]
    own = [(planned, gate) for planned, gate in every if gate.fault in on_it]
    planned, gate = min(own or every, key=lambda each: each[1].limit_ms, default=(None, None))
    limit_ms = recovery_ms if gate is None else gate.limit_ms
    text = f"recovery < {duration_literal(limit_ms)} after {fault}"
    findings: tuple[FrontierFinding, ...] = () if own else ("borrowed_gates",) if every else ("default_recovery",)
    line = planned.line if planned else 0
    return PlannedGate(id="g1", text=text, line=line), findings, (planned.text,) if planned else ()
