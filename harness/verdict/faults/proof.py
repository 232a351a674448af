"""Proves each fault from two kinds of evidence: it was active, and the service met it.

Canaries show that it was active: in every window that is long enough, one must have been held or failed as the fault
promises. The service met it if at least one of its calls came to the upstream during a window, or was refused there.
Neither kind proves a fault without the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from harness.evidence.detections.results import detected_during
from harness.evidence.injections import Injection
from harness.evidence.meetings import FaultContact, contact_of
from harness.evidence.run import Evidence, Pool
from harness.rundir.canaries import Canary, baseline_ms, proves, shows, spell_proof
from harness.rundir.judged.fault_results import FaultProof, FaultResult, WindowResult
from harness.rundir.planned.fault import PlannedFault
from harness.units import NS_PER_MS, format_duration
from harness.verdict.faults.unmet import unmet

SHOWABLE_MS: Final = 3_000.0
"""A window must last this much longer than the shortest hold that proves the fault; a shorter one may end before two
canaries were held."""


@dataclass(frozen=True, slots=True)
class ProofOutcome:
    """The proof of one fault on one upstream.

    `missing`: which evidence is missing, in a sentence; empty if nothing is. `fix`: what to do about it. `not_asked`:
    canaries saw the fault, and all that is missing is a call of the service while it was active.
    """

    result: FaultResult
    missing: str = ""
    fix: str = ""
    not_asked: bool = False


def prove_faults(run: Evidence) -> tuple[ProofOutcome, ...]:
    """One outcome for each fault of the plan and each of its upstreams, in the plan's order."""
    return tuple(_prove(run, fault, upstream) for fault in run.plan.faults for upstream in fault.upstreams)


def excuse_blocked(proofs: tuple[ProofOutcome, ...]) -> tuple[ProofOutcome, ...]:
    """The same proofs for a run in which a gate failed: a fault that the service met at one of its upstreams need not
    be met at the others.

    A service that asks one upstream after the other waits for the first broken one and never comes to the next. Its
    failure is real. A PASS still needs the fault to be met at every upstream, since a cache may answer for one of them.
    """
    met = {proof.result.name for proof in proofs if proof.result.landed}
    return tuple(
        replace(proof, missing="", fix="") if proof.not_asked and proof.result.name in met else proof
        for proof in proofs
    )


def one_witness_faults(pool: Pool) -> dict[str, str]:
    """The faults that canaries saw in some run, and of which it is unknown there whether the service met them, although
    it must; by name, each with the reason."""
    return {
        proof.result.name: proof.result.proof.one_witness
        for run in pool.runs
        if not run.plan.sees_every_connection
        for proof in prove_faults(run)
        if proof.result.proof.one_witness and proof.result.observed and proof.result.must_be_met
    }


@dataclass(frozen=True, slots=True)
class _Observations:
    """The evidence on one fault on one upstream. Each list has one entry for each of `injections`."""

    injections: list[Injection]
    """The windows that were requested."""
    base_ms: float | None
    """How long canaries took before any fault on this upstream; None if none was answered."""
    inside: list[list[Canary]]
    """The canaries that could observe the window."""
    showing: list[list[Canary]]
    """Those of `inside` that did observe the fault."""
    contact: FaultContact

    @classmethod
    def of(cls, run: Evidence, fault: PlannedFault, upstream: str) -> _Observations:
        injections = [i for i in run.journalled if (i.fault, i.upstream) == (fault.name, upstream)]
        canaries = [line for line in run.canaries if isinstance(line, Canary) and line.upstream == upstream]
        first_ns = min((start for start, _ in run.injections(upstream)), default=run.end_ns)
        base_ms = baseline_ms(canary for canary in canaries if canary.done_ns < first_ns)
        inside = [_inside(injection, canaries, fault, base_ms, run.end_ns) for injection in injections]
        showing = [
            [canary for canary in own if base_ms is not None and shows(canary, fault.proof, base_ms)] for own in inside
        ]
        return cls(injections, base_ms, inside, showing, contact_of(run, fault, upstream, injections))


