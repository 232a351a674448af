"""Who had the cores along time: how long the service waited for one, and what others used of them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from harness.evidence.cores import CoreSeconds
from reports.charts.over_time import shade
from reports.charts.plot import Amount, Plot, Seconds, steps
from reports.history import Band

WAITED, OTHERS = "c1", "grey"
"""The lines' classes."""


def chart(record: CoreSeconds, taken: Sequence[tuple[int, int]], end_ms: float, bands: Sequence[Band]) -> Markup:
    """Both lines second by second from t = 0, with the taken seconds (from, to) shaded."""
    skipped = max(0, -record.first)
    waited, others = (figures[skipped:].tolist() for figures in (record.waited_s, record.others_s))
    begin = record.first + skipped
    edges = [1_000.0 * second for second in range(begin, begin + len(waited) + 1)]
    label = (
        f"Seconds per second: the service waited for a core {max(waited):.3g} at most, others used {max(others):.3g} "
        f"of {record.cores} cores at most; {sum(to - start for start, to in taken)} seconds are shaded"
    )
    plot = Plot(label, Seconds(0.0, end_ms), Amount.up_to([*waited, *others], " s"))
    shade(plot, bands)
    for start, to in taken:
        plot.span(1_000.0 * start, 1_000.0 * to, "band taken")
    plot.line(steps(edges, others), OTHERS)
    plot.line(steps(edges, waited), WAITED)
    return plot.render()
