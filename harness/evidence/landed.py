"""Whether each fault was really there, and between the service and its backend: two witnesses.

A canary must have been held or failed as the fault promises, in every window long enough to show it.
And the service must use that way: its calls reached the backend, whose address only Toxiproxy knows,
or its connections stood on the listener. One witness without the other proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.canary_record import Canary, Connections, baseline_ms, proves, shows
from harness.evidence.injections import Injection
from harness.evidence.run import Evidence
from harness.plan import PlannedFault
from harness.results import FaultProof, FaultResult, WindowResult
from harness.units import NS_PER_MS, format_duration

SHOWABLE_MS: Final = 3_000.0
"""A window shorter than its proof and this much may end before two canaries have been held."""


@dataclass(frozen=True, slots=True)
class Landing:
    """One fault on one upstream. `missing` is empty where it landed; else what was not seen, with a `fix`."""

    result: FaultResult
    missing: str = ""
    fix: str = ""


def landings(run: Evidence) -> tuple[Landing, ...]:
    return tuple(_landing(run, fault, upstream) for fault in run.plan.faults for upstream in fault.upstreams)


def _landing(run: Evidence, fault: PlannedFault, upstream: str) -> Landing:
    injections = [i for i in run.journalled if (i.fault, i.upstream) == (fault.name, upstream)]
    canaries = [line for line in run.canaries if isinstance(line, Canary) and line.upstream == upstream]
    first_ns = min((start for start, _ in run.injections(upstream)), default=run.end_ns)
    base_ms = baseline_ms(canary for canary in canaries if canary.done_ns < first_ns)
    inside = [_inside(injection, canaries, fault, base_ms, run.end_ns) for injection in injections]
    during = [canary for seen in inside for canary in seen]
    proof = FaultProof(
        canary_baseline_ms=base_ms,
        canary_during_ms=float(np.median([canary.elapsed_ms for canary in during])) if during else None,
        canary_failures=sum(canary.outcome == "failed" for canary in during),
        service_calls=_service_calls(run, upstream),
    )
    seen = tuple(zip(injections, inside, strict=True))
    missing, fix = _missing(run, fault, upstream, seen, proof)
    result = FaultResult(
        name=fault.name,
        upstream=upstream,
        kind=fault.kind,
        windows=tuple(_window(run, injection) for injection in injections),
        proof=proof,
        landed=not missing and any(injection.applied_ns is not None for injection in injections),
    )
    return Landing(result, missing, fix)


def _inside(
    injection: Injection, canaries: Sequence[Canary], fault: PlannedFault, base_ms: float | None, end_ns: int
) -> list[Canary]:
    """The canaries that can tell of a window: sent while it stood, and not let go early by its removal."""
    if injection.applied_ns is None:
        return []
    removing_ns = injection.removing_ns if injection.removing_ns is not None else end_ns
    sent_inside = [canary for canary in canaries if injection.applied_ns <= canary.sent_ns < removing_ns]
    return [
        canary
        for canary in sent_inside
        if canary.done_ns < removing_ns or (base_ms is not None and shows(canary, fault.proof, base_ms))
    ]


def _missing(
    run: Evidence,
    fault: PlannedFault,
    upstream: str,
    inside: Sequence[tuple[Injection, Sequence[Canary]]],
    proof: FaultProof,
) -> tuple[str, str]:
    """What was not seen of a fault that was to be there, and the way out; empty where nothing is missing."""
    applied = [(injection, seen) for injection, seen in inside if injection.applied_ns is not None]
    if not applied:
        if run.stop_ns is not None and not inside:
            return "", ""  # the run was over before its time came
        return f"fault `{fault.name}` was never applied to {upstream}", "see logs/toxiproxy.log of this run"
    proven = [proves(seen, fault.proof, share=fault.share, base_ms=proof.canary_baseline_ms) for _, seen in applied]
    showable = [_length_ms(i, run.end_ns) >= fault.proof.least_ms + SHOWABLE_MS for i, _ in applied]
    unseen = [number for number, (was, could) in enumerate(zip(proven, showable, strict=True)) if could and not was]
    if unseen or not (any(proven) or (run.stop_ns is not None and not any(showable))):
        which = "" if len(applied) == 1 else f" in window {applied[unseen[0] if unseen else 0][0].window + 1}"
        return (
            f"fault `{fault.name}` was requested but never observed{which} ({_seen(upstream, fault, proof)})",
            "Toxiproxy said yes and did nothing: see `tailgate doctor` and logs/toxiproxy.log of this run",
        )
    if proof.service_calls == 0 and not _stood(run, upstream):
        return (
            f"fault `{fault.name}` stood on {upstream}'s proxy, but the service never used that way: "
            f"no call of it reached {upstream}",
            f"the service may go around the proxy: see the address it was given for {upstream} in sut.env",
        )
    return "", ""


def _length_ms(injection: Injection, end_ns: int) -> float:
    begin_ns = injection.applied_ns if injection.applied_ns is not None else end_ns
    return ((injection.removing_ns if injection.removing_ns is not None else end_ns) - begin_ns) / NS_PER_MS


def _seen(upstream: str, fault: PlannedFault, proof: FaultProof) -> str:
    if proof.canary_baseline_ms is None:
        return f"no canary to {upstream} was answered before it"
    if proof.canary_during_ms is None:
        return f"no canary to {upstream} ended while it stood"
    if fault.proof.kind == "failed":
        return f"canaries to {upstream} did not fail"
    moved_ms = proof.canary_during_ms - proof.canary_baseline_ms
    expected = format_duration(fault.delay_ms if fault.delay_ms is not None else fault.proof.least_ms)
    return f"{upstream}'s median moved by {format_duration(moved_ms)}, expected {expected}"


def _service_calls(run: Evidence, upstream: str) -> int:
    return int(np.count_nonzero(run.calls["upstream"] == run.plan.upstream(upstream).index))


def _stood(run: Evidence, upstream: str) -> bool:
    return any(isinstance(line, Connections) and line.upstream == upstream and line.count for line in run.canaries)


def _window(run: Evidence, injection: Injection) -> WindowResult:
    def ms(t_ns: int | None) -> float | None:
        return None if t_ns is None else (t_ns - run.t0_ns) / NS_PER_MS

    return WindowResult(
        requested_ms=ms(injection.requested_ns),
        applied_ms=ms(injection.applied_ns),
        observed_ms=ms(injection.observed_ns),
        removed_ms=ms(injection.removed_ns),
        verified=injection.verified,
    )