def _prove(run: Evidence, fault: PlannedFault, upstream: str) -> ProofOutcome:
    observations = _Observations.of(run, fault, upstream)
    contact = observations.contact
    proof = _proof(fault, observations, _seen_of_process(run, fault, upstream))
    unseen = _missing_observation(run, fault, upstream, observations, proof)
    missing, fix = unseen or unmet(run, fault, upstream, contact) or ("", "")
    result = FaultResult(
        name=fault.name,
        upstream=upstream,
        kind=fault.kind,
        windows=tuple(
            _window(run, injection, [*(canary.done_ns for canary in shown), *hit_ns.tolist()])
            for injection, shown, hit_ns in zip(
                observations.injections, observations.showing, contact.hit_ns, strict=True
            )
        ),
        proof=proof,
        landed=not missing and contact.happened,
        observed=unseen is None and any(injection.applied_ns is not None for injection in observations.injections),
        met=contact.happened,
        must_be_met=fault.met == "required",
        named=detected_during(run, fault, upstream),
    )
    not_asked = unseen is None and bool(missing) and bool(contact.calls_outside.total) and not contact.calls
    return ProofOutcome(result, missing, fix, not_asked)


def _proof(fault: PlannedFault, observations: _Observations, details: str) -> FaultProof:
    """`details`: what the journal says of the process, if that is the witness."""
    contact = observations.contact
    during = [canary for canaries in observations.inside for canary in canaries]
    shown = [canary for canaries in observations.showing for canary in canaries]
    called, by_process = fault.proof.kind == "called", fault.proof.kind == "process"
    return FaultProof(
        canary_baseline_ms=observations.base_ms,
        canary_during_ms=float(np.median([canary.elapsed_ms for canary in during])) if during else None,
        canary_failures=sum(canary.outcome == "failed" for canary in during),
        service_calls=contact.calls_outside.total,
        witness="calls" if called else "process" if by_process else "canary",
        seen=_what_was_seen(fault, observations.base_ms, shown) if shown or (called and contact.hit) else details,
        canaries_during=len(during),
        canaries_showing=len(shown),
        calls_during=contact.calls,
        calls_hit=contact.hit,
        connections_during=contact.connections,
        received_bytes_during=contact.received_bytes,
        windows_refused=contact.refused,
        calls_in_baseline=contact.calls_outside.in_baseline,
        ready_after_ms=_ready_after_ms(fault, observations.injections),
        last_call_before_ms=contact.calls_outside.last_before_ms,
        traffic_bytes=contact.traffic_bytes,
        in_requests=contact.in_requests,
        one_witness="" if contact.happened else contact.blind,
    )


def _seen_of_process(run: Evidence, fault: PlannedFault, upstream: str) -> str:
    """What /proc showed of the process in the first window; empty if it is no witness."""
    if fault.proof.kind != "process":
        return ""
    seen = (e.detail for e in run.entries if (e.fault, e.upstream, e.event) == (fault.name, upstream, "observed"))
    return next(seen, "")


def _ready_after_ms(fault: PlannedFault, injections: Sequence[Injection]) -> float | None:
    """How long the process took to be ready again, in the slowest window: since it was ended where it was restarted,
    since the fault was to be removed elsewhere."""
    starts = [(i.requested_ns if fault.process == "restart" else i.removing_ns, i.ready_ns) for i in injections]
    took = [(ready - start) / NS_PER_MS for start, ready in starts if start is not None and ready is not None]
    return max(took, default=None) if fault.process else None


def _what_was_seen(fault: PlannedFault, base_ms: float | None, shown: Sequence[Canary]) -> str:
    """A predicate about the canaries (`held up to 2.25 s instead of 0.9 ms`, `met status 503`) or about the service's
    calls (`had to wait in the queue`)."""
    if fault.proof.kind == "failed":
        return f"failed: {Counter(canary.detail for canary in shown).most_common(1)[0][0]}"
    if fault.proof.kind == "held" and base_ms is not None:
        longest_ms = max(canary.elapsed_ms for canary in shown)
        return f"held up to {format_duration(longest_ms)} instead of {format_duration(base_ms)}"
    return "had to wait in the queue" if fault.proof.kind == "called" else f"met {spell_proof(fault.proof)}"


