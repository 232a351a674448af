"""Every rung of the aggregator in every short scenario of the catalog, with open and with closed load.

    python bench/ladder_table.py                            all of it, about fifty minutes
    python bench/ladder_table.py --only 'threads-leak/*'    rows by SCENARIO/MODEL; may be repeated
    python bench/ladder_table.py --write                    keeps what was seen as what is expected from now on

What is expected stands in tests/run/ladder_verdicts.csv, and in words in docs/ladder.md; `--write` renews
both. Needs nginx and Toxiproxy. The exit code is 0 if every verdict was the expected one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).resolve().parent.parent
CATALOG: Final = ROOT / "scenarios" / "catalog"
KEPT: Final = ROOT / "tests" / "run" / "ladder_verdicts.csv"
PAGE: Final = ROOT / "docs" / "ladder.md"
BEGIN, END = "<!-- seen -->", "<!-- end of seen -->"

RUNGS: Final = ("sequential", "parallel", "threads", "timeout", "pushdown", "isolated")
MODELS: Final = ("open", "closed")
USERS: Final = 10
LONGER: Final = "40s"
"""With closed load, since ten users that wait for a second each send ten requests a second, not forty."""
TAILGATE: Final = "import sys; from harness.cli import main; sys.exit(main())"
CELL_S: Final = 150.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the table. `one_fault`: it lasts as long as it must, so that closed load can be given more time."""

    name: str
    shows: str
    one_fault: bool = True
    client: str = ""
    """The table varies rungs alone, so a scenario about the client is run with the one that falls."""


SCENARIOS: Final = (
    Scenario("calm", "health", one_fault=False),
    Scenario("ladder", "azure answers after 60 s: the incident"),
    Scenario("slow-drip", "1: a body that drips"),
    Scenario("thread-pool", "2: bystanders of a full pool of threads"),
    Scenario("session-pool", "3: sessions held while waiting"),
    Scenario("threads-leak", "4: calls that nobody can end"),
    Scenario("httpx-pool", "5: a client's pool of connections", client="httpx"),
    Scenario("warm-cache", "6: azure down, its offers known"),
    Scenario("cold-cache", "6: azure down, nothing known yet"),
    Scenario("retry-storm", "6: 429 without Retry-After, retried at once"),
    Scenario("bystanders", "requests for gcp alone while azure hangs"),
    Scenario("flapping", "azure hangs 6 s of every 9", one_fault=False),
    Scenario("slow-start", "azure hangs, then warms up", one_fault=False),
    Scenario("garbage", "azure answers what is no JSON"),
    Scenario("half-down", "four of eight hang"),
    Scenario("all-down", "all refuse connections"),
)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    scenario: str
    model: str
    rung: str


@dataclass(frozen=True, slots=True)
class Seen:
    """`failed`: the metrics of the gates that failed, in the scenario's order."""

    verdict: str
    failed: tuple[str, ...] = ()


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


