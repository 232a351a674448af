"""From a scenario's faults to planned ones: which upstreams they break, when, and how. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from harness.faults import Fault, FaultContext, UnobservableFault
from harness.rundir.plan import FaultWindow, PlannedFault
from harness.scenario.planning.timeline import Timeline
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs

REQUEST_BYTES: Final = 100
"""A canary's request has at least as many bytes."""
HANDSHAKE_ANSWER_BYTES: Final = 700
"""A listener's handshake has at least as many bytes, all sent before its answer."""
HANDSHAKE_REQUEST_BYTES: Final = 200
"""A client's handshake has at least as many bytes, all sent before its request."""
HANDSHAKE_FLIGHTS: Final = 3
"""Two round trips of a handshake of TLS 1.2, and the answer."""


def plan_faults(
    scenario: Scenario, inputs: Mapping[str, UpstreamInputs], timeline: Timeline, seed: int
) -> tuple[tuple[PlannedFault, ...], list[Diagnostic]]:
    """The planned faults, and a diagnostic for each fault that nothing could prove or that only a fake could produce.
    `inputs`: what the files of each upstream contain."""
    planned: list[PlannedFault] = []
    findings: list[Diagnostic] = []
    hold_ms = scenario.gateway.deadline_ms or timeline.client_cap_ms
    for index, (fault, windows) in enumerate(zip(scenario.faults, timeline.windows, strict=True)):
        targets = fault.hits(scenario.upstreams)
        hit = [name for name in targets if name in scenario.upstreams]
        sizes = [scenario.upstreams[name].answer_bytes(inputs.get(name, NO_INPUTS)) for name in hit]
        in_tls = [scenario.upstreams[name].terminates_tls for name in hit]
        shaken = all(in_tls) and bool(in_tls)
        context = FaultContext(
            hold_ms=hold_ms,
            answer_bytes=min((least for least, _ in sizes), default=0) + (HANDSHAKE_ANSWER_BYTES if shaken else 0),
            request_bytes=REQUEST_BYTES + (HANDSHAKE_REQUEST_BYTES if shaken else 0),
            flights=HANDSHAKE_FLIGHTS if any(in_tls) else 1,
            answer_bytes_most=max((most for _, most in sizes), default=0),
            fakes=all(scenario.upstreams[name].records_calls for name in hit),
            seed=seed,
        )
        try:
            planned_fault = _fault(fault, targets, windows, context)
        except UnobservableFault as exc:
            findings.append(Diagnostic(("faults", index, fault.KIND), exc.message, exc.fix))
            continue
        if planned_fault.behaviour is not None and not context.fakes:
            not_fakes = [name for name in targets if not scenario.upstreams[name].records_calls]
            message = f"only a fake can do `{fault.KIND}` itself, and {', '.join(not_fakes)} is none"
            fix = "name fakes alone, or break the connection: latency, hang, reset …"
            findings.append(Diagnostic(("faults", index, fault.KIND), message, fix))
        planned.append(planned_fault)
    return tuple(planned), findings


def _fault(
    fault: Fault, targets: Sequence[str], windows: tuple[FaultWindow, ...], context: FaultContext
) -> PlannedFault:
    effect = fault.compile(context)
    return PlannedFault(
        name=fault.name,
        kind=fault.KIND,
        text=fault.text,
        upstreams=tuple(targets),
        windows=windows,
        toxics=effect.toxics,
        disables_proxy=effect.disables_proxy,
        behaviour=effect.behaviour,
        held_ms=effect.held_ms,
        delay_ms=effect.delay_ms,
        share=fault.share,
        proof=effect.proof,
        met=fault.met,
    )
