"""The sentences of `reason`, `why` and `next` in results.json: which upstream, which figure, what to do.

Decides nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.evidence import Pool
from harness.evidence.window import endings_of
from harness.gates import Finding, Gate
from harness.gates.gate import AdviceContext
from harness.gates.wording.outcomes import SLOW, causes, from_waiting, headline_of, how_they_ended
from harness.rundir.finding_kind import FindingKind
from harness.rundir.origin_notes import OriginNote
from harness.rundir.plan import Plan
from harness.rundir.results import CostResult, Ending, GateResult, PhaseResult, UpstreamResult
from harness.rundir.unmatched import Unmatched
from harness.units import format_duration, format_share, format_things
from harness.verdict.gates import GateVerdict
from harness.verdict.resource_usage import held
from harness.verdict.service_alive import SERVICE_ALIVE
from harness.verdict.validity import RunCheck
from scenarios.load import planned_peak_per_s

FAULTS_TOLD = 3
"""A sentence describes this many faults; if there are more, it lists their names only."""
BLAMED_LEAST = 0.5
"""An upstream is named as the cause if it was the slowest in at least this share of the slow requests."""

WAIT_LEAST_MS = 20.0
"""A shorter wait for an upstream is no reason for a request to fail."""
EXPLAINS_LEAST = 0.1
"""Nor does a wait explain a slow request if it is a smaller share of its latency."""


def replay(plan: Plan) -> str:
    """The shell command that runs the same scenario again, with the same seed, overrides and cell."""
    words = ["tailgate", "run", plan.scenario_file, "--seed", str(plan.seed)]
    words += [word for override in plan.overrides for word in ("--set", override)]
    if remote := plan.load.remote:
        words += ["--expect-workers", str(plan.load.workers), "--listen", remote.listen.address]
        words += ["--token-file", Path(remote.token_file).name]
    return shlex.join(words + (["--only", plan.cell] if plan.cell else []))


def blamed(upstreams: Sequence[UpstreamResult], phase: str) -> UpstreamResult | None:
    """The upstream that made most of this phase's slow requests slow; None if no upstream did."""
    of_phase = [u for u in upstreams if u.phase == phase and u.slowest_share is not None]
    worst = max(of_phase, key=lambda u: (u.wait_caused_ms or 0.0, u.slowest_share or 0.0), default=None)
    return worst if worst and (worst.slowest_share or 0.0) >= BLAMED_LEAST else None


@dataclass(frozen=True, slots=True)
class Failure:
    """A gate that failed, with all that the sentences about it may mention."""

    plan: Plan
    gate: Gate
    finding: Finding
    phase: PhaseResult | None
    culprit: UpstreamResult | None
    """The upstream that made most of the slow requests slow."""
    endings: tuple[Ending, ...]
    """How the requests that count against the gate ended; for a gate that counts no requests, how those of its phase
    ended that were not ok."""

    @property
    def n(self) -> int:
        """The number of all requests from which the endings were counted."""
        return self.finding.n if self.finding.endings else self.phase.n if self.phase else 0

    @property
    def context(self) -> AdviceContext:
        """What the gate's advice may mention; the culprit only if it explains the failure."""
        culprit = self.culprit if self.culprit and _upstream_explains(self) else None
        return context_of(self.plan, self.gate, culprit.name if culprit else None, self.endings)


def context_of(
    plan: Plan, gate: Gate, slowest_upstream: str | None = None, endings: tuple[Ending, ...] = ()
) -> AdviceContext:
    """What a gate's advice may mention: of the plan its gateway, confidence, clump, and the peak rate of the requests
    that the gate counts."""
    return AdviceContext(
        gateway_timeout_ms=plan.gateway.timeout_ms,
        slowest_upstream=slowest_upstream,
        endings=endings,
        confidence=plan.verdict.confidence,
        clump_ms=plan.verdict.clump_ms,
        rate_per_s=planned_peak_per_s(plan.load, gate.requests()),
    )


def failure_of(
    pool: Pool, judged: GateVerdict, phases: Sequence[PhaseResult], upstreams: Sequence[UpstreamResult]
) -> Failure:
    """The failed gate `judged` with its phase, its likely culprit and the endings of its requests."""
    gate, finding = judged.gate, judged.finding
    phase = next((phase for phase in phases if phase.name == gate.phase), None)
    endings = finding.endings
    if not endings and phase is not None:
        windows = [run.window(phase.name) for run in pool.runs]
        endings = endings_of((window, ~window.ok) for window in windows)
    return Failure(pool.plan, gate, finding, phase, blamed(upstreams, gate.phase), endings)


