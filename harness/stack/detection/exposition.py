"""For which upstreams the service's alert metric is raised, read from Prometheus' text format. Pure.

`prometheus_client` parses each line by itself, so that a damaged line costs no other. Its import takes tens of
milliseconds, so only a supervisor whose service has an alert imports it, while that service warms up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.detection.log_matcher import spelled

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

LINE_MOST: Final = 4_096
"""In characters. A longer line is not parsed: the parser's time grows with the square of a line's labels."""


def import_parser() -> None:
    """Import the parser now, so that the first sample does not wait for it."""
    import prometheus_client.parser  # noqa: F401


def is_metrics(text: str) -> bool:
    """Whether an answer may be Prometheus' text: its first line is a comment or a sample, or it has no line."""
    first = next((line for line in text.split("\n") if line.strip()), "#")
    return first.startswith("#") or _sample(first) is not None


def holds_samples(text: str) -> bool:
    """Whether Prometheus' text has any line that is not a comment."""
    return any(line.strip() and not line.startswith("#") for line in text.split("\n"))


def alerts(text: str, metric: str, upstreams: Sequence[PlannedUpstream]) -> dict[str, bool]:
    """By upstream: whether any sample of `metric` about it is above zero. An upstream without such a sample is left
    out. A sample is about an upstream if the value of one of its labels is the upstream's name, or an added spelling,
    exactly as written.

    `text` is Prometheus' text format; lines that are not, and values that are no number, are skipped.
    """
    found: dict[str, bool] = {}
    for line in text.split("\n"):
        if not line.startswith(metric):  # true of nearly every line, and much faster than the parser
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
    """None if the line is no sample."""
    from prometheus_client.parser import text_string_to_metric_families

    if len(line) > LINE_MOST:
        return None
    try:
        return next((sample for family in text_string_to_metric_families(line) for sample in family.samples), None)
    except (ValueError, IndexError, OverflowError):  # the parser raises all three for a line that it cannot read
        return None
