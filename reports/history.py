"""What happened when: one run's rows turned into the lines and bands that its charts draw.

Shows times as callers saw them, failures included; what a gate makes of them is the judge's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS
from reports import timeline
from reports.timeline import Bins, Flow, Quantiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence
    from harness.evidence.joining.row_table import Places
    from harness.rundir.planned.upstream import PlannedUpstream
    from reports.subject import Subject

MOST_LINES: Final = 12
"""Upstreams drawn one by one; beyond, the quietest are left to the table."""


@dataclass(frozen=True, slots=True)
class Band:
    """One window of a fault. An arrival from `caught_ms` on may still be open when it comes, one from `tail_ms` on
    when its removal lets go what it held: neither stretch shows what it borders on as it was.
    """

    label: str
    caught_ms: float
    start_ms: float
    tail_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class UpstreamLine:
    """An upstream's p99 per bin: its own time plus what a fault added."""

    name: str
    faulted: bool
    p99: Quantiles


@dataclass(frozen=True, slots=True)
class History:
    bins: Bins
    """Of the percentiles: cut wherever a fault changes what an arrival meets."""
    end_to_end: Quantiles
    not_ok: NDArray[np.int64]
    """Arrivals per bin that failed."""
    lines: tuple[UpstreamLine, ...]
    """Faulted upstreams first, in the plan's order, then from slow to quick; at most MOST_LINES."""
    left_out: int
    load_bins: Bins
    """Of the rates: cut at a fault's edges alone, since a rate over a sliver of a second is noise."""
    outcomes: NDArray[np.int64]
    """Outcome × load bin."""
    flow: Flow


def bands(subject: Subject) -> tuple[Band, ...]:
    """The fault windows as they happened; windows never applied are left out."""
    found: dict[tuple[str, int], tuple[list[str], float, float]] = {}
    for fault in subject.results.faults:
        for number, window in enumerate(fault.windows):
            if window.applied_ms is None:
                continue
            end_ms = window.removed_ms if window.removed_ms is not None else subject.results.run.load.duration_ms
            names, start, end = found.get((fault.name, number), ([], window.applied_ms, end_ms))
            found[fault.name, number] = [*names, fault.upstream], min(start, window.applied_ms), max(end, end_ms)
    result = []
    for (name, _), (upstreams, start_ms, end_ms) in found.items():
        planned = subject.planned_fault(name)
        who = ", ".join(upstreams) if len(upstreams) <= 3 else f"{len(upstreams)} upstreams"
        held_ms = planned.held_ms if planned else 0.0
        label = f"{who}: {planned.text if planned else name}"
        caught_ms = _first_caught_ms(subject, start_ms)
        result.append(Band(label, caught_ms, start_ms, max(start_ms, end_ms - held_ms), end_ms))
    return tuple(sorted(result, key=lambda band: (band.start_ms, band.end_ms)))


def _first_caught_ms(subject: Subject, start_ms: float) -> float:
    """When the first arrival of the guard was due that was still open as the fault came.

    Without a cut there, the last bin before a fault would take its p99 from the two or three arrivals that
    were caught, and the line would seem to rise before its cause.
    """
    import numpy as np

    evidence = subject.evidence
    if evidence is None or evidence.manifest.t0_ns is None:
        return start_ms
    start_ns = evidence.t0_ns + round(start_ms * NS_PER_MS)
    earliest_ns = max(evidence.t0_ns, start_ns - round(evidence.plan.guard_ms * NS_PER_MS))
    guard = slice(*np.searchsorted(evidence.intended_ns, [earliest_ns, start_ns]).tolist())
    caught = np.flatnonzero(evidence.samples["done_ns"][guard] >= start_ns)
    if not len(caught):
        return start_ms
    return float(evidence.intended_ns[guard][caught[0]] - evidence.t0_ns) / NS_PER_MS


def history_of(subject: Subject) -> History | None:
    """None where load never started or no arrival has a row: there is nothing to draw."""
    import numpy as np

    evidence = subject.evidence
    if evidence is None or evidence.manifest.t0_ns is None:
        return None
    rows = evidence.samples[int(np.searchsorted(evidence.intended_ns, evidence.t0_ns)) :]
    rows = rows[rows["part"] == 0] if evidence.has_parts else rows
    if evidence.silent_arrivals:
        rows = rows[rows["outcome"] != Outcome.NO_REQUEST]
    if not len(rows):
        return None
    intended_ns = rows["intended_ns"]
    end_ms = float(intended_ns[-1] - evidence.t0_ns) / NS_PER_MS + 1.0
    end_ms = max(end_ms, evidence.plan.load.duration_ms) if subject.results.run.stopped is None else end_ms
    windows = bands(subject)
    edges_ms = [cut for band in windows for cut in (band.start_ms, band.end_ms)]
    fine_ms = [cut for band in windows for cut in (band.caught_ms, band.tail_ms)]
    bins = timeline.bins_for(0.0, end_ms, [*edges_ms, *fine_ms], len(rows))
    load_bins = timeline.bins_for(0.0, end_ms, edges_ms, len(rows))
    outcome = rows["outcome"]
    bin_of = _bins_of(bins, intended_ns, evidence.t0_ns)
    # a dropped request has no end of its own: it would have waited for as long as the client waits
    waited_ms = (rows["done_ns"] - intended_ns) / NS_PER_MS
    waited_ms[outcome == Outcome.DROPPED] = evidence.plan.load.client_cap_ms
    end_to_end = timeline.p99_by_group(bin_of, len(bins), waited_ms, outcome != Outcome.OK)
    del waited_ms  # of millions of rows it is large
    lines = _lines(evidence, bins)
    return History(
        bins=bins,
        end_to_end=end_to_end,
        not_ok=timeline.outcomes_by_bin(bins, bin_of, outcome)[Outcome.OK + 1 :].sum(axis=0),
        lines=lines[:MOST_LINES],
        left_out=max(0, len(lines) - MOST_LINES),
        load_bins=load_bins,
        outcomes=timeline.outcomes_by_bin(load_bins, _bins_of(load_bins, intended_ns, evidence.t0_ns), outcome),
        flow=_flow(evidence, load_bins),
    )


