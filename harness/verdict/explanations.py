"""Why, and what next: a verdict in sentences that name the upstream and the number. Decides nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from harness.evidence import Pool
from harness.evidence.endings import endings_of
from harness.gates import Finding, Gate
from harness.gates.gate import AdviceContext
from harness.gates.wording.outcomes import SLOW, causes, from_waiting, headline_of, how_they_ended
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import Plan
from harness.rundir.results import CostResult, Ending, GateResult, PhaseResult, UpstreamResult
from harness.units import format_duration, format_share
from harness.verdict.gates import GateVerdict
from harness.verdict.resource_usage import held
from harness.verdict.service_alive import SERVICE_ALIVE
from harness.verdict.validity import RunCheck

FAULTS_TOLD = 3
"""With more of them a sentence names them only."""
BLAMED_LEAST = 0.5
"""An upstream is named when it was the slowest in at least this share of the slow requests."""

WAIT_LEAST_MS = 20.0
"""A shorter wait for an upstream made no request fail."""


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


@dataclass(frozen=True, slots=True)
class Failure:
    """A gate that failed, with what a sentence about it may speak of."""

    plan: Plan
    gate: Gate
    finding: Finding
    phase: PhaseResult | None
    culprit: UpstreamResult | None
    """The upstream that made most of the slow requests slow."""
    endings: tuple[Ending, ...]
    """How its bad requests ended; of a gate that counts none, those of its phase that were not ok."""

    @property
    def n(self) -> int:
        """The requests that the endings are some of."""
        return self.finding.n if self.finding.endings else self.phase.n if self.phase else 0

    @property
    def context(self) -> AdviceContext:
        culprit = self.culprit if self.culprit and _waiting_counts(self) else None
        return context_of(self.plan, culprit.name if culprit else None, self.endings)


def context_of(plan: Plan, slowest_upstream: str | None = None, endings: tuple[Ending, ...] = ()) -> AdviceContext:
    schedule = plan.load.schedule
    return AdviceContext(
        gateway_timeout_ms=plan.gateway.timeout_ms,
        slowest_upstream=slowest_upstream,
        endings=endings,
        confidence=plan.verdict.confidence,
        clump_ms=plan.verdict.clump_ms,
        rate_per_s=max((stage.end_per_s for stage in schedule.stages), default=0.0) if schedule else 0.0,
    )


def failure_of(
    pool: Pool, judged: GateVerdict, phases: Sequence[PhaseResult], upstreams: Sequence[UpstreamResult]
) -> Failure:
    gate, finding = judged.gate, judged.finding
    phase = next((phase for phase in phases if phase.name == gate.phase), None)
    endings = finding.endings
    if not endings and phase is not None:
        windows = [run.window(phase.name) for run in pool.runs]
        endings = endings_of((window, ~window.ok) for window in windows)
    return Failure(pool.plan, gate, finding, phase, blamed(upstreams, gate.phase), endings)


def _waiting_counts(failure: Failure) -> bool:
    """Whether the slowest upstream has to do with it: most of the damage came from waiting, or it was waited for."""
    assert failure.culprit is not None
    return from_waiting(failure.endings) or (failure.culprit.wait_caused_ms or 0.0) >= WAIT_LEAST_MS


def headline(failure: Failure) -> str:
    """What happened, in one sentence that needs no other: when, what was seen, and what became of the requests."""
    gate, finding, phase = failure.gate, failure.finding, failure.phase
    if finding.kind == FindingKind.SERVICE_ENDED or phase is None or (not phase.n and not gate.significance):
        return f"{finding.reason[:1].upper()}{finding.reason[1:]}."
    became = "" if gate.significance else headline_of(failure.endings, failure.n)
    return f"{_when(failure.plan, gate.phase)}, {gate.headline(finding)}{f': {became}' if became else ''}."


def _when(plan: Plan, phase: str) -> str:
    if faulted := _faulted(plan, phase):
        name = phase.removeprefix("after ")
        return f"After {name} ({faulted})" if phase.startswith("after ") else f"During {name} ({faulted})"
    return "Over the whole run" if phase == "whole" else f"In the {phase}"


def why_failed(failure: Failure, cost: Sequence[CostResult] = ()) -> str:
    """How the requests ended, and which upstream the slow ones waited for; of a gate on resources, what was held.

    What did most of the damage comes first, and what a few requests did is no cause.
    """
    gate, finding, phase, culprit = failure.gate, failure.finding, failure.phase, failure.culprit
    faulted = _faulted(failure.plan, gate.phase)
    if finding.kind == FindingKind.SERVICE_ENDED:
        return f"{finding.reason[:1].upper()}{finding.reason[1:]}; {gate.significance}"
    if gate.significance:
        return f"{gate.significance} The fault was {faulted}." if faulted else gate.significance
    waiting: list[str] = []
    if culprit and finding.unit in ("ms", "share") and _waiting_counts(failure):
        waiting.append(
            f"{culprit.name} was the slowest upstream in {format_share(culprit.slowest_share or 0.0)} of the slow "
            f"requests, and kept them waiting {format_duration(culprit.wait_caused_ms or 0.0)} beyond the next one."
        )
    elif faulted:
        waiting.append(f"The fault was {faulted}.")
    resources = held(cost, gate.phase) if gate.uses_resources else []
    ended: list[str] = []
    if phase and failure.n:
        whose = "the gate's requests" if gate.requests() else "this phase's requests"
        ended = how_they_ended(failure.endings, failure.n, failure.plan.gateway.timeout_ms, whose)
    first_ended = ended and not from_waiting(failure.endings)
    said = [*ended, *waiting, *resources] if first_ended else [*waiting, *resources, *ended]
    return " ".join(said or _only_slow(failure) or [f"`{gate.text}` failed: {finding.reason}."])


def _only_slow(failure: Failure) -> list[str]:
    """A sentence on requests that were too slow, where there is nothing better to say; none where that is no cause."""
    slow = next((cause.n for cause in causes(failure.finding.endings) if cause.outcome == SLOW), 0)
    return [f"{format_share(slow / failure.n)} of the requests took too long."] if slow else []


def _faulted(plan: Plan, phase: str) -> str:
    fault = next((fault for fault in plan.faults if phase in (fault.name, f"after {fault.name}")), None)
    return f"{', '.join(fault.upstreams)}: {fault.text}" if fault else ""


def also_failed(others: Sequence[GateVerdict]) -> str:
    """What to add to the headline; empty where no other gate failed."""
    if not others:
        return ""
    first = others[0]
    said = f" `{first.gate.text}` failed as well"
    if first.gate.uses_resources:
        said += f": {first.finding.seen}"
    return f"{said}." if len(others) == 1 else f"{said}, and {len(others) - 1} more."


def advice_on_resources(first: GateVerdict, others: Sequence[GateVerdict]) -> str:
    """What a service holds is often why something else failed."""
    found = next((one for one in others if one.gate.uses_resources), None)
    if found is None or first.gate.uses_resources:
        return ""
    return f" {found.gate.advice(found.finding, AdviceContext())}"


def headline_passed(plan: Plan, gates: Sequence[GateResult], unmet: Sequence[str] = ()) -> str:
    """How many gates held, and under which faults. `unmet`: what is to be said of those that the service never met."""
    written = sum(gate.id != SERVICE_ALIVE for gate in gates)
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
