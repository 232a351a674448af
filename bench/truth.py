"""Does the load generator tell the truth? One stall, seen by tailgate and by stock Locust.

`python bench/truth.py [--short]`: a server with 5 ms service stalls from 10 to 20 s of 40 s at 200/s. The truth
is the server's own log of replies minus the planned times. Required: tailgate's p90, p95 and p99
within 1 % of it or 150 ms, the larger. Takes about three minutes; prints a table in Markdown.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import bench_parser, exit_code
from bench.drive_run import drive, open_plan
from bench.stub_server import Stub
from harness.units import NS_PER_S
from scenarios.load import PlannedArrivals

RATE_PER_S = 200
SERVICE_MS = 5.0
WARMUP_S = 2
QUANTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Size:
    length_s: int
    stall_s: tuple[int, int]
    stock_users: tuple[int, ...]


WHOLE = Size(40, (10, 20), (10, 50, 200))
SHORT = Size(4, (1, 2), (10,))

LOCUSTFILE = """
import time, urllib.request
from locust import FastHttpUser, constant_throughput, events, task

@events.test_start.add_listener
def plan_the_stall(environment, **_):
    now = time.monotonic_ns()
    start, end = (now + int(s * 1e9) for s in {stall})
    urllib.request.urlopen(f"{{environment.host}}/control/stall/{{start}}/{{end}}", timeout=5).read()

class Visitor(FastHttpUser):
    wait_time = constant_throughput({rate} / {users})

    @task
    def get(self):
        self.client.get("/")
"""


def tailgate(size: Size) -> tuple[list[float], list[float]]:
    """Quantiles in ms: the truth, and what tailgate recorded of the same run."""
    with Stub(SERVICE_MS) as stub, tempfile.TemporaryDirectory() as directory:
        plan = open_plan(stub.url, rate_per_s=RATE_PER_S, warmup_s=WARMUP_S, duration_s=size.length_s)

        def at_start(t0_ns: int) -> None:
            stub.stall(t0_ns + size.stall_s[0] * NS_PER_S, t0_ns + size.stall_s[1] * NS_PER_S)

        rows, t0_ns = drive(plan, Path(directory), at_start)
        replies = stub.replies()
    planned = PlannedArrivals.of(plan.load, plan.seed).at_ns
    truth_ms = [(replies[seq] - t0_ns - at_ns) / 1e6 for seq, at_ns in enumerate(planned) if at_ns >= 0]
    measured = rows[rows["intended_ns"] >= t0_ns]
    seen_ms = (measured["done_ns"] - measured["intended_ns"]) / 1e6
    return list(np.percentile(truth_ms, QUANTILES)), list(np.percentile(seen_ms, QUANTILES))


def stock_locust(users: int, size: Size) -> list[float]:
    """What Locust itself reports for the same server, the same rate, and so many users."""
    with Stub(SERVICE_MS) as stub, tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "locustfile.py")
        file.write_text(textwrap.dedent(LOCUSTFILE.format(stall=size.stall_s, rate=RATE_PER_S, users=users)))
        argv = [sys.executable, "-m", "locust", "--headless", "-f", str(file), "--host", stub.url]
        argv += ["-u", str(users), "-r", str(users), "-t", f"{size.length_s}s", "--csv", str(Path(directory, "stock"))]
        argv += ["--only-summary", "--exit-code-on-error", "0"]
        subprocess.run(argv, check=True, cwd=directory, capture_output=True, timeout=size.length_s + 60)
        with Path(directory, "stock_stats.csv").open() as stats:
            total = list(csv.DictReader(stats))[-1]
    return [float(total[f"{quantile}%"]) for quantile in QUANTILES]


def main() -> int:
    short = bench_parser(__doc__).parse_args().short
    size = SHORT if short else WHOLE
    truth_ms, seen_ms = tailgate(size)
    table = [("truth (the server's log)", truth_ms), ("tailgate", seen_ms)]
    table += [(f"stock Locust, {users} users", stock_locust(users, size)) for users in size.stock_users]
    begin_s, end_s = size.stall_s
    print(f"5 ms service, stalled from {begin_s} to {end_s} s of {size.length_s} s, {RATE_PER_S}/s; milliseconds\n")
    print("| | " + " | ".join(f"p{quantile}" for quantile in QUANTILES) + " |")
    print("|---|" + "---:|" * len(QUANTILES))
    for name, row in table:
        print(f"| {name} | " + " | ".join(f"{value:,.0f}" for value in row) + " |")
    holds = all(abs(seen - true) <= max(0.01 * true, 150) for seen, true in zip(seen_ms[1:], truth_ms[1:], strict=True))
    print(f"\np90, p95, p99 within 1 % or 150 ms of the truth: {'yes' if holds else 'NO'}")
    return exit_code(holds=holds, short=short)


if __name__ == "__main__":
    sys.exit(main())
