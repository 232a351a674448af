"""Why, and what next: a verdict in sentences that name the upstream and the number. Decides nothing."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from harness.gates import Gate, RecoveryGate
from harness.gates.missing import HELD
from harness.rundir.plan import Plan
from harness.rundir.results import CostResult, GateResult, PhaseResult, UpstreamResult
from harness.units import duration_literal, format_count, format_duration, format_share
from harness.verdict.naming import WHY, is_about_naming
from harness.verdict.naming import next_failed as next_failed_naming
from harness.verdict.naming import next_undecided as next_undecided_naming
from harness.verdict.resource_usage import NEXT, held
from harness.verdict.resource_usage import next_failed as next_failed_cost
from harness.verdict.resource_usage import next_undecided as next_undecided_cost
from harness.verdict.validity import RunCheck

FAULTS_TOLD = 3
"""With more of them a sentence names them only."""
BLAMED_LEAST = 0.5
"""An upstream is named when it was the slowest in at least this share of the slow requests."""


def replay(plan: Plan) -> str:
    """The command that runs the same again."""
    words = ["tailgate", "run", plan.scenario_file, "--seed", str(plan.seed)]
    words += [word for override in plan.overrides for word in ("--set", override)]
    return shlex.join(words + (["--only", plan.cell] if plan.cell else []))


def blamed(upstreams: Sequence[UpstreamResult], phase: str) -> UpstreamResult | None:
    """The upstream that made most of this phase's slow requests slow."""
    of_phase = [u for u in upstreams if u.phase == phase and u.slowest_share is not None]
    worst = max(of_phase, key=lambda u: (u.wait_caused_ms or 0.0, u.slowest_share or 0.0), default=None)
    return worst if worst and (worst.slowest_share or 0.0) >= BLAMED_LEAST else None


def headline(plan: Plan, gate: GateResult, phases: Sequence[PhaseResult]) -> str:
    """What happened, in one sentence that needs no other: when, what was seen, and what became of the requests."""
    phase = next((phase for phase in phases if phase.name == gate.phase), None)
    if is_about_naming(gate):
        return f"{_when(plan, gate.phase)}, {gate.reason}."
    if gate.metric == "service-alive" or phase is None or not phase.n:
        return f"{gate.reason[:1].upper()}{gate.reason[1:]}."
    late = phase.outcomes.get("gateway_timeout", 0)
    became = ""
    if late:
        everyone = (
            f"all {format_count(late)}" if late == phase.n else f"{format_count(late)} of {format_count(phase.n)}"
        )
        became = f": {everyone} requests got a 504"
    return f"{_when(plan, gate.phase)}, {_seen(plan, gate)}{became}."


def _when(plan: Plan, phase: str) -> str:
    if faulted := _faulted(plan, phase):
        name = phase.removeprefix("after ")
        return f"After {name} ({faulted})" if phase.startswith("after ") else f"During {name} ({faulted})"
    return "Over the whole run" if phase == "whole" else f"In the {phase}"


def _seen(plan: Plan, gate: GateResult) -> str:
    """The figure of a failed gate beside its limit."""
    if gate.unit != "ms":
        return f"`{gate.text}` did not hold, {gate.reason}"
    if gate.metric == "recovery":
        return f"the service did not recover in time: {gate.reason}"
    limit = format_duration(gate.limit or 0.0)
    quantile = gate.text.partition(gate.op)[0].strip()  # with its `of UPSTREAM` and `for REQUEST`
    if gate.observed is not None:
        return f"{quantile} was {format_duration(gate.observed)}, not below {limit}"
    if gate.censored_at_ms is not None and gate.censored_at_ms == plan.gateway.timeout_ms:
        return f"{quantile} reached the {format_duration(gate.censored_at_ms)} gateway timeout"
    return f"{quantile} was an error, not below {limit}"


