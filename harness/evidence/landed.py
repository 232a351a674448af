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

from harness.canary_record import Canary, Connections, baseline_ms, proves, shows, spell_proof
from harness.evidence.hits import CallsMet, calls_met
from harness.evidence.injections import Injection
from harness.evidence.run import Evidence
from harness.evidence.told import named_during
from harness.plan import PlannedFault
from harness.results import FaultProof, FaultResult, WindowResult
from harness.units import NS_PER_MS, format_duration, format_things

_IN_VAIN: Final = (400, 404, 405)
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


@dataclass(frozen=True, slots=True)
class _Met:
    """What the witnesses met of one fault on one upstream; lists run with `injections`."""

    injections: list[Injection]
    base_ms: float | None
    inside: list[list[Canary]]
    showing: list[list[Canary]]
    calls: CallsMet

    @classmethod
    def of(cls, run: Evidence, fault: PlannedFault, upstream: str) -> _Met:
        injections = [i for i in run.journalled if (i.fault, i.upstream) == (fault.name, upstream)]
        canaries = [line for line in run.canaries if isinstance(line, Canary) and line.upstream == upstream]
        first_ns = min((start for start, _ in run.injections(upstream)), default=run.end_ns)
        base_ms = baseline_ms(canary for canary in canaries if canary.done_ns < first_ns)
        inside = [_inside(injection, canaries, fault, base_ms, run.end_ns) for injection in injections]
        showing = [
            [canary for canary in met if base_ms is not None and shows(canary, fault.proof, base_ms)] for met in inside
        ]
        return cls(injections, base_ms, inside, showing, calls_met(run, fault, upstream, injections))


def _landing(run: Evidence, fault: PlannedFault, upstream: str) -> Landing:
    met = _Met.of(run, fault, upstream)
    proof = _proof(run, fault, upstream, met)
    missing, fix = _missing(run, fault, upstream, tuple(zip(met.injections, met.inside, strict=True)), proof)
    result = FaultResult(
        name=fault.name,
        upstream=upstream,
        kind=fault.kind,
        windows=tuple(
            _window(run, injection, [*(canary.done_ns for canary in shown), *hit_ns.tolist()])
            for injection, shown, hit_ns in zip(met.injections, met.showing, met.calls.hit_ns, strict=True)
        ),
        proof=proof,
        landed=not missing and any(injection.applied_ns is not None for injection in met.injections),
        named=named_during(run, fault, upstream),
    )
    return Landing(result, missing, fix)


def _proof(run: Evidence, fault: PlannedFault, upstream: str, met: _Met) -> FaultProof:
    during = [canary for canaries in met.inside for canary in canaries]
    shown = [canary for canaries in met.showing for canary in canaries]
    called = fault.proof.kind == "called"
    return FaultProof(
        canary_baseline_ms=met.base_ms,
        canary_during_ms=float(np.median([canary.elapsed_ms for canary in during])) if during else None,
        canary_failures=sum(canary.outcome == "failed" for canary in during),
        service_calls=_service_calls(run, upstream),
        witness="calls" if called else "canary",
        seen=_what_was_seen(fault, met.base_ms, shown) if shown or (called and met.calls.hit) else "",
        canaries_during=len(during),
        canaries_showing=len(shown),
        calls_during=met.calls.during,
        calls_hit=met.calls.hit,
    )


def _what_was_seen(fault: PlannedFault, base_ms: float | None, shown: Sequence[Canary]) -> str:
    """As what canaries did: `held up to 2.25 s instead of 0.9 ms`, `met status 503`; or calls: `had to wait …`."""
    if fault.proof.kind == "failed":
        return f"failed: {shown[0].detail}"
    if fault.proof.kind == "held" and base_ms is not None:
        longest_ms = max(canary.elapsed_ms for canary in shown)
        return f"held up to {format_duration(longest_ms)} instead of {format_duration(base_ms)}"
    return "had to wait in the queue" if fault.proof.kind == "called" else f"met {spell_proof(fault.proof)}"


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
    if fault.proof.kind == "called":
        return _never_hit(run, fault, upstream, proof)
    share = fault.connection_share
    proven = [proves(seen, fault.proof, share=share, base_ms=proof.canary_baseline_ms) for _, seen in applied]
    showable = [_length_ms(i, run.end_ns) >= fault.proof.least_ms + SHOWABLE_MS for i, _ in applied]
    unseen = [number for number, (was, could) in enumerate(zip(proven, showable, strict=True)) if could and not was]
    if unseen or not (any(proven) or (run.stop_ns is not None and not any(showable))):
        which = "" if len(applied) == 1 else f" in window {applied[unseen[0] if unseen else 0][0].window + 1}"
        return (
            f"fault `{fault.name}` was requested but never observed{which} ({_seen(upstream, fault, proof)})",
            "Toxiproxy said yes and did nothing: see `tailgate doctor` and logs/toxiproxy.log of this run"
            if fault.behaviour is None
            else "the fake said yes and did nothing: see logs/backends.log of this run",
        )
    if proof.service_calls == 0 and not _stood(run, upstream):
        return _never_called(run, fault, upstream)
    if missing := _asked_in_vain(run, upstream):
        return missing
    return _never_hit(run, fault, upstream, proof) if fault.behaviour is not None else ("", "")