def play(scenario: Scenario, model: str, rungs: Sequence[str], folder: Path) -> dict[Cell, Seen]:
    """Run one row for real. Raises RuntimeError where the rig failed or nothing could be read."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{scenario.name}-{model}.yaml"
    file.write_text(scenario_text(scenario.name, model, rungs), encoding="utf-8")
    argv = [sys.executable, "-c", TAILGATE, "run", str(file), "--out", str(folder), "--json"]
    if model == "closed":
        argv += ["--fail-fast", *(["--set", f"faults[0].for={LONGER}"] if scenario.one_fault else [])]
    if scenario.client:
        argv += ["--set", f"service.client={scenario.client}"]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=CELL_S * len(rungs),
        check=False,
    )
    try:
        document = json.loads(done.stdout)
        cells = document["cells"]
    except (ValueError, KeyError) as exc:
        raise RuntimeError(f"{file.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}") from exc
    place = max((folder / f"{scenario.name}-{model}").iterdir(), key=lambda path: path.name)
    return {Cell(scenario.name, model, cell["cell"]): _seen(place, cell) for cell in cells}


def rungs_of(scenario: Scenario) -> tuple[str, ...]:
    """Those that can be put into it: `threads` has a blocking client of its own."""
    return tuple(rung for rung in RUNGS if not (scenario.client and rung == "threads"))


def _seen(place: Path, cell: Mapping[str, str]) -> Seen:
    results = json.loads((place / cell["results"]).read_text(encoding="utf-8"))
    if results["verdict"] == "rig_failure":
        return Seen("rig_failure", (results["reason"],))
    failed = [gate["metric"] for gate in results["gates"] if gate["verdict"] == "fail"]
    return Seen(results["verdict"], tuple(dict.fromkeys(failed)))


# ---------------------------------------------------------------- what is kept


def read_kept() -> dict[Cell, Seen]:
    with KEPT.open(encoding="utf-8", newline="") as file:
        return {
            Cell(row["scenario"], row["model"], row["rung"]): Seen(row["verdict"], _split(row["failed"]))
            for row in csv.DictReader(file)
        }


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split("; ")))


def write_kept(seen: Mapping[Cell, Seen]) -> None:
    order = [Cell(s.name, model, rung) for s in SCENARIOS for model in MODELS for rung in RUNGS]
    with KEPT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("scenario", "model", "rung", "verdict", "failed"))
        for cell in (cell for cell in order if cell in seen):
            one = seen[cell]
            writer.writerow((cell.scenario, cell.model, cell.rung, one.verdict, "; ".join(one.failed)))


def table(seen: Mapping[Cell, Seen]) -> str:
    """Markdown: for each rung open load above closed load, the gates that failed in place of `fail`."""
    rows = [
        "| scenario | load | " + " | ".join(f"`{rung}`" for rung in RUNGS) + " |",
        "|---|---|" + "---|" * len(RUNGS),
    ]
    for scenario in SCENARIOS:
        for model in MODELS:
            first = f"`{scenario.name}`: {scenario.shows}" if model == MODELS[0] else ""
            cells = [seen.get(Cell(scenario.name, model, rung)) for rung in RUNGS]
            rows.append(f"| {first} | {model} | " + " | ".join(_text(one) for one in cells) + " |")
    return "\n".join(rows)


def _text(seen: Seen | None) -> str:
    if seen is None:
        return ""
    if seen.verdict == "fail":
        return f"**{', '.join(seen.failed) or 'fail'}**"
    return seen.verdict.replace("_", " ")


def page_with(text: str, seen: Mapping[Cell, Seen]) -> str:
    """The page's text with this table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table(seen)}\n\n{END}{rest.partition(END)[2]}"


# ---------------------------------------------------------------- the command


def run(rows: Iterable[tuple[Scenario, str]], folder: Path, jobs: int) -> dict[Cell, Seen]:
    def one(row: tuple[Scenario, str]) -> dict[Cell, Seen]:
        scenario, model = row
        seen = play(scenario, model, rungs_of(scenario), folder)
        told = ", ".join(f"{cell.rung} {_text(one)}" for cell, one in seen.items())
        print(f"{scenario.name}/{model}: {told}", file=sys.stderr, flush=True)
        return seen

    with ThreadPoolExecutor(jobs) as pool:
        return {cell: seen for row in pool.map(one, rows) for cell, seen in row.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO/MODEL", help="`*` is any")
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at once")
    parser.add_argument("--write", action="store_true", help="keep what was seen")
    parser.add_argument("--keep", type=Path, help="a folder in which the run directories stay")
    options = parser.parse_args()
    rows = [
        (scenario, model)
        for scenario in SCENARIOS
        for model in MODELS
        if not options.only or any(fnmatch(f"{scenario.name}/{model}", only) for only in options.only)
    ]
    with tempfile.TemporaryDirectory() as folder:
        seen = run(rows, options.keep or Path(folder), options.jobs)
    kept = read_kept() if KEPT.exists() else {}
    changed = [cell for cell, one in seen.items() if cell not in kept or kept[cell].verdict != one.verdict]
    for cell in changed:
        print(f"{cell.scenario}/{cell.model} {cell.rung}: {_text(seen[cell])}, expected {_text(kept.get(cell))}")
    print(f"{len(seen) - len(changed)} of {len(seen)} verdicts as expected")
    if options.write:
        write_kept({**kept, **seen})
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), {**kept, **seen}), encoding="utf-8")
        return 0
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
