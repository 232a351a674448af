"""What the canaries of one upstream have seen of its faults: when one is proven, when it has left again.

Pure: fed with journal entries and canaries in the order they end, it opens nothing and reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.rundir.canaries import Canary, Freed, baseline_ms, is_free, proves, shows, spell_proof
from harness.rundir.journal import Entry
from harness.rundir.plan import PlannedFault, Proof
from harness.rundir.toxics import TOXICS
from harness.units import format_duration

IDLE_DEADLINE_MS: Final = 5_000.0
"""A canary that no fault holds is given this long."""

MARGIN_MS: Final = 250.0
"""A held canary is closed this much after it has been held long enough."""

FAILING_MS: Final = 2_500.0
"""How long a canary waits for a fault that makes it fail; one that takes 2 s or longer counts as holding."""

_BASELINE_KEPT: Final = 60


@dataclass(slots=True)
class _Observation:
    """One window of one fault. Times are None until the journal has them."""

    fault: PlannedFault
    window: int
    requested_ns: int
    applied_ns: int | None = None
    removing_ns: int | None = None
    removed_ns: int | None = None
    canaries: list[Canary] = field(default_factory=list)
    observed: bool = False
    freed: bool = False

    def touches(self, canary: Canary) -> bool:
        return canary.done_ns >= self.requested_ns and (self.removed_ns is None or canary.sent_ns < self.removed_ns)

    def covers(self, canary: Canary) -> bool:
        """Sent while the fault surely stood."""
        after = self.applied_ns is not None and canary.sent_ns >= self.applied_ns
        return after and (self.removing_ns is None or canary.sent_ns < self.removing_ns)

    def cut_off(self, canary: Canary) -> bool:
        """Let go by the removal: how long it would have been held is unknown."""
        return self.removing_ns is not None and canary.done_ns >= self.removing_ns


class CanaryObservations:
    def __init__(self, upstream: str, faults: tuple[PlannedFault, ...]) -> None:
        self.upstream = upstream
        self._faults = {fault.name: fault for fault in faults}
        self._sights: dict[tuple[str, int], _Observation] = {}
        self._well: deque[Canary] = deque(maxlen=_BASELINE_KEPT)

    @property
    def baseline_ms(self) -> float | None:
        return baseline_ms(self._well)

    @property
    def pending(self) -> bool:
        """Whether a removed window has not been seen free yet."""
        return any(sight.removed_ns is not None and not sight.freed for sight in self._sights.values())

    @property
    def hangs(self) -> bool:
        """Whether a fault that swallows data stands now.

        When the backend ends the connection Toxiproxy's timeout toxic passes that on, so a canary that
        asked for `Connection: close` would see a failure where a service's kept connection hangs.
        """
        return any(TOXICS[toxic.type].swallows for fault in self._standing for toxic in fault.toxics)

    @property
    def is_shut(self) -> bool:
        """Whether a fault that disables the proxy stands now."""
        return any(fault.disables_proxy for fault in self._standing)

    @property
    def _standing(self) -> list[PlannedFault]:
        return [sight.fault for sight in self._sights.values() if sight.removing_ns is None]

    def deadline_ms(self) -> float:
        """How long a canary sent now may stay open."""
        standing = self._standing
        if not standing:
            return IDLE_DEADLINE_MS
        return (self.baseline_ms or 0.0) + max(map(_wait_ms, standing)) + MARGIN_MS

    def note(self, entry: Entry) -> None:
        key = (entry.fault, entry.window)
        if entry.event == "requested":
            self._sights[key] = _Observation(self._faults[entry.fault], entry.window, entry.t_ns)
            return
        sight = self._sights.get(key)
        if sight is None:
            return
        if entry.event == "applied":
            sight.applied_ns = entry.t_ns
        elif entry.event == "removing":
            sight.removing_ns = entry.t_ns
        elif entry.event == "removed":
            sight.removed_ns = entry.t_ns

    def see(self, canary: Canary) -> Iterator[Entry | Freed]:
        """What this canary shows for the first time: `observed` entries for the journal, and Freed lines."""
        touching = [sight for sight in self._sights.values() if sight.touches(canary)]
        if not touching:
            yield from self._freed_by(canary)
            if canary.outcome == "ok":
                self._well.append(canary)
        for sight in touching:
            yield from self._observed_by(canary, sight)

    def _observed_by(self, canary: Canary, sight: _Observation) -> Iterator[Entry]:
        base_ms, proof = self.baseline_ms, sight.fault.proof
        if sight.observed or base_ms is None or not sight.covers(canary):
            return
        if sight.cut_off(canary) and not shows(canary, proof, base_ms):
            return
        sight.canaries.append(canary)
        if proves(sight.canaries, proof, share=sight.fault.connection_share, base_ms=base_ms):
            sight.observed = True
            yield Entry(
                fault=sight.fault.name,
                window=sight.window,
                upstream=self.upstream,
                event="observed",
                t_ns=canary.done_ns,
                detail=_spell(canary, proof, base_ms),
            )

    def _freed_by(self, canary: Canary) -> Iterator[Freed]:
        base_ms = self.baseline_ms
        for sight in self._sights.values():
            if sight.freed or sight.removed_ns is None or canary.sent_ns < sight.removed_ns:
                continue
            if base_ms is None or not is_free(canary, sight.fault.proof, base_ms):
                continue
            sight.freed = True
            yield Freed(
                fault=sight.fault.name,
                window=sight.window,
                upstream=self.upstream,
                t_ns=canary.done_ns,
                elapsed_ms=canary.elapsed_ms,
            )


def _wait_ms(fault: PlannedFault) -> float:
    return fault.proof.least_ms if fault.proof.kind == "held" else FAILING_MS


def _spell(canary: Canary, proof: Proof, base_ms: float) -> str:
    """`a canary, held 2.25 s where 1.1 ms were usual`, or what it was answered."""
    took = format_duration(canary.elapsed_ms)
    if proof.kind == "answered":
        return f"a canary met {spell_proof(proof)} after {took}"
    ended = f"failed after {took}: {canary.detail}" if canary.outcome == "failed" else f"held {took}"
    return f"a canary, {ended} where {format_duration(base_ms)} were usual"
