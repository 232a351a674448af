"""Which upstreams the service's alert metric says are raised, from Prometheus' text format. Pure.

`prometheus_client` reads each line by itself, so that one that is damaged costs no other. Its import takes tens of
milliseconds, so only a supervisor whose service has an alert pays for it, while that service warms up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from harness.rundir.plan import PlannedUpstream
from harness.stack.detection.log_matcher import spelled

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

LINE_MOST: Final = 4_096
"""Characters. A longer line is no sample: the parser's time grows with the square of a line's labels."""


def import_parser() -> None:
    """Pay for the import now, and not when the first sample is read."""
    import prometheus_client.parser  # noqa: F401


def is_metrics(text: str) -> bool:
    """Whether an answer may be Prometheus' text: its first line is a comment or a sample, or it holds nothing."""
    first = next((line for line in text.split("\n") if line.strip()), "#")
    return first.startswith("#") or _sample(first) is not None


def holds_samples(text: str) -> bool:
    """Whether Prometheus' text says anything of anything."""
    return any(line.strip() and not line.startswith("#") for line in text.split("\n"))


def alerts(text: str, metric: str, upstreams: Sequence[PlannedUpstream]) -> dict[str, bool]:
    """Which upstreams samples of `metric` are about, and whether one is above zero. A sample is about those upstreams
    of which a label's value is the name, or an added spelling, exactly as written.

    `text` is Prometheus' text format; lines that are not, and values that are no number, are passed over.
    """
    found: dict[str, bool] = {}
    for line in text.split("\n"):
        if not line.startswith(metric):  # of nearly every line, and much faster than the parser
            continue
        sample = _sample(line)
        if sample is None or sample.name != metric:
            continue
        values = set(sample.labels.values())
        for upstream in upstreams:
            if not values.isdisjoint(spelled(upstream)):
                found[upstream.name] = found.get(upstream.name, False) or sample.value > 0
    return found


def _sample(line: str) -> Sample | None:
    """None where the line is no sample."""
    from prometheus_client.parser import text_string_to_metric_families

    if len(line) > LINE_MOST:
        return None
    try:
        return next((sample for family in text_string_to_metric_families(line) for sample in family.samples), None)
    except (ValueError, IndexError, OverflowError):  # all three are what the parser raises for what it cannot read
        return None
