"""The answers to "can I trust this run?", in words, from what the judge found. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from harness.rundir.judged.fault_results import FaultResult
from harness.rundir.origin_notes import OF_HANDSHAKES
from harness.rundir.planned.process_act import SERVICE_TARGET
from harness.rundir.results import LOCUSTFILE_NOTES_MOST, ORIGIN_NOTES_MOST, Results
from harness.units import format_count, format_duration, format_share, format_things
from reports import formatting

if TYPE_CHECKING:
    from reports.subject import Subject

_JOINED_ENOUGH: Final = 0.99
_CHECK_WORDS: Final = {
    "counts": "every arrival counted",
    "lag": "load generator",
    "cores": "cores",
    "files": "files whole",
    "faults": "faults",
    "rollback": "rollback verified",
    "generator_cpu": "generator's processor",
    "workers": "load workers",
}


@dataclass(frozen=True, slots=True)
class CheckRow:
    """`state` is good, warn or bad; it comes with an icon, so that no one depends on the colour."""

    state: Literal["good", "warn", "bad"]
    name: str
    detail: str = ""


def check_rows(subject: Subject) -> tuple[CheckRow, ...]:
    """In the order a sceptic asks: the fault, the generator, the sample, the spell, the model, the rest."""
    results = subject.results
    return (
        *_faults(results),
        *_generator(results),
        *_sample(results),
        *_slow_spell(subject),
        _model(results),
        *_other_checks(results),
        *_correlation(results),
    )


def _faults(results: Results) -> Iterator[CheckRow]:
    several = {fault.name for fault in results.faults}
    for fault in results.faults:
        shared = sum(other.name == fault.name for other in results.faults) > 1
        name = (
            "fault"
            if len(several) == 1 and not shared
            else f"{fault.name} on {fault.upstream}"
            if shared
            else fault.name
        )
        state, word = proof_word(fault)
        yield CheckRow(state, f"{name} {word}", witnessed(fault))
    if results.unheard:
        yield CheckRow("warn", "never asked", f"no call came to {', '.join(results.unheard)} in the whole run")
    for note in results.origins[:ORIGIN_NOTES_MOST]:
        yield CheckRow("warn", "TLS handshakes" if note.kind in OF_HANDSHAKES else "real origin", note.sentence())
    for remark in results.locustfile[:LOCUSTFILE_NOTES_MOST]:
        yield CheckRow("bad" if remark.is_fatal else "warn", "locustfile", remark.sentence())
    more = len(results.origins) - ORIGIN_NOTES_MOST
    if more > 0:
        yield CheckRow("warn", "real origins", f"{more} more notes are in results.json")
    for failed in results.login.notes() if results.login else ():
        yield CheckRow("warn", "login", failed)


def proof_word(fault: FaultResult) -> tuple[Literal["good", "warn", "bad"], str]:
    """How far a fault is proven. One that stood and need not be met is neither proven nor the rig's failure."""
    if fault.landed:
        return "good", "proven"
    return ("warn", "not met") if fault.observed and not fault.must_be_met else ("bad", "not proven")


def witnessed(fault: FaultResult) -> str:
    """What the two witnesses saw of a fault: the canary, and the service's own calls."""
    proof = fault.proof
    seen = []
    if proof.witness == "canary" and proof.seen:
        seen.append(f"canaries {proof.seen} ({proof.canaries_showing} of {proof.canaries_during})")
    elif proof.witness == "canary" and proof.canary_during_ms is not None and proof.canary_baseline_ms is not None:
        baseline, during = format_duration(proof.canary_baseline_ms), format_duration(proof.canary_during_ms)
        seen.append(f"canary {baseline} → {during}")
    elif proof.witness == "process" and proof.seen:
        seen.append(proof.seen)
    if proof.ready_after_ms is not None:
        seen.append(f"ready again after {format_duration(proof.ready_after_ms)}")
    if proof.calls_hit is not None:
        what = proof.seen if proof.witness == "calls" and proof.seen else "hit"
        of_all = f"{format_count(proof.calls_hit)} of {format_count(proof.calls_during or 0)}"
        seen.append(f"{of_all} calls of the service {what}")
    elif proof.calls_during:
        on_service = fault.upstream == SERVICE_TARGET
        met = format_things(proof.calls_during, "request" if on_service else "call")
        seen.append(f"met by {met} of the {'load' if on_service else 'service'}")
    if proof.windows_refused:
        seen.append("the service was refused")
    if proof.connections_during:
        seen.append(f"met by {format_things(proof.connections_during, 'new connection')} of the service")
    elif proof.received_bytes_during:
        seen.append(f"met by {proof.received_bytes_during:,} bytes that the service sent over connections that stood")
    if fault.note:
        seen.append(f"{fault.note}, {_asked_before(fault)}")
    return ", ".join(seen) or "neither canary nor service saw it"


def _asked_before(fault: FaultResult) -> str:
    last_ms = fault.proof.last_call_before_ms
    last = "never before it" if last_ms is None else f"last asked {format_duration(last_ms)} before it"
    return f"{last}, {format_things(fault.proof.calls_in_baseline, 'call')} in the baseline"


def _generator(results: Results) -> Iterator[CheckRow]:
    for check in results.validity:
        if check.check in ("lag", "cores"):
            yield CheckRow("good" if check.ok else "bad", _CHECK_WORDS[check.check], check.detail)


def _sample(results: Results) -> Iterator[CheckRow]:
    judged = [gate for gate in results.gates if gate.n and gate.limit is not None and not formatting.is_held(gate)]
    unsure = [gate for gate in results.gates if gate.verdict == "inconclusive"]
    if unsure:
        least = min(unsure, key=lambda gate: gate.n)
        yield CheckRow(
            "warn", "undecided", f"{least.phase}: {format_count(least.n)} {formatting.things(least)}; {least.reason}"
        )
    elif judged:
        least = min(judged, key=lambda gate: gate.n)
        yield CheckRow("good", "sample size", f"at least {format_count(least.n)} arrivals a gate ({least.phase})")


def _slow_spell(subject: Subject) -> Iterator[CheckRow]:
    spells = [gate.withstands_ms for gate in subject.results.gates if gate.withstands_ms is not None]
    if not spells:
        return
    assumed = f"; {format_duration(subject.plan.verdict.clump_ms)} assumed" if subject.plan else ""
    yield CheckRow("good", "each PASS withstands", f"slow spells of {format_duration(min(spells))}{assumed}")


def _model(results: Results) -> CheckRow:
    if results.run.load.model == "open":
        return CheckRow("good", "open-loop latency", "measured from the intended start")
    return CheckRow(
        "warn", "closed model", "users wait while the service stalls, so stalls count for less than they cost"
    )


def _other_checks(results: Results) -> Iterator[CheckRow]:
    for check in results.validity:
        if not check.ok and check.check not in ("lag", "cores"):
            name = f"{check.part} failed" if check.part else f"{_CHECK_WORDS[check.check]}: no"
            yield CheckRow("bad", name, check.detail)


def _correlation(results: Results) -> Iterator[CheckRow]:
    share = results.correlation.joined_share
    if results.upstreams and (share is None or share < _JOINED_ENOUGH):
        joined = "unknown" if share is None else format_share(share)
        yield CheckRow("warn", "attribution", f"calls tied to their request: {joined}; below 99 % it is a guess")
