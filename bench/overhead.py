"""Wall time of `tailgate run` beyond warm-up, load and drain, with eight backends: start, judging, reports.

    python bench/overhead.py [ROUNDS]

What is measured: the wall time of the whole command, less (last row's time - first planned arrival).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.rundir.rows import SAMPLES, read_rows
from harness.units import NS_PER_MS

LIMIT_S, GOAL_S = 3.0, 2.0
SETTINGS = (
    "matrix=null",
    "load.warmup=1s",
    "load.baseline=1s",
    "load.recovery=1s",
    "load.rate=60/s",
    "service.rung=timeout",
    "verdict.clump=10ms",
    "faults[0].for=8s",
)


def overhead_s(folder: Path) -> float:
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("tailgate")), "run", "ladder", "--quiet", "--out", str(folder), *sets]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    wall_s = time.perf_counter() - start
    run_dir = Path(answer.stdout.split()[-1])
    plan, manifest = Plan.read(run_dir), Manifest.read(run_dir)
    assert manifest.t0_ns is not None
    first_ns = manifest.t0_ns - round(plan.load.warmup_ms * NS_PER_MS)
    last_ns = max(
        int(read_rows(run_dir / f"samples-{worker}.bin", SAMPLES)["done_ns"].max())
        for worker in range(plan.load.workers)
    )
    planned_end_ns = manifest.t0_ns + round(plan.load.duration_ms * NS_PER_MS)
    return wall_s - (max(last_ns, planned_end_ns) - first_ns) / 1e9


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        values = [overhead_s(Path(folder)) for _ in range(rounds)]
    print(f"| overhead of `run`, 8 backends | median (s) | best | worst of {rounds} | limit (goal) |")
    print("|---|---|---|---|---|")
    print(
        f"| | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} | {LIMIT_S:.0f} ({GOAL_S:.0f}) |"
    )
    return 0 if statistics.median(values) <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
