"""What gates refer to must be there: phases, upstreams, requests. A gate says itself what else it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.gates import Gate
from harness.gates.context import GateDiagnostic, KnownFault, ScenarioNames
from harness.model.value_types import did_you_mean
from harness.scenario.names.resolve import Names, known_upstream
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.value_syntax import ALERTS_OF_A_RUNG
from harness.scenario.source.diagnostics import Diagnostic, Path

UNJUDGED: Final = ("warmup", "guard", "tail")
"""Phases that a run has and gates have not."""


@dataclass(frozen=True, slots=True)
class LocatedGate:
    """A parsed gate with where it stands; `path` is a fault's for a default gate."""

    gate: Gate
    path: Path
    line: int

    def diagnostics(self, found: Iterable[GateDiagnostic]) -> Iterator[Diagnostic]:
        """What the gate says of itself, in its place."""
        for each in found:
            yield self.at(each.word, each.message, each.fix)

    def at(self, word: str, message: str, fix: str) -> Diagnostic:
        return Diagnostic(self.path, message, fix, offset=max(0, self.gate.text.find(word)) if word else 0)


def unresolved_in_gate(located: LocatedGate, names: Names) -> Iterator[Diagnostic]:
    gate = located.gate
    for phase in gate.phases():
        name = phase.removeprefix("after ")
        if phase in ("whole", "baseline") or names.has_fault(name):
            continue
        if phase in UNJUDGED:
            found = f"no gate looks at the phase `{phase}`: what happens there says nothing about the service"
            yield located.at(name, found, "write `during baseline`, `during whole` or `during FAULT`")
            continue
        known = [*names.known_faults, *(() if phase.startswith("after ") else ("baseline", "whole"))]
        hint = did_you_mean(name, known, otherwise="add it to `faults`, or leave the phase out")
        yield located.at(name, f"there is no fault `{name}`", hint)
    for name in gate.upstreams():
        if names.upstreams is not None and name not in names.upstreams:
            yield located.at(name, f"there is no upstream `{name}`", known_upstream(name, names.upstreams))
    for name in gate.requests():
        if names.requests and name not in names.requests:
            yield located.at(name, f"there is no request `{name}`", did_you_mean(name, names.requests))


def gate_diagnostics(scenario: Scenario, located: LocatedGate) -> Iterator[Diagnostic]:
    """What the gate itself needs of a scenario in which every name means something."""
    without_alerts = scenario.service.url is not None and scenario.service.alerts is None
    names = ScenarioNames(
        upstreams=tuple(scenario.upstreams),
        faults=tuple(KnownFault(fault.name, fault.hits(scenario.upstreams), fault.for_ms) for fault in scenario.faults),
        has_gateway_timeout=scenario.gateway.deadline_ms is not None,
        looks_into_answers=scenario.load.complete != "none",
        starts_service=scenario.service.url is None,
        missing_alerts=ALERTS_OF_A_RUNG if without_alerts else "",
        written=located.path[0] == "gates",
    )
    yield from located.diagnostics(located.gate.name_diagnostics(names))
