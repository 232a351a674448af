"""What the service cost while it ran: charts from its readings, and a table of what each phase cost from the results;
and who had the cores meanwhile.

Shows the service alone; a run that points at a URL has no such process and gets neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from harness.evidence.cores import CoreSeconds
from harness.evidence.files import read_resources
from harness.evidence.resources import ResourceSeries, format_states
from harness.rundir.results import CostResult
from harness.units import NS_PER_MS, format_things
from reports import formatting
from reports.charts import cores, over_time
from reports.history import Band
from reports.subject import Subject

_MOST_POINTS: Final = 300
_MB: Final = 1_000_000
_COLUMNS: Final = (
    ("Memory", "rss_bytes", " MB", 1 / _MB),
    ("Threads", "threads", "", 1.0),
    ("TCP sockets", "sockets", "", 1.0),
    ("Open files and sockets", "fds", "", 1.0),
)


@dataclass(frozen=True, slots=True)
class ResourceChart:
    name: str
    detail: str
    markup: Markup


@dataclass(frozen=True, slots=True)
class CostRow:
    """One phase in words. `held`: the most of memory, threads, sockets and files, and the last where that differs."""

    phase: str
    held: tuple[tuple[str, str], ...]
    states: str
    cores: str
    per_request: str


def charts(subject: Subject, bands: Sequence[Band]) -> list[ResourceChart]:
    """One a figure that was readable at least twice."""
    t0_ns = subject.manifest.t0_ns if subject.manifest else None
    if t0_ns is None:
        return []
    # without evidence the readings may still be there; the checks report what is damaged
    lines = subject.evidence.resources if subject.evidence else read_resources(subject.rows_dir, [])
    readings = ResourceSeries.of(lines)
    found = []
    for name, key, suffix, factor in _COLUMNS:
        known = readings.knowing(key)
        t_ms = (known.t_ns - t0_ns) / NS_PER_MS
        since_start = t_ms >= 0
        points = list(zip(t_ms[since_start].tolist(), (known.figure(key)[since_start] * factor).tolist(), strict=True))
        if len(points) < 2:
            continue
        end_ms = max(
            points[-1][0], subject.results.run.load.duration_ms if subject.results.run.stopped is None else 0.0
        )
        most = max(value for _, value in points)
        detail = f"of the service: {points[0][1]:,.0f}{suffix} at first, {most:,.0f}{suffix} at most"
        found.append(ResourceChart(name, detail, over_time.measured(name, thinned(points), suffix, end_ms, bands)))
    return found


@dataclass(frozen=True, slots=True)
class CoresCard:
    """Who had the cores. `taken`: a sentence on the shaded seconds; empty if there are none."""

    detail: str
    taken: str
    markup: Markup


def cores_card(subject: Subject, bands: Sequence[Band]) -> CoresCard | None:
    """Of the first run that was judged; None if it is unknown who had the cores."""
    found = next(iter(subject.results.cores), None)
    record = CoreSeconds.of(subject.evidence.resources, subject.evidence.t0_ns) if subject.evidence else None
    if found is None or record is None or record.first + len(record) <= 0:
        return None
    end_ms = 1_000.0 * max(record.first + len(record), found.seconds)
    seconds = sum(to - begin for begin, to in found.taken)
    return CoresCard(
        detail=f"seconds per second, on {format_things(found.cores, 'core')} that the service may use",
        taken=f"Shaded: {format_things(seconds, 'second')} in which others took the cores while the service or the rig "
        "waited for one. A FAIL that does not hold without them is a rig failure."
        if seconds
        else "",
        markup=cores.chart(record, found.taken, end_ms, bands),
    )


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The highest of each few, so that no peak is lost."""
    width = len(points) // _MOST_POINTS + 1
    groups = (points[start : start + width] for start in range(0, len(points), width))
    return [max(group, key=lambda point: point[1]) for group in groups]


def table(cost: Sequence[CostResult]) -> Iterator[CostRow]:
    """One row a phase, in time's order."""
    for each in cost:
        yield CostRow(
            phase=each.phase,
            held=(
                _peak_and_end(each.rss_max_bytes, each.rss_end_bytes, size=True),
                _peak_and_end(each.threads_max, each.threads_end),
                _peak_and_end(each.sockets_max, each.sockets_end),
                _peak_and_end(each.fds_max, each.fds_end),
            ),
            states=_states(each),
            cores=formatting.number(each.cpu_s_per_s),
            per_request=formatting.ms(each.cpu_ms_per_request),
        )


def _peak_and_end(most: int | None, last: int | None, *, size: bool = False) -> tuple[str, str]:
    spell = formatting.size if size else formatting.count
    at_most, at_end = spell(most), spell(last)
    return at_most, "" if at_end == at_most else f"{at_end} at the end"


def _states(each: CostResult) -> str:
    """The commonest first; those that listen are not among the sockets counted."""
    return format_states(each.sockets_by_state or {})