def _upstream_explains(failure: Failure) -> bool:
    """Whether the slowest upstream explains the failure: most bad requests waited too long, or waited for it."""
    assert failure.culprit is not None
    wait_ms = failure.culprit.wait_caused_ms or 0.0
    observed_ms = failure.finding.observed if failure.finding.unit == "ms" else None
    if observed_ms is not None and wait_ms < EXPLAINS_LEAST * observed_ms:
        return False
    if any(cause.outcome == "bad_answer" for cause in causes(failure.endings)[:1]):  # it had its answer in time
        return False
    return from_waiting(failure.endings) or wait_ms >= WAIT_LEAST_MS


def headline(failure: Failure) -> str:
    """One sentence that stands alone: when it happened, what was observed, and how the requests ended."""
    gate, finding, phase = failure.gate, failure.finding, failure.phase
    if finding.kind == FindingKind.SERVICE_ENDED or phase is None or (not phase.n and not gate.significance):
        return f"{finding.reason[:1].upper()}{finding.reason[1:]}."
    ended = "" if gate.significance else headline_of(failure.endings, failure.n)
    return f"{_when(failure.plan, gate.phase)}, {gate.headline(finding)}{f': {ended}' if ended else ''}."


def _when(plan: Plan, phase: str) -> str:
    if faulted := _faulted(plan, phase):
        name = phase.removeprefix("after ")
        return f"After {name} ({faulted})" if phase.startswith("after ") else f"During {name} ({faulted})"
    return "Over the whole run" if phase == "whole" else f"In the {phase}"


def why_failed(failure: Failure, cost: Sequence[CostResult] = ()) -> str:
    """How the requests ended, which upstream the slow ones waited for, and what a gate on resources measured.

    The commonest cause comes first. How only a few requests ended is not mentioned as a cause.
    """
    gate, finding, phase, culprit = failure.gate, failure.finding, failure.phase, failure.culprit
    faulted = _faulted(failure.plan, gate.phase)
    if finding.kind == FindingKind.SERVICE_ENDED:  # whatever fault was on then
        return gate.significance
    if gate.significance:
        return f"{gate.significance} The fault was {faulted}." if faulted else gate.significance
    waiting: list[str] = []
    if culprit and finding.unit in ("ms", "share") and _upstream_explains(failure):
        waiting.append(
            f"{culprit.name} was the slowest upstream in {format_share(culprit.slowest_share or 0.0)} of the slow "
            f"requests, and kept them waiting {format_duration(culprit.wait_caused_ms or 0.0)} beyond the next one"
            f"{_among_recorded(failure.plan)}."
        )
    elif faulted:
        waiting.append(f"The fault was {faulted}.")
    resources = held(cost, gate.phase) if gate.uses_resources else []
    ended: list[str] = []
    if phase and failure.n:
        whose = "the gate's requests" if gate.requests() else "this phase's requests"
        ended = how_they_ended(failure.endings, failure.n, failure.plan.gateway.timeout_ms, whose)
    first_ended = ended and not from_waiting(failure.endings)
    sentences = [*ended, *waiting, *resources] if first_ended else [*waiting, *resources, *ended]
    return " ".join(sentences or _only_slow(failure) or [f"`{gate.text}` failed: {finding.reason}."])


def _only_slow(failure: Failure) -> list[str]:
    """A sentence on the requests that were too slow, for a failure about which nothing else is known; none if too few
    requests were slow to be the cause."""
    slow = next((cause.n for cause in causes(failure.finding.endings) if cause.outcome == SLOW), 0)
    return [f"{format_share(slow / failure.n)} of the requests took too long."] if slow else []


def _faulted(plan: Plan, phase: str) -> str:
    """The fault that the phase belongs to, as `azure: latency 60s`; empty for a phase of no fault."""
    fault = next((fault for fault in plan.faults if phase in (fault.name, f"after {fault.name}")), None)
    return f"{', '.join(fault.upstreams)}: {fault.text}" if fault else ""


def also_failed(others: Sequence[GateVerdict]) -> str:
    """The sentence on the other failed gates that follows the headline; empty if there are none."""
    if not others:
        return ""
    first = others[0]
    sentence = f" `{first.gate.text}` failed as well"
    if first.gate.uses_resources:
        sentence += f": {first.finding.seen}"
    return f"{sentence}." if len(others) == 1 else f"{sentence}, and {len(others) - 1} more."