def why_failed(
    plan: Plan,
    gate: GateResult,
    phases: Sequence[PhaseResult],
    upstreams: Sequence[UpstreamResult],
    cost: Sequence[CostResult] = (),
) -> str:
    """Which upstream the slow requests waited for, and how they ended; of a gate on cost, what the service held."""
    if gate.metric == "service-alive":
        return f"{gate.reason[:1].upper()}{gate.reason[1:]}; what was measured until then says nothing about it."
    said = []
    culprit = blamed(upstreams, gate.phase)
    if is_about_naming(gate):
        faulted = _faulted(plan, gate.phase)
        return f"{WHY} The fault was {faulted}." if faulted else WHY
    if culprit and gate.unit in ("ms", "share"):
        said.append(
            f"{culprit.name} was the slowest upstream in {format_share(culprit.slowest_share or 0.0)} of the slow "
            f"requests, and kept them waiting {format_duration(culprit.wait_caused_ms or 0.0)} beyond the next one."
        )
    elif faulted := _faulted(plan, gate.phase):
        said.append(f"The fault was {faulted}.")
    if gate.metric in NEXT:
        said += held(cost, gate.phase)
    phase = next((phase for phase in phases if phase.name == gate.phase), None)
    if phase:
        said += _how_they_ended(plan, phase)
    return " ".join(said or [f"`{gate.text}` failed: {gate.reason}."])


def _how_they_ended(plan: Plan, phase: PhaseResult) -> list[str]:
    gateway = phase.outcomes.get("gateway_timeout", 0)
    timeout_ms = plan.gateway.timeout_ms
    if gateway and timeout_ms is not None:
        share = format_share(gateway / phase.n)
        return [f"The gateway gave up after {format_duration(timeout_ms)} on {share} of this phase's requests."]
    bad = {outcome: count for outcome, count in phase.outcomes.items() if outcome != "ok"}
    if not bad:
        return []
    outcome = max(bad, key=lambda name: bad[name])
    return [f"{format_share(bad[outcome] / phase.n)} of this phase's requests ended as {outcome}."]


def _faulted(plan: Plan, phase: str) -> str:
    fault = next((fault for fault in plan.faults if phase in (fault.name, f"after {fault.name}")), None)
    return f"{', '.join(fault.upstreams)}: {fault.text}" if fault else ""


def next_failed(plan: Plan, gate: GateResult, upstreams: Sequence[UpstreamResult], kind: str = "") -> str:
    """What to do about it. `kind`: of the gate's finding."""
    culprit = blamed(upstreams, gate.phase)
    timeout_ms = plan.gateway.timeout_ms
    before = f" well before the gateway's {format_duration(timeout_ms)}" if timeout_ms is not None else ""
    if gate.metric == "service-alive":
        return "See logs/sut.log for its last words, and who ends or stops processes here (the kernel, out of memory?)."
    if gate.metric == "recovery":
        return "Look for what the service still holds after the fault: retries, full queues, connection pools, threads."
    if gate.metric in NEXT:
        return next_failed_cost(gate)
    if is_about_naming(gate):
        return next_failed_naming(kind)
    if gate.metric.startswith("calls"):
        return "Ask only the backends that a request names (push the filter down), and look for retries."
    if gate.metric == "throughput":
        return "Lower the rate until this gate holds, and look at what the service runs out of: threads, sockets, CPU."
    if gate.metric == "complete":
        see = "look at an answer that lacks somebody" if HELD in gate.reason else "see how the requests ended"
        return f"Answer with the rows of every healthy upstream even when one is missing; {see}."
    if gate.metric == "dropped":
        return "The service held everything that `load.max_in_flight` allows: bound how long one request may take."
    if culprit:
        return (
            f"Give {culprit.name} a deadline of its own{before} and answer with what the others returned; "
            "then check that the calls given up on hold no thread and no socket."
        )
    return f"Bound how long a request may take{before}; see the report for what the slow requests waited for."


def also_failed(gates: Sequence[GateResult]) -> str:
    """What to add to the headline; empty where no other gate failed."""
    if not gates:
        return ""
    told = f" `{gates[0].text}` failed as well"
    if gates[0].metric in NEXT:
        told += f": {gates[0].reason.partition(';')[0]}"
    return f"{told}." if len(gates) == 1 else f"{told}, and {len(gates) - 1} more."


def next_of_cost(first: GateResult, others: Sequence[GateResult]) -> str:
    """What a service holds is often why something else failed."""
    found = next((gate for gate in others if gate.metric in NEXT), None)
    return f" {next_failed_cost(found)}" if found and first.metric not in NEXT else ""


