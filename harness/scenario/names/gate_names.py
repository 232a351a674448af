"""What gates refer to must be there: phases, upstreams, requests, and what they are measured by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.faults import ALL, BUT, Fault
from harness.gates import Gate, ResourceGate
from harness.model.value_types import did_you_mean
from harness.scenario.names.detection_gates import naming_findings
from harness.scenario.names.unsure import Unsure
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic, Path

UNJUDGED: Final = ("warmup", "guard", "tail")
"""Phases that a run has and gates have not."""


@dataclass(frozen=True, slots=True)
class LocatedGate:
    """A parsed gate with where it stands; `path` is a fault's for a default gate."""

    gate: Gate
    path: Path
    line: int


def gate_findings(
    scenario: Scenario, named: LocatedGate, unsure: Unsure, adrift: Sequence[Fault]
) -> Iterator[Diagnostic]:
    """`adrift`: what `adrift_faults` says of the scenario."""
    gate = named.gate
    yield from _phases(scenario, named, unsure, adrift)
    for name in gate.upstreams():
        if name not in scenario.upstreams and not unsure.upstream(name):
            found = f"there is no upstream `{name}`"
            yield _in_gate(named, name, found, known_upstream(name, scenario.upstreams))
    requests = [request.name for request in scenario.load.written_requests]
    for name in gate.requests():
        if requests and name not in requests:
            yield _in_gate(named, name, f"there is no request `{name}`", did_you_mean(name, requests))
    if gate.uses_gateway_timeout and scenario.gateway.deadline_ms is None:
        fix = (
            "write the limit, such as p99 < 2s"
            if named.path[0] == "gates"
            else "write `gates` with limits of their own"
        )
        yield _in_gate(named, "gateway.timeout", "with `gateway: {kind: none}` there is no gateway.timeout", fix)
    if gate.uses_complete and scenario.load.complete == "none":
        yield _in_gate(named, "", "with `complete: none` no answer is looked into", "remove `complete: none`")
    elif gate.uses_complete and not scenario.upstreams:
        yield _in_gate(
            named, "", "without upstreams no answer can be incomplete", "add `upstreams`, or remove the gate"
        )
    # a fault of which nobody knows whom it breaks may be the one
    for naming in naming_findings(scenario, gate, hits_known=not unsure.any_fault and not adrift):
        yield _in_gate(named, naming.word, naming.message, naming.fix)
    if gate.metric.startswith("calls") and not scenario.upstreams:
        yield _in_gate(named, "", "without upstreams nothing counts calls", "add `upstreams`, or remove the gate")
    if isinstance(gate, ResourceGate) and scenario.service.url is not None:
        yield _in_gate(
            named,
            "",
            f"the service at `url` is not started by tailgate, which cannot look at its {gate.metric}",
            "let tailgate start it by `service.command`, or remove the gate",
        )


def _phases(scenario: Scenario, named: LocatedGate, unsure: Unsure, adrift: Sequence[Fault]) -> Iterator[Diagnostic]:
    faults = [fault.name for fault in scenario.faults]
    # called after an upstream whose name is wrong, which is told there
    endings = tuple({f"-{fault.KIND.replace('_', '-')}" for fault in adrift if not fault.given_name})
    for phase in named.gate.phases():
        name = phase.removeprefix("after ")
        if name in faults or unsure.fault(name) or name.endswith(endings) or phase in ("whole", "baseline"):
            continue
        if phase in UNJUDGED:
            found = f"no gate looks at the phase `{phase}`: what happens there says nothing about the service"
            yield _in_gate(named, name, found, "write `during baseline`, `during whole` or `during FAULT`")
            continue
        known = faults if phase.startswith("after ") else [*faults, "baseline", "whole"]
        hint = did_you_mean(name, known, otherwise="add it to `faults`, or leave the phase out")
        yield _in_gate(named, name, f"there is no fault `{name}`", hint)


def _in_gate(named: LocatedGate, word: str, message: str, fix: str) -> Diagnostic:
    return Diagnostic(named.path, message, fix, offset=max(0, named.gate.text.find(word)) if word else 0)


def adrift_faults(scenario: Scenario) -> tuple[Fault, ...]:
    """Those of upstreams that there are not."""
    known = {ALL, *scenario.upstreams}
    return tuple(
        fault for fault in scenario.faults if any(target.removeprefix(BUT) not in known for target in fault.targets)
    )


def known_upstream(name: str, upstreams: Iterable[str]) -> str:
    return did_you_mean(name, upstreams, otherwise=f"add `upstreams: {{{name}: {{}}}}`")