def _never_called(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[str, str]:
    """Of a service that refuses every request, the reason is the request; of another, its way to the upstream."""
    samples = run.samples
    told = f"fault `{fault.name}` stood on {upstream}'s proxy, but no call of the service reached {upstream}"
    if len(samples) and (samples["status"] == samples["status"][0]).all() and samples["status"][0] >= 400:
        status = int(samples["status"][0])
        return (
            f"{told}: it answered every request with {status}, before the fault as well",
            "see the scenario's requests: does the service have this path, and may we ask it?",
        )
    if run.plan.service.kind == "url":
        listens = run.plan.upstream(upstream).url
        return told, f"the service runs already and must know {upstream} as {listens}; set its `port` to what it knows"
    return (
        f"{told}: the service never used that way",
        f"the service may go around the proxy: see the address it was given for {upstream} in sut.env",
    )


def _asked_in_vain(run: Evidence, upstream: str) -> tuple[str, str] | None:
    """A service that asks its fake for what it does not have meets no fault of it that would mean anything."""
    planned = run.plan.upstream(upstream)
    calls = run.calls[run.calls["upstream"] == planned.index]
    answered = calls["status"][(calls["faults"] == 0) & (calls["status"] > 0)]
    if planned.kind != "fake" or not len(answered) or not np.isin(answered, _IN_VAIN).all():
        return None
    return (
        f"every call of the service to {upstream} was answered {int(answered[0])}: it asks for a path, a method or a "
        f"cursor that a fake of the provider `{planned.provider}` does not have",
        f"see what `provider: {planned.provider}` speaks in docs/scenarios.md; generic is GET /offers?cursor=",
    )


def _never_hit(run: Evidence, fault: PlannedFault, upstream: str, proof: FaultProof) -> tuple[str, str]:
    """A fault that broke none of the calls that came has shown nothing; that none came may be a breaker's doing."""
    if proof.calls_hit or (not proof.calls_during and fault.proof.kind != "called") or run.stop_ns is not None:
        return "", ""
    came = format_things(proof.calls_during or 0, "call")
    if fault.proof.kind == "called":
        return (
            f"`{fault.name}` ({fault.text}) never held a call up: {came} of the service came to {upstream} while it "
            "stood, and none had to wait",
            "lower the capacity, or raise the rate: fewer calls than that are there at once",
        )
    return (
        f"`{fault.name}` ({fault.text}) broke none of the {came} of the service that came to {upstream} while it stood",
        "write a larger `share`, or a longer `for`",
    )


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
    if fault.proof.kind == "answered":
        return f"no canary to {upstream} met {spell_proof(fault.proof)}"
    moved_ms = proof.canary_during_ms - proof.canary_baseline_ms
    expected = format_duration(fault.delay_ms if fault.delay_ms is not None else fault.proof.least_ms)
    return f"{upstream}'s median moved by {format_duration(moved_ms)}, expected {expected}"


def _service_calls(run: Evidence, upstream: str) -> int:
    return int(np.count_nonzero(run.calls["upstream"] == run.plan.upstream(upstream).index))


def _stood(run: Evidence, upstream: str) -> bool:
    return any(isinstance(line, Connections) and line.upstream == upstream and line.count for line in run.canaries)


def _window(run: Evidence, injection: Injection, seen_ns: Sequence[int]) -> WindowResult:
    """`seen_ns`: when each canary or call that met it was over."""

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