def next_undecided(plan: Plan, gate: Gate, result: GateResult, kind: str = "") -> str:
    """What would decide it. `kind`: of the gate's finding."""
    if "before this phase was over" in result.reason:
        return "Let the run go on to its end."
    if found := next_undecided_naming(result, kind) or next_undecided_cost(result, kind):
        return found
    if "declared clump" in result.reason or "too few" in result.reason:
        needed_ms = _needed_ms(plan, gate)
        if needed_ms is not None:
            return (
                f"Let the phase `{result.phase}` last longer: {duration_literal(needed_ms)} decide where nothing is "
                f"slow, half as much again is safer; or pool several runs (`verdict: {{runs: 3}}`)."
            )
    if isinstance(gate, RecoveryGate):
        return "Let the load go on longer after the fault: raise `load.recovery`."
    if "guard_too_short" in result.reason:
        return "Lengthen `load.guard` beyond the longest healthy request."
    if "--baseline" in result.reason:
        return "Run it with --baseline FILE, the baseline.json of a run of the main branch."
    return "Repeat the fault or pool several runs (`verdict: {runs: 3}`, or `tailgate judge RUN RUN RUN`)."


def _needed_ms(plan: Plan, gate: Gate) -> float | None:
    moments = gate.moments(plan.verdict.confidence)
    schedule = plan.load.schedule
    rate = max((stage.end_per_s for stage in schedule.stages), default=0.0) if schedule else 0.0
    per_moment_ms = max(plan.verdict.clump_ms, 1000 / rate if rate else 0.0)
    return math.ceil(moments * per_moment_ms / 1000) * 1000.0 if moments else None


def headline_passed(plan: Plan, gates: Sequence[GateResult], unmet: Sequence[str] = ()) -> str:
    """How many gates held, and under which faults. `unmet`: what is to be said of those that the service never met."""
    written = sum(gate.metric != "service-alive" for gate in gates)
    held = "The gate held" if written == 1 else f"All {written} gates held"
    if unmet:
        more = f", and {len(unmet) - FAULTS_TOLD} more like it" if len(unmet) > FAULTS_TOLD else ""
        return f"{held}, but {'; '.join(unmet[:FAULTS_TOLD])}{more}."
    faults = [f"{fault.name} ({', '.join(fault.upstreams)}: {fault.text})" for fault in plan.faults]
    if len(faults) > FAULTS_TOLD:
        return f"{held}, {len(faults)} faults notwithstanding: {', '.join(fault.name for fault in plan.faults)}."
    return f"{held}, {' and '.join(faults)} notwithstanding." if faults else f"{held}."


def but_unmet(unmet: Sequence[str]) -> str:
    """What to add to a *why* whose faults the service did not meet; empty where it met them."""
    return f" But {'; '.join(unmet[:FAULTS_TOLD])}." if unmet else ""


def why_passed(plan: Plan, gates: Sequence[GateResult]) -> str:
    """What slow spell the run withstands, and what the gates leave open."""
    said = ""
    spells = [gate.withstands_ms for gate in gates if gate.withstands_ms is not None]
    if spells:
        said += (
            f"The verdict stands as long as slow spells last {format_duration(min(spells))} or less on average "
            f"(`verdict.clump` declares {format_duration(plan.verdict.clump_ms)})."
        )
    if plan.default_gates:
        said += " The only gate was the default one, the gateway's timeout: a floor, not a service level."
    return said.strip() or "No gate had anything against it."


def next_passed(plan: Plan, unmet: Sequence[str] = ()) -> str:
    if unmet:
        return (
            "This shows what a cache hides, not what the service does once it has to ask: let the fault outlast the "
            "cache, or run it cold, without `met: optional`."
        )
    if plan.default_gates:
        return "Write the gates your users need, such as `p99 < 2s during baseline` and `errors < 1%`."
    if not plan.faults:
        return "Break a backend next: add `faults: [{upstream: …, latency: 60s, for: 90s}]`."
    return "Keep it in CI; to find where it ends, raise `load.rate` or break another upstream."


def rig(findings: Sequence[RunCheck]) -> tuple[str, str]:
    """Why and next of a rig failure: the first thing wrong, and its way out."""
    first = findings[0]
    more = f" (and {len(findings) - 1} more: {', '.join(f.check for f in findings[1:])})" if len(findings) > 1 else ""
    fix = first.fix or "see the logs of this run"
    why = f"The rig failed, so nothing can be said about the service: {first.detail}{more}."
    return why, f"{fix[0].upper()}{fix[1:]}."
