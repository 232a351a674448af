"""A million rows judged and reported: wall time and peak memory of `tailgate judge` and `tailgate report`.

    python bench/judge_speed.py [ROUNDS]

The run is made up (tests/rundir/recording.py): 1 M arrivals, three backends (so three million calls besides), one
fault. Judging and reporting are timed as one process, imports included, from the run directory to
results.json and report.html.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.rundir.recording import make_plan, record, slow_fault

ROWS = 1_000_000
LIMIT_S = 3.0
PROGRAM = """
import sys
from pathlib import Path
from harness.run.run import judge_and_report
print(judge_and_report(Path(sys.argv[1])).results.verdict)
"""


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rate_per_s = 4000.0
    plan = make_plan(
        rate_per_s=rate_per_s,
        duration_ms=ROWS / rate_per_s * 1000,
        faults=[slow_fault()],
        gates=["p99 < gateway.timeout during azure-slow", "errors < 1%", "p99 < 1s during baseline"],
    )
    took_s = []
    with tempfile.TemporaryDirectory() as folder:
        run_dir = record(plan, policy="timeout").write(Path(folder))
        for turn in range(rounds + 1):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", PROGRAM, run_dir], check=True, stdout=subprocess.DEVNULL)
            if turn:
                took_s.append(time.perf_counter() - start)
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"| rows | median (s) | worst of {rounds} | peak memory (MB) | limit (s) |\n|---|---|---|---|---|")
    print(f"| {ROWS:,} | {statistics.median(took_s):.2f} | {max(took_s):.2f} | {peak_mb:.0f} | {LIMIT_S:.0f} |")
    return 0 if statistics.median(took_s) < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
