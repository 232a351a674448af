"""What the service held in each minute of a run: the highest reading of memory, threads and TCP sockets, as a table.

    tailgate run soak                                 eleven minutes and a half
    python bench/soak_minutes.py .runs/soak/…         its run directory, or any other run's

Minutes count from t = 0, warm-up left out; the last is cut where the load ended. What grows is seen from left to right.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from harness.evidence import Evidence
from harness.evidence.resources import ResourceSeries
from harness.units import NS_PER_MS, NS_PER_S, Span

MINUTE_NS: Final = 60 * NS_PER_S
FIGURES: Final = (
    ("memory (MB)", "rss_bytes", 1e6, ".1f"),
    ("threads", "threads", 1, ".0f"),
    ("TCP sockets", "sockets", 1, ".0f"),
)


def minutes(run_dir: Path) -> list[ResourceSeries]:
    """The readings of each minute. Raises SystemExit where the run has none."""
    run = Evidence.load(run_dir)
    end_ns = run.t0_ns + round(run.plan.load.duration_ms * NS_PER_MS)
    begins = range(run.t0_ns, end_ns, MINUTE_NS)
    found = [run.readings.within([Span(begin_ns, min(begin_ns + MINUTE_NS, end_ns))], None) for begin_ns in begins]
    if not any(map(len, found)):
        raise SystemExit(f"{run_dir}: nobody looked at what the service held")
    return found


def table(found: list[ResourceSeries]) -> str:
    numbers = range(1, len(found) + 1)
    rows = ["| minute | " + " | ".join(map(str, numbers)) + " |", "|---|" + "---:|" * len(found)]
    for name, figure, unit, spelling in FIGURES:
        told = [each.knowing(figure).figure(figure) / unit for each in found]
        rows.append(f"| {name} | " + " | ".join(f"{max(each):{spelling}}" if len(each) else "" for each in told) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    print(table(minutes(parser.parse_args().run_dir)))


if __name__ == "__main__":
    main()
