"""What the rung `isolated` is worth: one of eight backends hangs for a minute; its isolation, and what comes after.

    python bench/isolation.py [RUNS] [--short]        runs `hung-minute` so many times (3), about three minutes each
    python bench/isolation.py --judge RUN_DIR…        the same figures of runs that are there already

For each run: when the breaker opened (the service's own log), p99 before the fault, p99 of the requests that
arrived from then until the removal, 504s, completeness, and what the service held. The last line is medians. The exit
code is 0 if these reach the goal: p99 below 1.2 times that of health, no 504, at most one answer in a thousand without
a healthy backend, and gates (on memory, threads and sockets, among others) that hold.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import bench_parser, exit_code
from bench.tailgate_command import run_codes, run_tailgate
from harness.evidence import Evidence
from harness.evidence.completeness import complete
from harness.rundir.rows import Outcome
from harness.statistics import nearest_rank
from harness.units import NS_PER_MS

FAULT: Final = "azure-hangs"
COMMAND: Final = ("run", "hung-minute", "--quiet")
SHORT_SETS: Final = (
    "load.warmup=1s",
    "load.baseline=2s",
    "load.recovery=5s",
    "faults[0].for=7s",
    "gates=[errors < 50% during azure-hangs]",
)
"""A minute is what a judgement takes; the breaker opens in two seconds."""
RATIO_LIMIT: Final = 1.2
INCOMPLETE_LIMIT: Final = 0.001


@dataclass(frozen=True, slots=True)
class Figures:
    isolated_after_ms: float
    """From the acknowledged fault to the line that says the breaker is open."""
    p99_before_ms: float
    p99_isolated_ms: float
    gateway_timeouts: int
    incomplete: int
    requests: int
    """During the fault."""
    verdict: str
    held: str

    @property
    def ratio(self) -> float:
        return self.p99_isolated_ms / self.p99_before_ms


def figures(run_dir: Path) -> Figures:
    run = Evidence.load(run_dir)
    results = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    applied_ns = next(entry.t_ns for entry in run.entries if entry.event == "applied")
    opened_ns = _opened_ns(run_dir, run.manifest.wall_offset_ns)
    before, during = run.window("baseline"), run.window(FAULT)
    since = during.only(during.samples["intended_ns"] >= opened_ns)
    return Figures(
        isolated_after_ms=(opened_ns - applied_ns) / NS_PER_MS,
        p99_before_ms=float(nearest_rank(before.latency_ns, [0.99])[0]) / NS_PER_MS,
        p99_isolated_ms=float(nearest_rank(since.latency_ns, [0.99])[0]) / NS_PER_MS,
        gateway_timeouts=int((during.samples["outcome"] == Outcome.GATEWAY_TIMEOUT).sum()),
        incomplete=int(np.count_nonzero(~complete(run, during))),
        requests=len(during.samples),
        verdict=results["verdict"],
        held=_held(results),
    )


def _opened_ns(run_dir: Path, wall_offset_ns: int) -> int:
    for line in (run_dir / "logs" / "sut.log").read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        if said.get("breaker") == "open":
            return int(datetime.fromisoformat(said["time"]).timestamp() * 1e9) - wall_offset_ns
    raise SystemExit(f"{run_dir}: no breaker opened")


def _held(results: dict[str, object]) -> str:
    cost = results["cost"]
    assert isinstance(cost, list)
    phases = {each["phase"]: each for each in cost}
    told = []
    for name in ("baseline", FAULT, f"after {FAULT}"):
        held = phases.get(name)
        if held is None:  # the run was stopped before this phase, or the service not looked at during it
            told.append("not read")
            continue
        told.append(f"{held['rss_max_bytes'] / 1e6:.0f} MB {held['threads_max']} threads {held['sockets_max']} sockets")
    return " → ".join(told)


def missed(found: Sequence[Figures]) -> Iterator[str]:
    """What the runs, each figure's median, fail to reach; a run that another one disturbed decides nothing alone."""
    ratio = statistics.median(one.ratio for one in found)
    if not ratio < RATIO_LIMIT:
        yield f"p99 {ratio:.2f}× of health, where below {RATIO_LIMIT}× is the goal"
    timeouts = statistics.median(one.gateway_timeouts for one in found)
    if timeouts:
        yield f"{timeouts:g} × 504"
    incomplete = statistics.median(one.incomplete / one.requests for one in found)
    if incomplete > INCOMPLETE_LIMIT:
        yield f"{incomplete:.2%} of the answers incomplete"
    passed = sum(one.verdict == "pass" for one in found)
    if passed * 2 <= len(found):
        yield f"{passed} of {len(found)} verdicts are PASS"


def run_once(folder: Path, sets: Sequence[str]) -> Path:
    words = [*COMMAND, "--out", str(folder), *(word for each in sets for word in ("--set", each))]
    out = run_tailgate(words, codes=run_codes(short=bool(sets)), timeout_s=400)
    print(out.strip(), file=sys.stderr)
    return Path(out.split()[-1])


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("runs", nargs="?", type=int, help="3, or 1 in short")
    parser.add_argument("--judge", nargs="+", type=Path, metavar="RUN_DIR")
    options = parser.parse_args()
    runs, sets = options.runs or (1 if options.short else 3), SHORT_SETS if options.short else ()
    print(f"{shlex.join(['tailgate', *COMMAND])}, {len(options.judge or ()) or runs} times")
    with tempfile.TemporaryDirectory() as folder:
        found = [figures(place) for place in options.judge or (run_once(Path(folder), sets) for _ in range(runs))]
    for one in found:
        print(
            f"{one.verdict}: isolated after {one.isolated_after_ms:,.0f} ms; p99 {one.p99_before_ms:.0f} ms before, "
            f"{one.p99_isolated_ms:.0f} ms isolated ({one.ratio:.2f}×); {one.gateway_timeouts} × 504, "
            f"{one.incomplete} of {one.requests:,} incomplete; {one.held}"
        )
    median = statistics.median
    before_ms, isolated_ms = median(one.p99_before_ms for one in found), median(one.p99_isolated_ms for one in found)
    print(
        f"median of {len(found)}: isolated after {median(one.isolated_after_ms for one in found):,.0f} ms, "
        f"p99 {before_ms:.0f} → {isolated_ms:.0f} ms, {median(one.ratio for one in found):.2f}× of health"
    )
    misses = list(missed(found))
    print(f"the goal is missed: {'; '.join(misses)}" if misses else "the goal is reached")
    return exit_code(holds=not misses, short=options.short)


if __name__ == "__main__":
    sys.exit(main())
