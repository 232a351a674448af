"""What results.json says of faults: their windows, their proof, who named them, and notes on those not met."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.text import enumerated

NAMES_MOST: Final = 4
"""So many upstreams are named that share a note; the others are counted."""


class WindowResult(Frozen):
    requested_ms: float | None
    applied_ms: float | None
    observed_ms: float | None
    """When the first canary (or call of the service) that shows the fault ended."""
    removed_ms: float | None
    last_observed_ms: float | None = None
    verified: bool


class FaultProof(Frozen):
    canary_baseline_ms: float | None
    canary_during_ms: float | None
    canary_failures: int
    service_calls: int
    witness: Literal["canary", "calls", "process"] = "canary"
    """What proves the fault: canaries, the service's own calls in the fake's records, or the state of the process."""
    seen: str = ""
    """What happened to them: `held up to 2.01 s instead of 1.2 ms`, `met status 503`; empty: nothing."""
    canaries_during: int = 0
    canaries_showing: int = 0
    calls_during: int | None = None
    """The service's calls while the fault was active; None: they are not recorded."""
    calls_hit: int | None = None
    """How many of these a fault done by the fake affected; None for a fault done by Toxiproxy."""
    connections_during: int | None = None
    """New connections of the service while the fault was active, if it may keep calls from the upstream; else None."""
    received_bytes_during: int | None = None
    """What the service sent to an upstream whose calls nothing records, while the fault was active; None if unknown."""
    windows_refused: int | None = None
    """Windows in which the service tried to connect and was refused; None: the listener stayed open."""
    calls_in_baseline: int = 0
    ready_after_ms: float | None = None
    """From when a process was to run again until it was ready, in the slowest window; None for other faults, or if it
    never was."""
    last_call_before_ms: float | None = None
    """How long before the fault the service's last call arrived; None: there was none."""
    traffic_bytes: int | None = None
    """What Toxiproxy received beyond canaries while the fault was active; None: unknown, or not needed."""
    in_requests: str = ""
    """What the service's own requests show of the fault, if nothing else shows that the service met it."""
    one_witness: str = ""
    """Why canaries are the only witness, so that no gate on this fault is decided; empty: they are not."""


class NamedResult(Frozen):
    """An upstream that one source, the service's log or its alert, named while a fault was active; the first
    detection."""

    upstream: str
    source: Literal["log", "alert"]
    after_ms: float
    """From when that window of the fault was applied."""
    lines: int
    """All lines while the fault was active; for an alert, how often it was read as raised."""
    text: str
    healthy: bool
    """No fault had affected this upstream, so it was named wrongly."""
    no_news: bool = False
    """This source had named the upstream as much before the fault, so this is no detection of the fault."""
    cleared_after_ms: float | None
    """From the fault's last removal until it was no longer named; None: it still was, or that could not be observed."""


class FalseAlarm(Frozen):
    """An upstream that one source named while no fault was active, and none had affected it by then."""

    upstream: str
    source: Literal["log", "alert"]
    first_ms: float
    """From t = 0."""
    lines: int
    """All such lines; for an alert, how often it was read as raised."""
    text: str
    """The text of the first line."""


class FaultResult(Frozen):
    name: str
    upstream: str
    kind: str
    windows: tuple[WindowResult, ...]
    proof: FaultProof
    landed: bool
    """It was observed, and a call of the service met it."""
    observed: bool = True
    """Canaries show it; for a fault that no canary can show, it was applied."""
    met: bool = True
    """The service called the upstream while the fault was active; for a fault done by a fake, a call was affected."""
    must_be_met: bool = True
    """False: the scenario says `met: optional`."""
    named: tuple[NamedResult, ...] = ()
    """Detections during the fault; empty if there were none, or if they were not recorded."""

    @property
    def never_asked(self) -> bool:
        """Whether it was active, and surely no call of the service came to the upstream meanwhile."""
        blind = self.proof.one_witness and self.observed
        return self.observed and not self.met and not blind and not self.proof.calls_during

    @property
    def note(self) -> str:
        """A note on a fault that was active and that no call of the service met; empty if one did."""
        if self.proof.one_witness and self.observed:
            so = ", so its gates are undecided" if self.must_be_met else ""
            return f"it is unknown whether the service met {self.name} on {self.upstream}{so}: {self.proof.one_witness}"
        if self.met or not self.observed:
            return ""
        if not self.never_asked:
            return f"none of the {self.proof.calls_during} calls to {self.upstream} was hit while {self.name} stood"
        return f"{self.upstream} was never asked while it was broken ({self.name})"


def unmet_notes(faults: Iterable[FaultResult]) -> tuple[str, ...]:
    """The notes on faults that no call of the service met; one for all upstreams of a fault that were never asked."""
    noted = [fault for fault in faults if fault.note]
    silent: dict[str, dict[str, None]] = {}
    for fault in noted:
        if fault.never_asked:
            silent.setdefault(fault.name, {})[fault.upstream] = None
    notes: dict[str, None] = {}
    for fault in noted:
        names = list(silent.get(fault.name, ())) if fault.never_asked else []
        several = f"{enumerated(names, NAMES_MOST)} were never asked while they were broken ({fault.name})"
        notes[several if len(names) > 1 else fault.note] = None
    return tuple(notes)
