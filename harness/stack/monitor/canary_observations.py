"""What the canaries of one upstream showed of its faults: when each was proven, and when it was gone again.

Pure: it is fed with journal entries, and with canaries in the order in which they end. It opens nothing and reads no
clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.rundir.canaries import Canary, Freed, baseline_ms, is_free, proves, shows, spell_proof
from harness.rundir.journal import Entry
from harness.rundir.planned.fault import PlannedFault, Proof
from harness.rundir.toxics import TOXICS
from harness.units import format_duration

IDLE_DEADLINE_MS: Final = 5_000.0
"""How long a canary may take while no fault is active."""

MARGIN_MS: Final = 250.0
"""How much longer a canary stays open after it was held long enough."""

FAILING_MS: Final = 2_500.0
"""How long a canary waits under a fault that makes it fail. A fault that takes 2 s or longer counts as one that
holds."""

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
        """Whether any part of the exchange lies in the window."""
        return canary.done_ns >= self.requested_ns and (self.removed_ns is None or canary.sent_ns < self.removed_ns)

    def covers(self, canary: Canary) -> bool:
        """Whether the canary was sent while the fault was certainly active."""
        after = self.applied_ns is not None and canary.sent_ns >= self.applied_ns
        return after and (self.removing_ns is None or canary.sent_ns < self.removing_ns)

    def cut_off(self, canary: Canary) -> bool:
        """Whether the removal released the canary, so that it is unknown how long it would have been held."""
        return self.removing_ns is not None and canary.done_ns >= self.removing_ns


class CanaryObservations:
    def __init__(self, upstream: str, faults: tuple[PlannedFault, ...]) -> None:
        self.upstream = upstream
        self._faults = {fault.name: fault for fault in faults}
        self._observations: dict[tuple[str, int], _Observation] = {}
        self._healthy: deque[Canary] = deque(maxlen=_BASELINE_KEPT)

    @property
    def baseline_ms(self) -> float | None:
        """The lower median of canaries' times without a fault, in ms; None if there was no whole answer yet."""
        return baseline_ms(self._healthy)

    @property
    def pending(self) -> bool:
        """Whether no canary has shown yet that a removed window is over."""
        return any(
            observation.removed_ns is not None and not observation.freed for observation in self._observations.values()
        )

    @property
    def is_watched(self) -> bool:
        """Whether canaries have something to show: a fault is active, or has not been seen to be over."""
        return bool(self._active) or self.pending

    @property
    def hangs(self) -> bool:
        """Whether a fault that swallows data is active.

        When the backend closes the connection, Toxiproxy's timeout toxic passes that on. A canary that asked for
        `Connection: close` would then see a failure where a service's keep-alive connection hangs.
        """
        return any(TOXICS[toxic.type].swallows for fault in self._active for toxic in fault.toxics)

    @property
    def is_shut(self) -> bool:
        """Whether a fault that disables the proxy is active."""
        return any(fault.disables_proxy for fault in self._active)

    @property
    def _active(self) -> list[PlannedFault]:
        return [observation.fault for observation in self._observations.values() if observation.removing_ns is None]

    def deadline_ms(self) -> float:
        """How long a canary sent now may stay open."""
        active = self._active
        if not active:
            return IDLE_DEADLINE_MS
        return (self.baseline_ms or 0.0) + max(map(_wait_ms, active)) + MARGIN_MS

    def note(self, entry: Entry) -> None:
        key = (entry.fault, entry.window)
        if entry.event == "requested":
            self._observations[key] = _Observation(self._faults[entry.fault], entry.window, entry.t_ns)
            return
        observation = self._observations.get(key)
        if observation is None:
            return
        if entry.event == "applied":
            observation.applied_ns = entry.t_ns
        elif entry.event == "removing":
            observation.removing_ns = entry.t_ns
        elif entry.event == "removed":
            observation.removed_ns = entry.t_ns

    def see(self, canary: Canary) -> Iterator[Entry | Freed]:
        """What this canary shows for the first time: `observed` entries for the journal, and Freed lines for
        canary.ndjson."""
        touching = [observation for observation in self._observations.values() if observation.touches(canary)]
        if not touching:
            yield from self._freed_by(canary)
            if canary.outcome == "ok":
                self._healthy.append(canary)
        for observation in touching:
            yield from self._observed_by(canary, observation)

    def _observed_by(self, canary: Canary, observation: _Observation) -> Iterator[Entry]:
        base_ms, proof = self.baseline_ms, observation.fault.proof
        if observation.observed or base_ms is None or not observation.covers(canary):
            return
        if observation.cut_off(canary) and not shows(canary, proof, base_ms):
            return
        observation.canaries.append(canary)
        if proves(observation.canaries, proof, share=observation.fault.connection_share, base_ms=base_ms):
            observation.observed = True
            yield Entry(
                fault=observation.fault.name,
                window=observation.window,
                upstream=self.upstream,
                event="observed",
                t_ns=canary.done_ns,
                detail=_describe(canary, proof, base_ms),
            )

    def _freed_by(self, canary: Canary) -> Iterator[Freed]:
        base_ms = self.baseline_ms
        for observation in self._observations.values():
            if observation.freed or observation.removed_ns is None or canary.sent_ns < observation.removed_ns:
                continue
            if base_ms is None or not is_free(canary, observation.fault.proof, base_ms):
                continue
            observation.freed = True
            yield Freed(
                fault=observation.fault.name,
                window=observation.window,
                upstream=self.upstream,
                t_ns=canary.done_ns,
                elapsed_ms=canary.elapsed_ms,
            )


def _wait_ms(fault: PlannedFault) -> float:
    return fault.proof.least_ms if fault.proof.kind == "held" else FAILING_MS


def _describe(canary: Canary, proof: Proof, base_ms: float) -> str:
    """For people: `a canary, held 2.25 s where 1.1 ms were usual`, or which answer it got."""
    took = format_duration(canary.elapsed_ms)
    if proof.kind == "answered":
        return f"a canary met {spell_proof(proof)} after {took}"
    ended = f"failed after {took}: {canary.detail}" if canary.outcome == "failed" else f"held {took}"
    return f"a canary, {ended} where {format_duration(base_ms)} were usual"