def advice_on_resources(first: GateVerdict, others: Sequence[GateVerdict]) -> str:
    """The advice of another failed gate on resources, because threads or sockets run out before requests fail; empty
    if there is no such gate, or if `first` is one itself."""
    on_resources = next((one for one in others if one.gate.uses_resources), None)
    if on_resources is None or first.gate.uses_resources:
        return ""
    return f" {on_resources.gate.advice(on_resources.finding, AdviceContext())}"


def headline_passed(plan: Plan, gates: Sequence[GateResult], unmet: Sequence[str] = ()) -> str:
    """How many gates held, and under which faults. `unmet`: a note for each fault that the service never met."""
    written = sum(gate.id != SERVICE_ALIVE for gate in gates)
    held = "The gate held" if written == 1 else f"All {written} gates held"
    if unmet:
        more = f", and {len(unmet) - FAULTS_TOLD} more like it" if len(unmet) > FAULTS_TOLD else ""
        return f"{held}, but {'; '.join(unmet[:FAULTS_TOLD])}{more}."
    faults = [f"{fault.name} ({', '.join(fault.upstreams)}: {fault.text})" for fault in plan.faults]
    if len(faults) > FAULTS_TOLD:
        return f"{held} in spite of {len(faults)} faults: {', '.join(fault.name for fault in plan.faults)}."
    return f"{held} in spite of {' and '.join(faults)}." if faults else f"{held}."


def _among_recorded(plan: Plan) -> str:
    """What a sentence on the slowest upstream must add: the calls to some upstreams are not known."""
    unknown = [upstream.name for upstream in plan.upstreams if not upstream.records_calls]
    return f" (the calls to {', '.join(unknown)} are not recorded)" if unknown else ""


def but_unmet(unmet: Sequence[str]) -> str:
    """The sentence on faults that the service did not meet, to end a `why` with; empty if it met all of them."""
    return f" But {'; '.join(unmet[:FAULTS_TOLD])}." if unmet else ""


def why_passed(plan: Plan, gates: Sequence[GateResult]) -> str:
    """How much margin the PASS has (the longest mean slow spell at which it would still stand), and that the default
    gate demands little."""
    why = ""
    spells = [gate.withstands_ms for gate in gates if gate.withstands_ms is not None]
    if spells:
        why += (
            f"The verdict stands as long as slow spells last {format_duration(min(spells))} or less on average "
            f"(`verdict.clump` declares {format_duration(plan.verdict.clump_ms)})."
        )
    if plan.default_gates:
        why += " The only gate was the default one, the gateway's timeout: a floor, not a service level."
    return why.strip() or "Every gate held."


def next_passed(
    plan: Plan,
    unmet: Sequence[str] = (),
    unmatched: Sequence[Unmatched] = (),
    origins: Sequence[OriginNote] = (),
) -> str:
    """What to do after a PASS. `unmet`: a note for each fault that the service never met. `unmatched`: calls of the
    service for what its fakes do not have. `origins`: what was noticed of real origins."""
    if unmet:
        return (
            "This shows what a cache hides, not what the service does once it has to ask the upstream: let the fault "
            "outlast the cache, or run it with a cold cache, without `met: optional`."
        )
    if unmatched:
        calls, first = sum(line.calls for line in unmatched), unmatched[0]
        return (
            f"First let the fakes have what the service asks for: {format_things(calls, 'call')} found nothing there, "
            f"such as {first.asked} of {first.upstream}, so this says little about what the service does with them."
        )
    if errors := next((note for note in origins if note.kind == "errors"), None):
        return f"First {errors.fix}: {errors.upstream} answered {errors.text} to what the service asked."
    if plan.default_gates:
        return "Write the gates your users need, such as `p99 < 2s during baseline` and `errors < 1%`."
    if not plan.faults:
        return "Break a backend next: add `faults: [{upstream: …, latency: 60s, for: 90s}]`."
    return "Keep it in CI; to find the service's limits, raise `load.rate` or break another upstream."


def rig(findings: Sequence[RunCheck]) -> tuple[str, str]:
    """`why` and `next` of a rig failure. `findings`: the failed checks, of which the first is the reason of the run."""
    first, *others = findings
    failed = ", ".join(other.part or other.check for other in others)
    more = f" {format_things(len(others), 'more check')} failed: {failed}." if others else ""
    fix = first.fix or "see the logs of this run"
    why = f"The rig failed, so nothing can be said about the service.{more}"
    return why, f"{fix[0].upper()}{fix[1:].removesuffix('.')}."
