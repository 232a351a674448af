"""A million rows judged and reported: wall time and peak memory of `tailgate judge` and `tailgate report`.

    python bench/judge_speed.py [ROUNDS] [--short]

The run is made up (tests/rundir/recording.py): 1 M arrivals, three backends (so three million calls besides), one
fault. Judging and reporting are timed as one process, imports included, from the run directory to
results.json and report.html.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command_line import read_options
from bench.tailgate_command import run_command
from tests.rundir.recording import make_plan, record, slow_fault

ROWS, SHORT_ROWS = 1_000_000, 20_000
LENGTH_S = 250
LIMIT_S = 3.0
PROGRAM = """
import sys
from pathlib import Path
from harness.run.run import judge_and_report
print(judge_and_report(Path(sys.argv[1])).results.verdict)
"""


def main() -> int:
    options = read_options(__doc__, rounds=5)
    rows = SHORT_ROWS if options.short else ROWS
    rate_per_s = rows / LENGTH_S
    plan = make_plan(
        rate_per_s=rate_per_s,
        duration_ms=LENGTH_S * 1000,
        faults=[slow_fault()],
        gates=["p99 < gateway.timeout during azure-slow", "errors < 1%", "p99 < 1s during baseline"],
    )
    took_s = []
    with tempfile.TemporaryDirectory() as folder:
        run_dir = record(plan, policy="timeout").write(Path(folder))
        for turn in range(options.rounds + 1):
            start = time.perf_counter()
            run_command([sys.executable, "-c", PROGRAM, str(run_dir)])
            if turn:
                took_s.append(time.perf_counter() - start)
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"| rows | median (s) | worst of {options.rounds} | peak memory (MB) | limit (s) |\n|---|---|---|---|---|")
    print(f"| {rows:,} | {statistics.median(took_s):.2f} | {max(took_s):.2f} | {peak_mb:.0f} | {LIMIT_S:.0f} |")
    return options.exit_code(holds=statistics.median(took_s) < LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
