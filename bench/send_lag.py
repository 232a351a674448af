"""How late arrivals are sent: `python bench/send_lag.py [RATE_PER_S] [SECONDS] [--short]` against a stub.

Required: at 500/s, send lag p99 under 5 ms on an idle machine. Prints one line of figures.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import bench_parser, exit_code
from bench.drive_run import drive, open_plan
from bench.stub_server import Stub

LIMIT_MS = 5.0


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("rate_per_s", nargs="?", type=float, default=500.0)
    parser.add_argument("duration_s", nargs="?", type=float, help="20, or 2 in short")
    given = parser.parse_args()
    rate_per_s, duration_s = given.rate_per_s, given.duration_s or (2.0 if given.short else 20.0)
    with Stub(service_ms=2.0) as stub, tempfile.TemporaryDirectory() as directory:
        plan = open_plan(stub.url, rate_per_s=rate_per_s, warmup_s=2, duration_s=duration_s, cap_s=5)
        rows, t0_ns = drive(plan, Path(directory))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = rows[rows["intended_ns"] >= t0_ns]
    lag_ms = (measured["sent_ns"] - measured["intended_ns"]) / 1e6
    latency_ms = (measured["done_ns"] - measured["intended_ns"]) / 1e6
    lag_p50, lag_p99 = np.percentile(lag_ms, [50, 99])
    p50, p99 = np.percentile(latency_ms, [50, 99])
    cpu_us = (used.ru_utime + used.ru_stime) / len(rows) * 1e6
    print(
        f"{rate_per_s:g}/s for {duration_s:g} s: {len(measured)} arrivals, "
        f"{np.count_nonzero(measured['outcome'])} not ok, "
        f"send lag p50 {lag_p50:.2f} ms, p99 {lag_p99:.2f} ms, max {lag_ms.max():.2f} ms; "
        f"latency (2 ms service) p50 {p50:.2f} ms, p99 {p99:.2f} ms; "
        f"{cpu_us:.0f} µs CPU a request, server and start-up included"
    )
    return exit_code(holds=bool(lag_p99 < LIMIT_MS), short=given.short)


if __name__ == "__main__":
    sys.exit(main())
