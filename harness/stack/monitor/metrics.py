"""Reads the service's metrics once a second and records the series that gates name in metrics.ndjson.

The request goes to the service itself and not through its gateway, and does not count as load. Only lines about these
series are parsed, by `prometheus_client`, so that a large answer costs little. An answer that was cut short counts as
none, because a part of a sum would look like the whole. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from harness.rundir.metrics.readings import MetricReading, MetricType
from harness.rundir.metrics.series import Series
from harness.rundir.plan import Plan
from harness.stack.processes import probe

if TYPE_CHECKING:
    from prometheus_client import Metric

PERIOD_S: Final = 1.0
TIMEOUT_S: Final = 1.0
LINE_MOST: Final = 4_096
"""In characters. A longer line is not parsed: the parser's time grows with the square of a line's labels."""
_NAMES_SHOWN: Final = 3
_TOTAL: Final = "_total"
_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,99}(?=[{ ])")
_TYPES: Final[Mapping[str, MetricType]] = {"gauge": "gauge", "counter": "counter"}


@dataclass(frozen=True, slots=True)
class MetricsPoll:
    """Where the service's metrics are, and which series are read from them."""

    url: str
    headers: Mapping[str, str]
    series: tuple[Series, ...]

    @classmethod
    def of(cls, plan: Plan, base_url: str, headers: Mapping[str, str]) -> Self | None:
        """None if no gate names a series."""
        if plan.service.metrics_path is None or not plan.metrics:
            return None
        return cls(f"{base_url}{plan.service.metrics_path}", headers, tuple(map(Series.parse, plan.metrics)))


async def poll_forever(poll: MetricsPoll, path: Path) -> None:
    """Read and record until cancelled. Raises OSError if the file cannot be written."""
    import prometheus_client.parser  # noqa: F401  (now, so that the first reading does not wait for it)

    with path.open("ab", buffering=0) as file:
        next_s = time.monotonic()
        while True:
            text, failed = await _ask(poll)
            t_ns = time.monotonic_ns()
            if failed:
                readings = [
                    MetricReading(t_ns=t_ns, series=each.text, value=None, failed=failed) for each in poll.series
                ]
            else:
                readings = read(text, poll.series, t_ns)
            file.write("".join(f"{reading.model_dump_json()}\n" for reading in readings).encode())
            next_s = max(next_s + PERIOD_S, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())


async def _ask(poll: MetricsPoll) -> tuple[str, str]:
    """What the service answered, and why that cannot be used (empty if it can)."""
    try:
        answer = await probe.get(poll.url, headers=poll.headers, timeout_s=TIMEOUT_S)
    except TimeoutError:
        return "", f"no answer within {TIMEOUT_S:g} s"
    except (OSError, ValueError) as exc:
        return "", f"no answer: {type(exc).__name__}"
    if answer.status != 200:
        return "", f"answered {answer.status}"
    if not answer.whole:
        return "", f"the answer was cut short after {len(answer.body):,} bytes"
    return answer.body.decode("utf-8", "replace"), ""


def read(text: str, series: Sequence[Series], t_ns: int) -> list[MetricReading]:
    """A reading of each series from Prometheus' text format. Samples that belong to one series are added up."""
    lines = text.split("\n")
    return [_read_one(lines, each, t_ns) for each in series]


def _read_one(lines: Sequence[str], series: Series, t_ns: int) -> MetricReading:
    own = [line for line in lines if _may_be_of(line, series) and len(line) <= LINE_MOST]
    values: list[float] = []
    kind: MetricType | None = None
    for family in _families(own):
        found = [sample.value for sample in family.samples if series.selects(sample.name, sample.labels)]
        if found:
            values += found
            kind = _type_of(family, own)
    total = math.fsum(values) if all(map(math.isfinite, values)) else math.nan
    if values and math.isfinite(total):
        return MetricReading(t_ns=t_ns, series=series.text, value=total, type=kind)
    failed = "its value is no finite number" if values else _not_there(lines, series)
    return MetricReading(t_ns=t_ns, series=series.text, value=None, type=kind, failed=failed)


def _type_of(family: Metric, lines: Sequence[str]) -> MetricType:
    """The TYPE line may name a counter without the `_total` of its samples, as in OpenMetrics. The parser, which is for
    the older format, knows no type of such samples."""
    named = family.name.removesuffix(_TOTAL)
    if family.type == "unknown" and named != family.name and f"# TYPE {named} counter" in map(str.strip, lines):
        return "counter"
    return _TYPES.get(family.type, "other")


def _may_be_of(line: str, series: Series) -> bool:
    """Whether the line is a sample of that name or its TYPE; the parser finds out whether it really is."""
    return line.startswith(series.name) or (line.startswith("# TYPE ") and series.name.removesuffix(_TOTAL) in line)


def _families(lines: Sequence[str]) -> list[Metric]:
    """What the parser makes of these lines, of which one that it cannot read costs no other."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        return list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except (ValueError, IndexError, OverflowError):  # the parser raises all three for a line that it cannot read
        if len(lines) == 1:
            return []
    types = [line for line in lines if line.startswith("# TYPE ")]
    return [family for line in lines if not line.startswith("#") for family in _families_of_one(types, line)]


def _families_of_one(types: Sequence[str], line: str) -> list[Metric]:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        return list(text_string_to_metric_families("\n".join([*types, line]) + "\n"))
    except (ValueError, IndexError, OverflowError):
        return []


def _not_there(lines: Sequence[str], series: Series) -> str:
    """Which series are there instead: those of that name, or the names that are most like it."""
    from difflib import get_close_matches

    names = {match[0]: None for line in lines if (match := _NAME.match(line))}
    if not names:
        return "the answer holds no metric"
    if series.name in names:
        return "none of its samples has these labels"
    close = get_close_matches(series.name, list(names), _NAMES_SHOWN, 0.5)
    there = f"; it has {', '.join(close)}" if close else f", among {len(names):,} others"
    return f"the answer has no metric of that name{there}"