def _lines(evidence: Evidence, bins: Bins) -> tuple[UpstreamLine, ...]:
    """One upstream after the other: of millions of calls only one upstream's figures are in memory at a time."""
    import numpy as np

    from harness.evidence.joining.row_table import blocks, places_of

    faulted = [upstream for fault in evidence.plan.faults for upstream in fault.upstreams]
    lines = []
    for upstream in evidence.plan.upstreams:
        is_mine = evidence.calls["upstream"] == upstream.index
        mine, calls = places_of(is_mine), evidence.calls[is_mine]
        took_ms = np.empty(len(mine))
        for block in blocks(len(mine)):
            own = calls[block]
            took_ms[block] = (own["done_ns"] - own["arrived_ns"]) / NS_PER_MS
            if upstream.name in faulted:
                took_ms[block] = _with_faults_ms(evidence, upstream, mine[block], took_ms[block])
        # by the answer's moment: that, not the call's, decides whether a downstream fault meets it
        p99 = timeline.p99_by_group(_bins_of(bins, calls["done_ns"], evidence.t0_ns), len(bins), took_ms)
        for sliver in np.flatnonzero(bins.slivers).tolist():  # a call or two: drawn as the bin before it went on
            p99.value_ms[sliver] = p99.value_ms[max(sliver - 1, 0)]
        if p99.n.any():
            lines.append(UpstreamLine(upstream.name, upstream.name in faulted, p99))
    order = {name: index for index, name in enumerate(reversed(faulted))}
    return tuple(sorted(lines, key=lambda line: (-order.get(line.name, -1), -_typical(line.p99), line.name)))


def _with_faults_ms(
    evidence: Evidence, upstream: PlannedUpstream, mine: Places, took_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What each call cost its caller, and would have cost a patient one while a known delay stood.

    A service that gave up after a second waited for a second; the line is to show the sixty that were there.
    """
    import numpy as np

    from harness.evidence.backend_time import call_waits_ns

    done_ns = evidence.calls[mine]["done_ns"]
    standing_ms, met = timeline.standing_ms(done_ns, _windows(evidence, upstream.name))
    waited_ms = call_waits_ns(evidence, upstream.index, mine) / NS_PER_MS
    return np.where(met, np.maximum(took_ms + standing_ms, waited_ms), took_ms)


def _windows(evidence: Evidence, upstream: str) -> list[tuple[int, int, float]]:
    """(applied_ns, removed_ns, delay_ms) of an upstream's windows; delay 0 where it is not one known delay for all."""
    faults = {fault.name: fault for fault in evidence.plan.faults}
    found = []
    for injection in evidence.journalled:
        fault = faults.get(injection.fault)
        if fault is None or injection.upstream != upstream or injection.applied_ns is None:
            continue
        removed_ns = injection.removing_ns if injection.removing_ns is not None else evidence.end_ns
        known_ms = fault.delay_ms if fault.delay_ms is not None and fault.share >= 1 else 0.0
        found.append((injection.applied_ns, removed_ns, known_ms))
    return found


def _flow(evidence: Evidence, bins: Bins) -> Flow:
    from harness.evidence.joining.row_table import blocks

    rows = evidence.samples
    if evidence.silent_arrivals:
        rows = rows[rows["outcome"] != Outcome.NO_REQUEST]
    pieces = (rows[block] for block in blocks(len(rows)))
    t0_ns = evidence.t0_ns
    return timeline.flow_by_bin(
        bins, ((_since(own["sent_ns"], t0_ns), _since(own["done_ns"], t0_ns), own["outcome"]) for own in pieces)
    )


def _bins_of(bins: Bins, t_ns: NDArray[np.int64], t0_ns: int) -> NDArray[np.signedinteger]:
    """The bin of each absolute time."""
    import numpy as np

    from harness.evidence.joining.row_table import blocks

    found = [bins.of(_since(t_ns[block], t0_ns)) for block in blocks(len(t_ns))]
    return np.concatenate(found or [bins.of(np.empty(0))])


def _since(t_ns: NDArray[Any], t0_ns: int) -> NDArray[np.float64]:
    since: NDArray[np.float64] = (t_ns - t0_ns) / NS_PER_MS
    return since


def _typical(quantiles: Quantiles) -> float:
    import numpy as np

    return float(np.nanmedian(quantiles.value_ms))
