"""Wall time of `tailgate run` beyond its load, with eight backends: start, taking down, judging, reports.

    python bench/overhead.py [ROUNDS] [--short]

What is measured: the wall time of the whole command, less the time from the first planned arrival to the last row or
the planned end of the load, the later one. It is quoted in starts of the same interpreter that do nothing
(`python -c pass`), measured just before and just after each run. Needs nginx and Toxiproxy.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.bare_start import beside_bare_starts
from bench.command_line import read_options
from bench.tailgate_command import run_codes, run_tailgate
from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.rundir.rows import SAMPLES, read_rows
from harness.units import NS_PER_MS

LIMIT_STARTS: Final = 110
SCENARIO: Final = """\
name: overhead
service: {rung: timeout}
upstreams:
  aws:    {p50: 60ms, p99: 140ms, rows: 40}
  azure:  {p50: 60ms, p99: 140ms, rows: 40}
  gcp:    {p50: 60ms, p99: 140ms, rows: 40}
  oci:    {p50: 60ms, p99: 140ms, rows: 40}
  lambda: {p50: 60ms, p99: 140ms, rows: 40}
  nebius: {p50: 60ms, p99: 140ms, rows: 40}
  runpod: {p50: 60ms, p99: 140ms, rows: 40}
  vastai: {p50: 60ms, p99: 140ms, rows: 40}
gateway: {kind: nginx, timeout: 2s}
load: {request: GET /v1/offers, rate: 60/s, warmup: 2s, baseline: 1s, recovery: 1s}
faults: [{name: azure-slow, upstream: azure, latency: 60s, for: 8s}]
gates:
  - p99 < gateway.timeout during azure-slow
  - timeouts < 1% during azure-slow
  - complete > 99% during azure-slow
  - named azure within 5s during azure-slow
verdict: {clump: 10ms}
"""
"""The demo's stack, faults and gates, with as little load as these gates can be decided by."""


def overhead_s(folder: Path, *, short: bool) -> float:
    scenario = folder / "overhead.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    start_s = time.perf_counter()
    out = run_tailgate(
        ["run", str(scenario), "--quiet", "--out", str(folder)], codes=run_codes(short=short), timeout_s=180
    )
    wall_s = time.perf_counter() - start_s
    return wall_s - load_s(Path(out.split()[-1]))


def load_s(run_dir: Path) -> float:
    """Seconds from the first planned arrival to the last row, or to the end of the load if that is later.

    The end is the planned one, or the earlier one of a load that was stopped.
    """
    plan, manifest = Plan.read(run_dir), Manifest.read(run_dir)
    assert manifest.t0_ns is not None and manifest.ended is not None
    first_ns = manifest.t0_ns - round(plan.load.warmup_ms * NS_PER_MS)
    last_ns = max(
        int(read_rows(run_dir / f"samples-{worker}.bin", SAMPLES)["done_ns"].max())
        for worker in range(plan.load.workers)
    )
    end_ns = manifest.ended.stop_at_ns or manifest.t0_ns + round(plan.load.duration_ms * NS_PER_MS)
    return (max(last_ns, end_ns) - first_ns) / 1e9


def main() -> int:
    options = read_options(__doc__, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        measured = [
            beside_bare_starts(lambda: overhead_s(Path(folder), short=options.short)) for _ in range(options.rounds)
        ]
    seconds, starts = zip(*measured, strict=True)
    median = statistics.median(starts)
    print(f"| backends | median (s) | worst of {options.rounds} | bare starts, median | best | worst | limit |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| 8 | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {median:.0f} | {min(starts):.0f} "
        f"| {max(starts):.0f} | {LIMIT_STARTS} |"
    )
    return options.exit_code(holds=median <= LIMIT_STARTS)


if __name__ == "__main__":
    sys.exit(main())
