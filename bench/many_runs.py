"""Twenty runs one after the other, in one `tailgate run`, on a Toxiproxy of others: does anything grow?

    python bench/many_runs.py [RUNS] [--short]

Measured in the middle of each run, while its fault is in force: the open files, threads and memory of
tailgate itself and of that Toxiproxy, and the files in the folders of locks, of temporary files and of
the cache. Afterwards: what is left. The first run is not compared, since it imports what the others use.
The memory of that Toxiproxy is shown and not judged: it keeps some of every connection whose answer it
held when its caller hung up.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import read_options
from bench.kill_cell import Run, journalled
from bench.left_behind import left_of, ports_of
from bench.others_toxiproxy import OthersToxiproxy
from harness.toxiproxy.find import find_binary

RUN_WITHIN_S: Final = 90.0
NOT_JUDGED: Final = "toxiproxy_mb"
SCENARIO: Final = """\
name: many
service: {rung: timeout}
upstreams:
  azure: {p50: 10ms, p99: 25ms, rows: 10}
  gcp: {p50: 10ms, p99: 25ms, rows: 10}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 80/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 500ms}
faults: [{name: azure-slow, upstream: azure, latency: 500ms, for: 6s}]
gates: [errors < 5% during azure-slow]
verdict: {clump: 12ms, inconclusive: warn}
"""
MEMORY_GROWTH_MOST: Final = 1.25
"""Of the last run to the second: an allocator keeps some of what it was given."""


@dataclass(frozen=True, slots=True)
class Moment:
    """In mid-run; memory in MB, everything else counted."""

    tailgate_files: int
    tailgate_threads: int
    tailgate_mb: float
    toxiproxy_files: int
    toxiproxy_proxies: int
    toxiproxy_mb: float
    folder_files: int


def measure(run: Run, others: OthersToxiproxy) -> Moment:
    tailgate, server = psutil.Process(run.process.pid), psutil.Process(others.process.pid)
    return Moment(
        tailgate_files=tailgate.num_fds(),
        tailgate_threads=tailgate.num_threads(),
        tailgate_mb=tailgate.memory_info().rss / 1e6,
        toxiproxy_files=server.num_fds(),
        toxiproxy_proxies=len(others.client.proxies()),
        toxiproxy_mb=server.memory_info().rss / 1e6,
        folder_files=sum(1 for folder in (run.temp, run.cache) for path in folder.rglob("*") if path.is_file()),
    )


def watch(folder: Path, runs: int) -> tuple[list[Moment], list[str]]:
    """A moment of each run, and what was left or wrong at the end."""
    toxiproxy = find_binary().path
    assert toxiproxy is not None
    others = OthersToxiproxy(folder, toxiproxy)
    moments: list[Moment] = []
    try:
        run = Run(folder, toxiproxy, others, scenario=SCENARIO, times=runs)
        try:
            for number in range(runs):
                _await_fault(run, number)
                moments.append(measure(run, others))
            code = run.process.wait(RUN_WITHIN_S)
            left = [] if code == 0 else [f"exit {code}: {run.said()[-500:]}"]
            for run_dir in run.run_dirs:
                left += left_of(run, run_dir, ports_of(run_dir, ours=False))
        finally:
            run.close()
        return moments, left + others.changed()
    finally:
        others.close()


def grown(moments: list[Moment]) -> list[str]:
    """What the last run has more of than the second."""
    second, last = moments[1], moments[-1]
    found = []
    for name in Moment.__slots__:
        if name == NOT_JUDGED:
            continue
        before, after = getattr(second, name), getattr(last, name)
        limit = (
            before * MEMORY_GROWTH_MOST if name.endswith("_mb") else before + (20 if name == "toxiproxy_files" else 0)
        )
        if after > limit:
            found.append(f"{name}: {before:g} → {after:g}")
    return found


def _await_fault(run: Run, number: int) -> None:
    end = time.monotonic() + RUN_WITHIN_S
    while True:
        dirs = run.run_dirs
        if len(dirs) > number and journalled(dirs[number], "observed"):
            return
        if time.monotonic() > end or run.process.poll() is not None:
            raise TimeoutError(f"run {number + 1} never came to its fault: {run.said()[-500:]}")
        time.sleep(0.02)


def main() -> int:
    options = read_options(__doc__, rounds=20, short_rounds=2)
    runs = options.rounds
    with tempfile.TemporaryDirectory() as folder:
        moments, left = watch(Path(folder), runs)
    print("| in the middle of | " + " | ".join(name.replace("_", ", ") for name in Moment.__slots__) + " |")
    print("|---|" + "---|" * len(Moment.__slots__))
    for number in sorted({1, 2, runs // 2, runs}):
        values = (getattr(moments[number - 1], name) for name in Moment.__slots__)
        print(f"| run {number} | " + " | ".join(f"{value:.0f}" for value in values) + " |")
    found = grown(moments) + left
    print(f"\n{'; '.join(found) if found else 'nothing has grown, nothing is left'}")
    return options.exit_code(holds=not found)


if __name__ == "__main__":
    sys.exit(main())
