"""metrics.ndjson: the series of the service's metrics that gates name, one line for each reading of a series.

The supervisor writes it once a second; the judge reads it. A value is null where there was none, and `failed` says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import DamagedLine, read_ndjson

FILE: Final = "metrics.ndjson"

MetricType = Literal["gauge", "counter", "other"]
"""By the metric's TYPE line; `other`: a histogram, a summary, or a metric without a type."""


class MetricReading(Frozen):
    """One reading. `t_ns`: when the answer was there. `series`: as the gate writes it."""

    t_ns: int
    series: str
    value: float | None
    type: MetricType | None = None
    failed: str = ""
    """Why there is no value: no answer, or none of the answer's samples belongs to the series."""


def read_metrics(run_dir: Path, broken: list[str]) -> tuple[MetricReading, ...]:
    """Every intact line. A last line that is cut short is ignored; the first other damaged line is appended to
    `broken`, because it may hide the highest reading."""
    damaged: list[DamagedLine] = []
    try:
        lines = read_ndjson(
            run_dir / FILE, MetricReading.model_validate_json, "a reading of a metric", pass_over=damaged.append
        )
        readings = tuple(lines)
    except OSError as exc:
        broken.append(f"{FILE} cannot be read: {exc.strerror}")
        return ()
    broken.extend(str(each) for each in damaged[:1])
    return readings
