"""How often is a service that is well called something else, on a machine with a core that is busy with something else?

    python bench/healthy_example.py [RUNS] [--short] [--at-once N]

Each run is that of `examples/trip-quote` with its timeout: one minute of load, and four faults that it withstands.
Beside it a program keeps one core busy. PostgreSQL and Redis are started here. None may be a FAIL, and at most one in
fifteen may be anything but a PASS; what it was and why is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg

from bench.command_line import bench_parser, exit_code
from tests.protocols import servers

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "trip-quote"
TAILGATE: Final = Path(sys.executable).with_name("tailgate")
RUNS: Final = 30
OTHERS_MOST: Final = 1 / 15
RUN_WITHIN_S: Final = 240.0
_BUSY: Final = "import os\nos.sched_setaffinity(0, [max(os.sched_getaffinity(0))])\nwhile True: pass"
_SHORT: Final = (
    "load.warmup=1s", "load.baseline=2s",
    "faults=[{name: hotels-slow, upstream: hotels, latency: 60s, for: 8s}]",
    "gates=[p90 < 1500ms during hotels-slow]",
)  # fmt: skip


@contextlib.contextmanager
def backends() -> Iterator[list[str]]:
    """Words for `tailgate run` that lead to a PostgreSQL with the example's table, and to a Redis."""
    with servers.postgres() as (postgres, _), servers.redis() as redis:
        with psycopg.connect(f"postgres://owner:s3cret@127.0.0.1:{postgres}/postgres") as connection:
            connection.execute((EXAMPLE / "schema.sql").read_bytes())
        db = f"upstreams.db=postgres://owner:${{DB_PASSWORD}}@127.0.0.1:{postgres}/postgres"
        yield ["--set", db, "--set", f"upstreams.cache=redis://127.0.0.1:{redis}/0"]


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", _BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def one_run(folder: Path, number: int, words: list[str]) -> tuple[str, str]:
    """The verdict, and why if it is no PASS."""
    out = folder / f"run-{number}"
    env = {**os.environ, "DB_PASSWORD": "s3cret"}
    env["PATH"] = f"{TAILGATE.parent}{os.pathsep}{env['PATH']}"
    argv = [str(TAILGATE), "run", "scenario.yaml", "--quiet", "--out", str(out), *words]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)
    results: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in out.rglob("results.json")]
    own = [each for each in results if "gates" in each]
    if len(own) != 1:
        return f"exit {done.returncode}", done.stderr.strip()[-300:]
    (result,) = own
    gates = [f"{gate['text']}: {gate['verdict']}, {gate['reason']}" for gate in result["gates"] if not _well(gate)]
    faults = [f"{fault['check']}: {fault['message']}" for fault in result.get("harness_faults", [])]
    return result["verdict"], "; ".join(faults or gates)


def _well(gate: dict[str, Any]) -> bool:
    return bool(gate["verdict"] == "pass")


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("runs", nargs="?", type=int, metavar="RUNS", help=f"{RUNS}, or 1 in short")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="so many runs side by side (1)")
    given = parser.parse_args()
    runs = given.runs or (1 if given.short else RUNS)
    settings = ("matrix=null", *(_SHORT if given.short else ()))
    with tempfile.TemporaryDirectory() as folder, backends() as addresses, busy_core():
        example = Path(shutil.copytree(EXAMPLE, Path(folder) / "trip-quote"))
        words = [*addresses, *(word for setting in settings for word in ("--set", setting))]
        ends: Counter[str] = Counter()
        with ThreadPoolExecutor(given.at_once) as pool:
            for number, (verdict, why) in enumerate(pool.map(lambda n: one_run(example, n, words), range(runs)), 1):
                ends[verdict] += 1
                print(f"run {number:>2}  {verdict}{f'  {why}' if why and verdict != 'pass' else ''}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in ends.most_common()))
    holds = not ends["fail"] and runs - ends["pass"] <= runs * OTHERS_MOST
    return exit_code(holds=holds, short=given.short)


if __name__ == "__main__":
    sys.exit(main())
