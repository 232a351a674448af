"""Every rung of the aggregator in every short scenario of the catalog, with open and with closed load.

    python bench/ladder_table.py                                  all of it, about an hour
    python bench/ladder_table.py --only 'threads-leak/*'          a part, by SCENARIO/MODEL/RUNG; may be repeated
    python bench/ladder_table.py --only '*/open/threads' --write  keeps what was seen, beside what is kept already
    python bench/ladder_table.py --short                          one cell in ten seconds, which is not judged

What is expected stands in tests/run/ladder_verdicts.csv, and in words in docs/ladder.md; `--write` renews both. Needs
nginx and Toxiproxy. The exit code is 0 if every cell ended with the verdict and the failed gates that are kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.command_line import bench_parser, exit_code
from bench.ladder_kept import (
    KEPT,
    MODELS,
    ROOT,
    SCENARIOS,
    Cell,
    Scenario,
    Seen,
    difference,
    read_kept,
    rungs_of,
    write_kept,
)

CATALOG: Final = ROOT / "scenarios" / "catalog"
USERS: Final = 10
TAILGATE: Final = "import sys; from harness.cli import main; sys.exit(main())"
CELL_S: Final = 150.0
SHORT_CELL: Final = "calm/open/isolated"
SHORT_SETS: Final = (
    "load.rate=100/s",
    "load.warmup=1s",
    "load.baseline=1s",
    "load.recovery=1s",
    "load.duration=6s",
    "verdict.clump=10ms",
)
_AFTER: Final = "after "


@dataclass(frozen=True, slots=True)
class Row:
    """Cells that are run one after the other, by one call of tailgate."""

    scenario: Scenario
    model: str
    rungs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scenario.name}/{self.model}"


def play(row: Row, folder: Path, sets: Sequence[str] = ()) -> dict[Cell, Seen]:
    """Run one row for real. Raises RuntimeError where nothing could be read."""
    name = f"{row.scenario.name}-{row.model}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(scenario_text(row.scenario.name, row.model, row.rungs), encoding="utf-8")
    argv = [sys.executable, "-c", TAILGATE, "run", str(file), "--out", str(folder), "--json"]
    if row.model == "closed":
        longer = row.scenario.closed_for
        argv += ["--fail-fast", *(["--set", f"faults[0].for={longer}"] if longer else [])]
    if row.scenario.client:
        argv += ["--set", f"service.client={row.scenario.client}"]
    argv += [word for each in sets for word in ("--set", each)]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=CELL_S * len(row.rungs),
        check=False,
    )
    try:
        document = json.loads(done.stdout)
        cells = document["cells"]
    except (ValueError, KeyError) as exc:
        raise RuntimeError(f"{file.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}") from exc
    place = max((folder / name).iterdir(), key=lambda path: path.name)
    return {Cell(row.scenario.name, row.model, cell["cell"]): _seen(place, cell) for cell in cells}


def scenario_text(name: str, model: str, rungs: Sequence[str]) -> str:
    """The catalog's scenario with these rungs as its cells, and nothing expected of them."""
    document: dict[str, Any] = {
        "extends": str(CATALOG / f"{name}.yaml"),
        "name": f"{name}-{model}",
        "service": _without(name, ("service", "without")),
        "matrix": {
            "vary": {**_without(name, ("matrix", "vary", "service.client")), "service.rung": list(rungs)},
            **_without(name, ("matrix", "expect")),
        },
    }
    if model == "closed":
        document["load"] = {"rate": None, "users": USERS}
    return json.dumps(document, indent=1)  # which is YAML as well


def _without(name: str, path: Sequence[str]) -> dict[str, None]:
    """`{key: null}`, which takes it away, where the scenario or one that it extends has this key."""
    found: Any = YAML(typ="safe").load(CATALOG / f"{name}.yaml")
    base = found.get("extends", "")
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if found is not None:
        return {path[-1]: None}
    return _without(base.removesuffix(".yaml"), path) if base else {}


def _seen(place: Path, cell: Mapping[str, str]) -> Seen:
    results = json.loads((place / cell["results"]).read_text(encoding="utf-8"))
    if results["verdict"] == "rig_failure":
        broken = {check["check"] for check in results["validity"] if not check["ok"]}
        return Seen("rig_failure", (results["reason"],), is_busy=broken <= {"lag", "cores", "generator_cpu"})
    failed = [_name(gate) for gate in results["gates"] if gate["verdict"] == "fail"]
    return Seen(results["verdict"], tuple(dict.fromkeys(failed)))


def _name(gate: Mapping[str, str]) -> str:
    return f"{gate['metric']} after" if gate["phase"].startswith(_AFTER) else gate["metric"]


def rows_of(wanted: Callable[[Cell], bool]) -> list[Row]:
    """In the table's order, each with those of its rungs that are wanted."""
    rows = []
    for scenario in SCENARIOS:
        for model in MODELS:
            rungs = tuple(rung for rung in rungs_of(scenario) if wanted(Cell(scenario.name, model, rung)))
            if rungs:
                rows.append(Row(scenario, model, rungs))
    return rows


def is_named_by(cell: Cell, patterns: Sequence[str]) -> bool:
    """By `SCENARIO/MODEL/RUNG`, where the end may be left out and `*` is any; no pattern names all."""
    padded = [pattern + "/*" * (2 - pattern.count("/")) for pattern in patterns]
    return not patterns or any(fnmatchcase(str(cell), pattern) for pattern in padded)


def run(rows: Sequence[Row], folder: Path, jobs: int, sets: Sequence[str]) -> dict[Cell, Seen]:
    def one(row: Row) -> dict[Cell, Seen]:
        seen = play(row, folder, sets)
        print(f"{row}: " + "; ".join(f"{cell.rung} {each}" for cell, each in seen.items()), file=sys.stderr, flush=True)
        return seen

    with ThreadPoolExecutor(jobs) as pool:
        return {cell: seen for row in pool.map(one, rows) for cell, seen in row.items()}


def main() -> int:
    parser = bench_parser(__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO/MODEL/RUNG", help="`*` is any")
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at once")
    parser.add_argument("--write", action="store_true", help="keep what was seen")
    parser.add_argument("--keep", type=Path, help="a folder in which the run directories stay")
    options = parser.parse_args()
    if options.short and options.write:
        parser.error("--short judges nothing that could be kept")
    only, sets = ([SHORT_CELL], SHORT_SETS) if options.short else (options.only, ())
    rows = rows_of(lambda cell: is_named_by(cell, only))
    if not rows:
        parser.error(f"no cell is named by {', '.join(options.only)}")
    with tempfile.TemporaryDirectory() as folder:
        seen = run(rows, options.keep or Path(folder), options.jobs, sets)
    kept = read_kept() if KEPT.exists() else {}
    told = {cell: difference(cell, one, kept.get(cell)) for cell, one in seen.items()}
    changed = [f"{cell}: {text}" for cell, text in told.items() if text]
    print("\n".join([*changed, f"{len(seen) - len(changed)} of {len(seen)} cells as expected"]))
    if options.write:
        broken = [str(cell) for cell, one in seen.items() if one.verdict == "rig_failure"]
        if broken:
            print(f"error: nothing is kept, since the rig failed in {', '.join(broken)}", file=sys.stderr)
            return 1
        write_kept({**kept, **seen})
        return 0
    return exit_code(holds=not changed, short=options.short)


if __name__ == "__main__":
    sys.exit(main())
