"""From a scenario's faults to planned ones: which upstreams they break, when, and how. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.faults import Fault, FaultContext, UnobservableFault
from harness.rundir.plan import FaultWindow, PlannedFault
from harness.scenario.planning.timeline import Timeline
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs


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
        context = FaultContext(
            hold_ms=hold_ms,
            answer_bytes=min((least for least, _ in sizes), default=0),
            answer_bytes_most=max((most for _, most in sizes), default=0),
            fakes=all(scenario.upstreams[name].KIND == "fake" for name in hit),
            seed=seed,
        )
        try:
            planned_fault = _fault(fault, targets, windows, context)
        except UnobservableFault as exc:
            findings.append(Diagnostic(("faults", index, fault.KIND), exc.message, exc.fix))
            continue
        if planned_fault.behaviour is not None and not context.fakes:
            not_fakes = [name for name in targets if scenario.upstreams[name].KIND != "fake"]
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
