"""Checks that the phases, upstreams and requests in gates exist. Each gate checks itself what else it needs. Pure."""

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
"""Phases of a run that no gate may name."""


@dataclass(frozen=True, slots=True)
class LocatedGate:
    """A parsed gate with its position; the `path` of a default gate is that of its fault."""

    gate: Gate
    path: Path
    line: int

    def diagnostics(self, found: Iterable[GateDiagnostic]) -> Iterator[Diagnostic]:
        """The gate's own diagnostics, at its position."""
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
            found = f"no gate can be about the phase `{phase}`: its requests are not evidence about the service"
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


def gate_diagnostics(
    scenario: Scenario, located: LocatedGate, *, looks_into_answers: bool, unmarked: tuple[str, ...], mark_fix: str
) -> Iterator[Diagnostic]:
    """What the gate itself requires of a scenario, whose names must all be resolved already. `looks_into_answers`,
    `unmarked`, `mark_fix`: as in ScenarioNames."""
    without_alerts = scenario.service.url is not None and scenario.service.alerts is None
    names = ScenarioNames(
        upstreams=tuple(scenario.upstreams),
        faults=tuple(KnownFault(fault.name, fault.hits(scenario.upstreams), fault.for_ms) for fault in scenario.faults),
        has_gateway_timeout=scenario.gateway.deadline_ms is not None,
        looks_into_answers=looks_into_answers,
        unmarked=unmarked,
        mark_fix=mark_fix,
        asks={
            request.name: tuple(scenario.upstreams) if request.asks is None else request.asks
            for request in scenario.load.written_requests
        },
        has_metrics=scenario.service.metrics_path is not None,
        has_locustfile=scenario.load.locustfile is not None,
        starts_service=scenario.service.url is None,
        missing_alerts=ALERTS_OF_A_RUNG if without_alerts else "",
        written=located.path[0] == "gates",
    )
    yield from located.diagnostics(located.gate.name_diagnostics(names))
