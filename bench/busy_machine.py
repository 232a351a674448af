"""Was it the machine? A healthy service beside busy loops, and a service that uses its cores up itself.

    python -m bench.busy_machine [RUNS] [--only healthy|burning] [--disk] [--short] [--at-once N]

Each run has 40 s of load, and gates on latency, errors and throughput that the healthy service keeps on a free machine.
Beside the healthy one, two busy loops are pinned to each core for as long as its runs last, and with `--disk` a program
writes 250 MB to the disk again and again: none of its runs may be a FAIL. The other service needs twice the cores that
the machine has, and nothing is started beside it: each of its runs must be a FAIL.

Each verdict is printed as it comes, with its reason. Twenty runs of one service take about eleven minutes; after
sixteen no further run is begun, and the bench says how many are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import bench_parser, exit_code
from bench.tailgate_command import CANNOT_MEASURE, TAILGATE

RUNS: Final = 20
LOOPS_PER_CORE: Final = 2
RUN_WITHIN_S: Final = 240.0
BEGIN_WITHIN_S: Final = 15.5 * 60
"""No run of one service is begun later than this after its first. A run takes a good minute."""
KINDS: Final = ("healthy", "burning")
SERVICE: Final = Path(__file__).with_name("busy_machine_service.py")
_DISK: Final = """\
import os, sys
while True:
    with open(sys.argv[1], "wb") as file:
        for _ in range(250):
            file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
"""
_BUSY: Final = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"
GATES: Final = '"p99 < 300ms", "errors < 1%", "mean < 150ms", "throughput > RATE_LEAST/s"'
SCENARIO: Final = """\
name: NAME
service: {command: ["PYTHON", "SERVICE", "{port}", "{search.url}/offers", "CPU_MS"]}
upstreams: {search: {p50: 20ms, p99: 60ms, rows: 5}}
gateway: {timeout: 12s}
load: {request: GET /, rate: RATE/s, warmup: 2s, duration: DURATION, complete: none}
gates: [GATE]
"""


@dataclass(frozen=True, slots=True)
class Service:
    """`cpu_ms`: the processor time of one request."""

    name: str
    cpu_ms: float
    rate_per_s: int


HEALTHY: Final = Service("healthy", 2.0, 40)
BURNING: Final = Service("burning", 10.0 * len(os.sched_getaffinity(0)), 200)
"""It needs twice the cores that there are."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `waited`, `others`: seconds a second; None if that is unknown."""

    verdict: str
    checks: tuple[str, ...]
    p99_ms: float | None
    waited_s: float | None
    others_s: float | None
    reason: str

    def line(self, name: str, number: int) -> str:
        checks = f"  {', '.join(self.checks)}" if self.checks else ""
        figures = [f"{value:.2g}" if value is not None else "?" for value in (self.waited_s, self.others_s)]
        p99 = "reached the timeout" if self.p99_ms is None else f"{self.p99_ms:,.0f} ms"
        figure = f"p99 {p99}  waited {figures[0]}  others {figures[1]}"
        return f"{name:<8} {number:>2}  {self.verdict}  {figure}{checks}: {self.reason}"


@contextlib.contextmanager
def others(folder: Path, *, disk: bool) -> Iterator[None]:
    """Busy loops, and what writes to the disk in `folder`. Each leads a session, because Linux may share the cores out
    among sessions first."""
    words = [[_BUSY, str(core)] for core in sorted(os.sched_getaffinity(0)) for _ in range(LOOPS_PER_CORE)]
    words += [[_DISK, str(folder / "written")]] if disk else []
    programs = [subprocess.Popen([sys.executable, "-c", *each], start_new_session=True) for each in words]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
        for program in programs:
            program.wait()


def scenario(service: Service, *, short: bool) -> str:
    gate, duration = ("p50 < 300ms", "5s") if short else (GATES, "40s")
    text = SCENARIO.replace("GATE", gate).replace("RATE_LEAST", f"{0.95 * service.rate_per_s:g}")
    text = text.replace("NAME", service.name).replace("PYTHON", sys.executable).replace("SERVICE", str(SERVICE))
    text = text.replace("CPU_MS", f"{service.cpu_ms:g}").replace("RATE", f"{service.rate_per_s}")
    return text.replace("DURATION", duration)


def one_run(folder: Path, service: Service, number: int, *, short: bool) -> Ended:
    """Raises SystemExit if there are no results."""
    own = folder / f"{service.name}-{number}"
    own.mkdir()
    (own / "scenario.yaml").write_text(scenario(service, short=short), encoding="utf-8")
    argv = [TAILGATE, "run", "scenario.yaml", "--json"]
    done = subprocess.run(argv, cwd=own, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)
    document: dict[str, Any] = json.loads(done.stdout or "{}")
    if document.get("kind") != "run":
        print(f"error: `{' '.join(argv)}` exited with {done.returncode}: {done.stderr[-500:]}", file=sys.stderr)
        raise SystemExit(CANNOT_MEASURE)
    cores = next(iter(document["cores"]), None) or {}
    return Ended(
        verdict=document["verdict"],
        checks=tuple(check["check"] for check in document["validity"] if not check["ok"]),
        p99_ms=document["gates"][0]["observed"],
        waited_s=cores.get("waited_s_per_s"),
        others_s=cores.get("others_s_per_s"),
        reason=document["reason"],
    )


def runs_of(folder: Path, service: Service, runs: int, at_once: int, *, short: bool) -> Counter[str]:
    """How often each verdict came. Runs that would begin too late are left out."""
    ends: Counter[str] = Counter()
    last_begin_s = time.monotonic() + BEGIN_WITHIN_S

    def run(number: int) -> Ended | None:
        return one_run(folder, service, number, short=short) if time.monotonic() < last_begin_s else None

    with ThreadPoolExecutor(at_once) as pool:
        for number, each in enumerate(as_completed([pool.submit(run, number) for number in range(runs)]), 1):
            if ended := each.result():
                ends[ended.verdict] += 1
                print(ended.line(service.name, number), flush=True)
    if ends.total() < runs:
        print(f"{service.name}: {runs - ends.total()} of {runs} runs were not begun in time", flush=True)
    return ends


def _options() -> argparse.Namespace:
    parser = bench_parser(__doc__)
    parser.add_argument("runs", nargs="?", type=int, metavar="RUNS", help=f"{RUNS} of each service, or 1 in short")
    parser.add_argument("--only", choices=KINDS, help="the runs of one service alone")
    parser.add_argument("--disk", action="store_true", help="a program beside the healthy service writes to the disk")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="so many runs side by side (2)")
    return parser.parse_args()


def main() -> int:
    given = _options()
    runs = given.runs or (1 if given.short else RUNS)
    holds = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in [given.only] if given.only else KINDS:
            if kind == "healthy":
                with others(folder, disk=given.disk):
                    ends = runs_of(folder, HEALTHY, runs, given.at_once, short=given.short)
                holds &= not ends["fail"] and ends.total() == runs
            else:
                ends = runs_of(folder, BURNING, runs, given.at_once, short=given.short)
                holds &= ends["fail"] == runs
            title = {"healthy": "healthy, beside busy loops", "burning": "uses its cores up"}[kind]
            print(f"{title}: {', '.join(f'{count} {end}' for end, count in ends.most_common())}", flush=True)
    return exit_code(holds=holds, short=given.short)


if __name__ == "__main__":
    sys.exit(main())
