"""Can anybody be named? What a `named` or `cleared` gate needs of a scenario besides names that exist. Pure.

Refuses a gate on an upstream that no fault breaks, on a fault that does not break it, on windows too short for anybody
to be late in, on one that comes too soon to know what is said without it, and on a service of which neither log nor
alert is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.gates import ClearedGate, DetectedGate, Gate
from harness.rundir.plan import Plan
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.value_syntax import ALERTS_OF_A_RUNG
from harness.units import duration_literal

LATE_MS: Final = 1_000.0
"""A window lasts this much longer than the limit, or its fault, applied a moment late, leaves no room to be late in."""


@dataclass(frozen=True, slots=True)
class GateDiagnostic:
    """`word`: where in the gate's text the caret stands; empty: at its beginning."""

    word: str
    message: str
    fix: str


def naming_findings(scenario: Scenario, gate: Gate, *, hits_known: bool = True) -> Iterator[GateDiagnostic]:
    """`hits_known`: of every fault it is known whom it breaks."""
    if not isinstance(gate, DetectedGate | ClearedGate):
        return
    if scenario.service.url is not None and scenario.service.alerts is None:
        yield GateDiagnostic(
            "",
            "the log of a service given by `url` is not ours to read, so nobody could see whom it names",
            f"say where its alert metric is: `service: {{alerts: {ALERTS_OF_A_RUNG}}}`, or remove the gate",
        )
    if isinstance(gate, DetectedGate) and gate.upstream in scenario.upstreams and hits_known:
        yield from _named(scenario, gate)


def _named(scenario: Scenario, gate: DetectedGate) -> Iterator[GateDiagnostic]:
    hitting = [fault for fault in scenario.faults if gate.upstream in fault.hits(scenario.upstreams)]
    names = [fault.name for fault in hitting]
    known = [fault.name for fault in scenario.faults]
    if not hitting:
        yield GateDiagnostic(
            gate.upstream,
            f"no fault breaks `{gate.upstream}`, so nobody should name it",
            "name one that a fault breaks",
        )
        return
    if gate.fault is not None and gate.fault in known and gate.fault not in names:
        fix = f"write `during {names[0]}`, or leave it out: then every fault that breaks it counts"
        yield GateDiagnostic(gate.fault, f"`{gate.fault}` does not break `{gate.upstream}`", fix)
        return
    asked = [fault for fault in hitting if gate.fault in (None, fault.name)]
    longest_ms = max((fault.for_ms for fault in asked), default=0.0)
    if asked and longest_ms < gate.limit_ms + LATE_MS:
        yield GateDiagnostic(
            duration_literal(gate.limit_ms),
            f"the fault stands for {duration_literal(longest_ms)}, so nobody could be later than "
            f"{duration_literal(gate.limit_ms)}",
            f"write a shorter limit, or `for: {duration_literal(gate.limit_ms + LATE_MS)}` or longer",
        )


def unheard_before(plan: Plan, gate: Gate) -> Iterator[GateDiagnostic]:
    """Of a `named` gate: the service is listened to for as long as the limit before the fault first comes, or nobody
    knows whom it names anyway. The warm-up counts, where it is needed."""
    if not isinstance(gate, DetectedGate):
        return
    faults = [
        fault
        for fault in plan.faults
        if gate.upstream in fault.upstreams
        and gate.fault in (None, fault.name)
        # of a shorter one the scenario's problem is that
        and fault.windows[0].remove_ms - fault.windows[0].apply_ms > gate.limit_ms
    ]
    first = min(faults, key=lambda fault: fault.windows[0].apply_ms, default=None)
    if first is None:
        return
    before_ms = plan.load.warmup_ms + first.windows[0].apply_ms
    if before_ms < gate.limit_ms:
        yield GateDiagnostic(
            duration_literal(gate.limit_ms),
            f"`{first.name}` comes {duration_literal(before_ms)} after the load began, too soon to know which "
            "upstreams the service names anyway",
            f"let it come {duration_literal(gate.limit_ms)} or more after the load began (raise load.baseline or "
            "load.warmup, or the fault's `at`), or write a shorter limit",
        )
