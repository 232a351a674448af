"""When each fault really acted, window by window, from the entries of the journal.

A phase counts from `applied` (acknowledged) to `removing` (requested). The time in which a fault may have affected
requests is longer: from `requested` to `removed`. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.rundir.journal import Entry
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from harness.units import NS_PER_MS, Span


@dataclass(frozen=True, slots=True)
class Injection:
    """One window of one fault on one upstream. Times are absolute monotonic ns; None: the journal has no such event."""

    fault: str
    window: int
    upstream: str
    requested_ns: int | None = None
    applied_ns: int | None = None
    observed_ns: int | None = None
    removing_ns: int | None = None
    removed_ns: int | None = None
    verified: bool = False
    ready_ns: int | None = None
    """When a process that the fault had ended or stopped answered again; None for other faults too."""

    def touched(self, end_ns: int) -> Span | None:
        """The first and the last moment at which it may have acted; `end_ns` if its removal is not in the journal.

        None if it was never requested.
        """
        begin_ns = self.requested_ns if self.requested_ns is not None else self.applied_ns
        if begin_ns is None:
            return None
        return Span(begin_ns, self.removed_ns if self.removed_ns is not None else end_ns)

    def without_process(self, end_ns: int) -> Span | None:
        """The time in which a process was ended, stopped or not ready by this fault. None if it was never requested."""
        if self.requested_ns is None:
            return None
        if self.ready_ns is not None:
            return Span(self.requested_ns, self.ready_ns)
        return Span(self.requested_ns, self.removed_ns if self.removed_ns is not None else end_ns)

    def stood_ms(self, end_ns: int) -> float:
        """How long it was active, from applied until its removal was requested, or until `end_ns` if that never was; 0
        if it was never applied."""
        begin_ns = self.applied_ns if self.applied_ns is not None else end_ns
        return ((self.removing_ns if self.removing_ns is not None else end_ns) - begin_ns) / NS_PER_MS


def injections_of(entries: Iterable[Entry]) -> tuple[Injection, ...]:
    """One injection for each (fault, window, upstream), in the order in which the journal first mentions them. If an
    event is journalled twice, the first one counts."""
    times_ns: dict[tuple[str, int, str], dict[str, int]] = {}
    for entry in entries:
        times_ns.setdefault((entry.fault, entry.window, entry.upstream), {}).setdefault(entry.event, entry.t_ns)
    return tuple(
        Injection(
            fault=fault,
            window=window,
            upstream=upstream,
            requested_ns=events.get("requested"),
            applied_ns=events.get("applied"),
            observed_ns=events.get("observed"),
            removing_ns=events.get("removing"),
            removed_ns=events.get("removed"),
            verified="verified" in events,
            ready_ns=events.get("ready"),
        )
        for (fault, window, upstream), events in times_ns.items()
    )


def real_windows(
    plan: Plan, injections: Sequence[Injection], t0_ns: int, *, stop_ns: int | None
) -> dict[str, tuple[FaultWindow, ...]]:
    """The real windows of each fault, in ms from t = 0, as `phases_of` needs them.

    With several upstreams, a window lasts from the last one applied to the first one removed. A window that was never
    applied is the planned one; a window that a stop cut short keeps its planned length, because gates refer to that.
    """
    return {
        fault.name: tuple(
            _window(
                fault, number, [i for i in injections if (i.fault, i.window) == (fault.name, number)], t0_ns, stop_ns
            )
            for number in range(len(fault.windows))
        )
        for fault in plan.faults
    }


def _window(
    fault: PlannedFault, number: int, injections: Sequence[Injection], t0_ns: int, stop_ns: int | None
) -> FaultWindow:
    planned = fault.windows[number]
    applied = [i.applied_ns for i in injections if i.applied_ns is not None]
    removing = [i.removing_ns for i in injections if i.removing_ns is not None]
    if not applied:
        return planned
    apply_ms = (max(applied) - t0_ns) / NS_PER_MS
    as_planned_ms = apply_ms + planned.remove_ms - planned.apply_ms
    cut = stop_ns is not None and stop_ns < t0_ns + as_planned_ms * NS_PER_MS
    if not removing or cut:
        return FaultWindow(apply_ms=apply_ms, remove_ms=as_planned_ms)
    return FaultWindow(apply_ms=apply_ms, remove_ms=(min(removing) - t0_ns) / NS_PER_MS)
