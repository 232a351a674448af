"""Was it the machine? A healthy service beside busy loops, and a service that uses its cores up itself.

    python bench/busy_machine.py [RUNS] [--short] [--at-once N]

Each run has 40 s of load, and a gate on p99 that the healthy service keeps on a free machine. Beside the healthy one,
two busy loops are pinned to each core for as long as its runs last: none of its runs may be a FAIL. The other service
needs twice the cores that the machine has, and nothing is started beside it: each of its runs must be a FAIL.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import bench_parser, exit_code
from bench.tailgate_command import CANNOT_MEASURE, TAILGATE

RUNS: Final = 20
LOOPS_PER_CORE: Final = 2
RUN_WITHIN_S: Final = 240.0
SERVICE: Final = Path(__file__).with_name("busy_machine_service.py")
_BUSY: Final = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"
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

    def line(self, name: str, number: int) -> str:
        checks = f"  {', '.join(self.checks)}" if self.checks else ""
        figures = [f"{value:.2g}" if value is not None else "?" for value in (self.waited_s, self.others_s)]
        p99 = "reached the timeout" if self.p99_ms is None else f"{self.p99_ms:,.0f} ms"
        return f"{name:<8} {number:>2}  {self.verdict}  p99 {p99}  waited {figures[0]}  others {figures[1]}{checks}"


@contextlib.contextmanager
def busy_loops() -> Iterator[None]:
    """Each leads a session, because Linux may share the cores out among sessions first."""
    cores = sorted(os.sched_getaffinity(0))
    loops = [
        subprocess.Popen([sys.executable, "-c", _BUSY, str(core)], start_new_session=True)
        for core in cores
        for _ in range(LOOPS_PER_CORE)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def scenario(service: Service, *, short: bool) -> str:
    gate, duration = ("p50 < 300ms", "5s") if short else ("p99 < 300ms", "40s")
    text = SCENARIO.replace("NAME", service.name).replace("PYTHON", sys.executable).replace("SERVICE", str(SERVICE))
    text = text.replace("CPU_MS", f"{service.cpu_ms:g}").replace("RATE", f"{service.rate_per_s}")
    return text.replace("DURATION", duration).replace("GATE", gate)


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
    )


def runs_of(folder: Path, service: Service, runs: int, at_once: int, *, short: bool) -> Counter[str]:
    """How often each verdict came."""
    ends: Counter[str] = Counter()
    with ThreadPoolExecutor(at_once) as pool:
        each = pool.map(lambda number: one_run(folder, service, number, short=short), range(runs))
        for number, ended in enumerate(each, 1):
            ends[ended.verdict] += 1
            print(ended.line(service.name, number), flush=True)
    return ends


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("runs", nargs="?", type=int, metavar="RUNS", help=f"{RUNS}, or 1 in short")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="so many runs side by side (2)")
    given = parser.parse_args()
    runs = given.runs or (1 if given.short else RUNS)
    with tempfile.TemporaryDirectory() as folder:
        with busy_loops():
            healthy = runs_of(Path(folder), HEALTHY, runs, given.at_once, short=given.short)
        burning = runs_of(Path(folder), BURNING, runs, given.at_once, short=given.short)
    for name, ends in (("healthy, beside busy loops", healthy), ("uses its cores up", burning)):
        print(f"{name}: {', '.join(f'{count} {end}' for end, count in ends.most_common())}")
    return exit_code(holds=not healthy["fail"] and burning["fail"] == runs, short=given.short)


if __name__ == "__main__":
    sys.exit(main())