def _inside(
    injection: Injection, canaries: Sequence[Canary], fault: PlannedFault, base_ms: float | None, end_ns: int
) -> list[Canary]:
    """The canaries that could observe a window: sent while it was active, and not released early by its removal."""
    if injection.applied_ns is None:
        return []
    removing_ns = injection.removing_ns if injection.removing_ns is not None else end_ns
    sent_inside = [canary for canary in canaries if injection.applied_ns <= canary.sent_ns < removing_ns]
    return [
        canary
        for canary in sent_inside
        if canary.done_ns < removing_ns or (base_ms is not None and shows(canary, fault.proof, base_ms))
    ]


def _missing_observation(
    run: Evidence, fault: PlannedFault, upstream: str, observations: _Observations, proof: FaultProof
) -> tuple[str, str] | None:
    """Why it is not proven that the fault was active, and what to do; None if it is proven, or need not be."""
    applied = [
        (injection, canaries)
        for injection, canaries in zip(observations.injections, observations.inside, strict=True)
        if injection.applied_ns is not None
    ]
    if not applied:
        if run.stop_ns is not None and not observations.injections:
            return None  # the run was stopped before the fault was due
        return f"fault `{fault.name}` was never applied to {upstream}", "see logs/toxiproxy.log of this run"
    if fault.proof.kind == "called":
        return None
    if fault.proof.kind == "process":
        if all(injection.observed_ns is not None for injection, _ in applied):
            return None
        found = f"fault `{fault.name}` was applied, and the state of the process was never seen to change"
        return found, "see logs/supervisor.log of this run"
    share = fault.connection_share
    proven = [proves(canaries, fault.proof, share=share, base_ms=proof.canary_baseline_ms) for _, canaries in applied]
    showable = [i.stood_ms(run.end_ns) >= fault.proof.least_ms + SHOWABLE_MS for i, _ in applied]
    unseen = [
        number
        for number, (is_proven, is_showable) in enumerate(zip(proven, showable, strict=True))
        if is_showable and not is_proven
    ]
    if unseen or not (any(proven) or (run.stop_ns is not None and not any(showable))):
        which = "" if len(applied) == 1 else f" in window {applied[unseen[0] if unseen else 0][0].window + 1}"
        instead = _observed_instead(upstream, fault, proof)
        return (
            f"fault `{fault.name}` was requested but never observed{which} ({instead})",
            "Toxiproxy accepted the fault and did nothing: see `tailgate doctor` and logs/toxiproxy.log of this run"
            if fault.behaviour is None
            else "the fake accepted the fault and did nothing: see logs/backends.log of this run",
        )
    return None


def _observed_instead(upstream: str, fault: PlannedFault, proof: FaultProof) -> str:
    """What the canaries observed in place of the fault."""
    if proof.canary_baseline_ms is None:
        return f"no canary to {upstream} was answered before it"
    if proof.canary_during_ms is None:
        return f"no canary to {upstream} ended while it was active"
    if fault.proof.kind == "failed":
        return f"canaries to {upstream} did not fail"
    if fault.proof.kind == "answered":
        return f"no canary to {upstream} met {spell_proof(fault.proof)}"
    moved_ms = proof.canary_during_ms - proof.canary_baseline_ms
    expected = format_duration(fault.delay_ms if fault.delay_ms is not None else fault.proof.least_ms)
    return f"{upstream}'s median moved by {format_duration(moved_ms)}, expected {expected}"


def _window(run: Evidence, injection: Injection, seen_ns: Sequence[int]) -> WindowResult:
    """One window as results.json shows it. `seen_ns`: when each canary or call that observed it ended."""

    def ms(t_ns: int | None) -> float | None:
        return None if t_ns is None else (t_ns - run.t0_ns) / NS_PER_MS

    first_ns = injection.observed_ns if injection.observed_ns is not None else min(seen_ns, default=None)
    return WindowResult(
        requested_ms=ms(injection.requested_ns),
        applied_ms=ms(injection.applied_ns),
        observed_ms=ms(first_ns),
        removed_ms=ms(injection.removed_ns),
        last_observed_ms=ms(max(seen_ns, default=None)),
        verified=injection.verified,
    )
