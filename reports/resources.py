"""What the service cost while it ran: memory, processor, threads and open files from resources.ndjson.

Shows the service alone; a run that points at a URL has no such process and gets no charts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from harness.units import NS_PER_MS
from reports.charts import over_time
from reports.history import Band
from reports.subject import Subject

_SERVICE: Final = "sut"
_MOST_POINTS: Final = 300
_MIB: Final = 1024 * 1024
_COLUMNS: Final = (
    ("Memory", "rss_bytes", " MiB", 1 / _MIB),
    ("Threads", "threads", "", 1.0),
    ("Open files and sockets", "fds", "", 1.0),
)


@dataclass(frozen=True, slots=True)
class ResourceChart:
    name: str
    detail: str
    markup: Markup


def charts(subject: Subject, bands: Sequence[Band]) -> list[ResourceChart]:
    """One a figure that was readable at least twice."""
    t0_ns = subject.manifest.t0_ns if subject.manifest else None
    if t0_ns is None:
        return []
    readings = [line for line in _lines(subject.rows_dir / "resources.ndjson") if line.get("child") == _SERVICE]
    found = []
    for name, key, suffix, factor in _COLUMNS:
        points = [
            ((line["t_ns"] - t0_ns) / NS_PER_MS, line[key] * factor)
            for line in readings
            if _is_number(line.get(key)) and _is_number(line.get("t_ns")) and line["t_ns"] >= t0_ns
        ]
        if len(points) < 2:
            continue
        thin = points[:: len(points) // _MOST_POINTS + 1]
        end_ms = max(
            points[-1][0], subject.results.run.load.duration_ms if subject.results.run.stopped is None else 0.0
        )
        most = max(value for _, value in points)
        detail = f"of the service: {points[0][1]:,.0f}{suffix} at first, {most:,.0f}{suffix} at most"
        found.append(ResourceChart(name, detail, over_time.measured(name, thin, suffix, end_ms, bands)))
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole JSON objects; a line that a crash cut short is passed over."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
