"""From a scenario's faults to planned ones: which upstreams they break, when, and how. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from harness.faults import Fault, FaultContext, UnobservableFault
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.toxics import TOXICS
from harness.scenario.planning.fault_routes import route_findings
from harness.scenario.planning.fault_targets import target_findings
from harness.scenario.planning.timeline import Timeline
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.protocols import PROTOCOLS
from harness.upstreams.upstream import Upstream
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs

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
        own = [(name, scenario.upstreams[name]) for name in hit]
        sizes = [upstream.answer_bytes(inputs.get(name, NO_INPUTS)) for name, upstream in own]
        in_tls = [upstream.terminates_tls for _, upstream in own]
        shaken = all(in_tls) and bool(in_tls)
        context = FaultContext(
            hold_ms=hold_ms,
            answer_bytes=min((least for least, _ in sizes), default=0) + (HANDSHAKE_ANSWER_BYTES if shaken else 0),
            request_bytes=min((upstream.canary.sent for _, upstream in own), default=0)
            + (HANDSHAKE_REQUEST_BYTES if shaken else 0),
            flights=HANDSHAKE_FLIGHTS if any(in_tls) else 1,
            answer_bytes_most=max((most for _, most in sizes), default=0),
            fakes=all(upstream.records_calls for _, upstream in own),
            forwarded=any(upstream.argv and upstream.records_calls for _, upstream in own),
            seed=seed,
        )
        real = [(name, upstream.protocol) for name, upstream in own if not upstream.records_calls]
        findings += target_findings(scenario, fault, index)
        findings += route_findings(scenario, inputs, fault, index)
        try:
            planned_fault = _fault(fault, targets, windows, context)
        except UnobservableFault as exc:
            findings.append(_unseen(index, fault, context, real, exc))
            continue
        if _needs_data(planned_fault) and real and not fault.carried_bytes(context):
            findings.append(_unseen(index, fault, context, real))
            continue
        if planned_fault.behaviour is not None and real:
            findings.append(_only_recorded(index, fault, {name: scenario.upstreams[name] for name, _ in real}))
        elif fault.by_call and planned_fault.behaviour is None and real:
            key = "route" if fault.route is not None else "first"
            unseen = ", ".join(name for name, _ in real)
            message = f"the calls to {unseen} are not seen one by one, so none can be chosen"
            findings.append(Diagnostic(("faults", index, key), message, f"remove `{key}`"))
        planned.append(planned_fault)
    return tuple(planned), findings


_Real = Sequence[tuple[str, ProtocolName]]
"""Upstreams whose calls are not recorded, and how canaries ask them."""


def _needs_data(planned: PlannedFault) -> bool:
    return any(TOXICS[toxic.type].needs_data for toxic in planned.toxics)


def _unseen(
    index: int, fault: Fault, context: FaultContext, real: _Real, found: UnobservableFault | None = None
) -> Diagnostic:
    """A fault that no canary can see. `found`: why, for its kind; None: it acts on bytes, and a canary carries none."""
    path = ("faults", index, fault.KIND)
    if not real and found is not None:
        return Diagnostic(path, found.message, found.fix)
    carried = fault.carried_bytes(context)
    protocols = ", ".join(f"{name}: {PROTOCOLS[protocol].title}" for name, protocol in real)
    if found is None or not carried:
        message = f"`{fault.KIND}` acts on bytes, and a canary may carry none here ({protocols})"
        fix = "name the protocol of the upstream, if it is a known one; in any other, `down` and `slow_close` are seen"
        return Diagnostic(path, message, fix)
    what = "answer to a canary" if fault.stream == "downstream" else "request of a canary"
    return Diagnostic(path, f"{found.message} ({protocols}; the {what} has {carried} bytes at least)", found.fix)


def _only_recorded(index: int, fault: Fault, real: Mapping[str, Upstream]) -> Diagnostic:
    """A fault that breaks single answers, where nothing of ours sees them."""
    message = f"`{fault.KIND}` breaks single answers, and those of {', '.join(real)} pass unseen"
    fix = "break the connection instead: latency, hang, reset …"
    changes = [upstream.recorded_if() for upstream in real.values()]
    if all(changes):
        fix = f"{' and '.join(dict.fromkeys(changes))}, so that the forwarder can break them; or {fix}"
    else:
        fix = f"name fakes, or servers of HTTP behind the forwarder; or {fix}"
    return Diagnostic(("faults", index, fault.KIND), message, fix)


def _chosen(fault: Fault) -> str:
    """Which calls it hits, for people, as the end of its text; empty: all that `share` draws."""
    route = f", only {fault.route}" if fault.route is not None else ""
    if fault.first is None:
        return route
    return f"{route}, only the first {fault.first} calls" if fault.first > 1 else f"{route}, only the first call"


def _fault(
    fault: Fault, targets: Sequence[str], windows: tuple[FaultWindow, ...], context: FaultContext
) -> PlannedFault:
    effect = fault.compile(context)
    return PlannedFault(
        name=fault.name,
        kind=fault.KIND,
        text=fault.text + _chosen(fault),
        upstreams=tuple(targets),
        windows=windows,
        toxics=effect.toxics,
        disables_proxy=effect.disables_proxy,
        drops_connections=effect.drops_connections,
        process=effect.process,
        behaviour=effect.behaviour,
        route=fault.route.strip() if fault.route is not None else None,
        first=fault.first,
        held_ms=effect.held_ms,
        delay_ms=effect.delay_ms,
        share=fault.share,
        proof=effect.proof,
        met=fault.met,
    )
