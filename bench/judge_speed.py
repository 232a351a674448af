"""Millions of rows judged and reported: time and anonymous memory, beside a sort of as many numbers.

    python -m bench.judge_speed [ROUNDS] [--rows ROWS] [--upstreams N] [--short]

The run is made up (tests/rundir/recording.py): 3,000 arrivals a second, one fault, and beside each arrival a call to
each of N upstreams. Ten million rows take a minute and 5 GB of memory to make. One process judges the run directory and
writes every report; its processor time counts, without the imports, so that neighbours on the machine do not. Memory is
what the process has of its own (RssAnon); the row files are mapped, and their pages are the system's to take back.

The yardstick is `numpy.sort(kind="stable")` of as many doubles. Plain `numpy.sort` is thirteen times as fast with
AVX-512 as without vector instructions, which judging is not (docs/decisions/0043-columns-of-rows.md).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from bench.command_line import bench_parser, exit_code
from bench.tailgate_command import run_command

RATE_PER_S: Final = 3_000
ROWS, SHORT_ROWS = 10_000_000, 20_000
SORTS_MOST: Final = 12.0
"""How many sorts of as many doubles it may take to judge and report ten million rows; of fewer, what does not depend on
their number has a larger part."""
ANONYMOUS_MB_MOST: Final = 1_000.0
MEMORY_EVERY_S: Final = 0.005
WITHIN_S: Final = 600.0
GATES: Final = ("p99 < gateway.timeout during azure-slow", "errors < 1%", "p99 < 1s during baseline")
NAMES: Final = ("azure", "gcp", "aws", "oci", "ibm", "ovh", "linode", "hetzner")


@dataclass(frozen=True, slots=True)
class Judging:
    """What one process needed to judge and report a run. `stable_s`, `plain_s`: processor time of `numpy.sort` of as
    many doubles, by `kind="stable"` and by its default."""

    wall_s: float
    cpu_s: float
    anonymous_mb: float
    stable_s: float
    plain_s: float

    @classmethod
    def measure(cls, run_dir: Path, rows: int) -> Self:
        """In a process of its own."""
        program = f"from bench.judge_speed import main_of_child; main_of_child({str(run_dir)!r}, {rows})"
        return cls(**json.loads(run_command([sys.executable, "-c", program], timeout_s=WITHIN_S)))

    @property
    def sorts(self) -> float:
        return self.cpu_s / self.stable_s


def make_run(folder: Path, rows: int, upstreams: int) -> Path:
    """A run directory of about so many arrivals, made in a process of its own, whose memory is then free."""
    program = f"from bench.judge_speed import record_run; record_run({str(folder)!r}, {rows}, {upstreams})"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=WITHIN_S)
    return folder


def record_run(folder: str, rows: int, upstreams: int) -> None:
    from tests.rundir.recording import make_plan, record, slow_fault

    length_s = max(250, rows // RATE_PER_S)
    plan = make_plan(
        rate_per_s=rows / length_s,
        duration_ms=length_s * 1000,
        upstreams=NAMES[:upstreams],
        faults=[slow_fault()],
        gates=GATES,
    )
    record(plan, policy="timeout").write(Path(folder))


def main_of_child(run_dir: str, rows: int) -> None:
    """Prints a Judging as JSON. The sorts come last, so that their memory is not counted."""
    import numpy as np

    import reports.formats.csv
    import reports.formats.html  # noqa: F401
    from harness.run.run import judge_and_report

    began_s, over = time.perf_counter(), threading.Event()
    seen_mb: list[float] = [_anonymous_mb()]
    watcher = threading.Thread(target=_watch_memory, args=(seen_mb, over))
    watcher.start()
    cpu_s = _cpu_s(lambda: judge_and_report(Path(run_dir)))
    wall_s = time.perf_counter() - began_s
    over.set()
    watcher.join()
    doubles = np.random.default_rng(1).random(rows)
    stable_s = min(_cpu_s(lambda: np.sort(doubles, kind="stable")) for _ in range(3))
    plain_s = min(_cpu_s(lambda: np.sort(doubles)) for _ in range(3))
    print(json.dumps(asdict(Judging(wall_s, cpu_s, max(seen_mb), stable_s, plain_s))))


def _cpu_s(work: Callable[[], object]) -> float:
    """Processor time of this thread alone: neither neighbours nor the watcher count."""
    began_s = time.thread_time()
    work()
    return time.thread_time() - began_s


def _watch_memory(seen_mb: list[float], over: threading.Event) -> None:
    while not over.wait(MEMORY_EVERY_S):
        seen_mb.append(_anonymous_mb())


def _anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("rounds", nargs="?", type=int, metavar="ROUNDS", help="3, or 1 in short")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"arrivals, {ROWS:,} unless given")
    parser.add_argument("--upstreams", type=int, default=1, choices=range(1, len(NAMES) + 1), help="1 unless given")
    given = parser.parse_args()
    rows = SHORT_ROWS if given.short else given.rows
    rounds = given.rounds or (1 if given.short else 3)
    with tempfile.TemporaryDirectory() as folder:
        run_dir = make_run(Path(folder) / "run", rows, given.upstreams)
        Judging.measure(run_dir, rows)  # from here on the row files are in the system's cache
        taken = [Judging.measure(run_dir, rows) for _ in range(rounds)]
    middle = statistics.median(each.cpu_s for each in taken)
    sorts, plain = (middle / min(each_s) for each_s in ([t.stable_s for t in taken], [t.plain_s for t in taken]))
    peak_mb = max(each.anonymous_mb for each in taken)
    print("| rows | calls | processor time (s) | wall (s) | stable sorts | `numpy.sort`s | anonymous memory (MB) |")
    print("|---|---|---|---|---|---|---|")
    wall_s = statistics.median(each.wall_s for each in taken)
    calls = rows * given.upstreams
    print(f"| {rows:,} | {calls:,} | {middle:.2f} | {wall_s:.2f} | {sorts:.1f} | {plain:.1f} | {peak_mb:.0f} |")
    holds = sorts <= SORTS_MOST and peak_mb < ANONYMOUS_MB_MOST
    return exit_code(holds=holds, short=given.short)


if __name__ == "__main__":
    sys.exit(main())
