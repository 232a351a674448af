"""Output that the pages show, made again by the code that prints it, so that a sample cannot drift from it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from harness import verdict
from harness.cli.compare import compare_command
from harness.cli.display.matrix_summary import matrix_lines
from harness.cli.display.summary import run_lines
from harness.rundir.planned.fault import FaultWindow
from harness.rundir.results import CellResult, LatencySummary, MatrixResults, PhaseResult, Results, ScenarioRef, Tool
from harness.scenario import LoadedScenario
from harness.scenario.load import dry_plan
from harness.units import parse_duration_ms
from tests.reports.made_up_results import results, write_results
from tests.rundir.recording import make_plan, record, slow_fault

ARRIVALS = 816
"""During azure-slow, in the README's sample."""


# ---------------------------------------------------------------- the demo


def matrix_summary(sample: str, ladder: LoadedScenario, folder: Path) -> str:
    """The summary of a matrix whose cells are the ladder's, with the sample's figures and its reason for `threads`."""
    rows = {line.split()[0]: re.split(r"  +", line) for line in sample.split("\n\n", maxsplit=1)[0].splitlines()[1:]}
    run = re.search(r"^PASS ladder (.+)$", sample, re.MULTILINE)
    assert run is not None
    assert tuple(rows) == tuple(cell.name for cell in ladder.cells), "the sample has the ladder's cells"
    cells = []
    for cell in ladder.cells:
        assert cell.name is not None
        made = _cell_results(cell.name, rows[cell.name], reason_in(sample, cell.name))
        write_results(folder / cell.name, made)
        cells.append(
            CellResult(
                cell=cell.name,
                values=dict(cell.values),
                verdict=made.verdict,
                expected=cell.expected,
                as_expected=made.verdict in cell.expected,
                results=f"{cell.name}/results.json",
            )
        )
    matrix = MatrixResults(
        tool=Tool(version="0"),
        verdict="pass",
        exit_code=0,
        scenario=ScenarioRef(name="ladder", file="ladder", sha256="0" * 64, seed=0),
        cells=tuple(cells),
    )
    text = "\n".join(matrix_lines(matrix, folder)) + "\n"
    text = text.replace(str(folder), run[1])
    return re.sub(r"\(and one for each cell: .*\)", "(and one for each cell: …)", text)


def _cell_results(cell: str, row: list[str], reason: str) -> Results:
    _, word, _, phase_name, late, p99, complete, calls = row
    n_late = round(ARRIVALS * _share(late))
    phase = PhaseResult(
        name=phase_name,
        start_ms=6_000,
        end_ms=26_000,
        n=ARRIVALS,
        outcomes={name: n for name, n in {"ok": ARRIVALS - n_late, "gateway_timeout": n_late}.items() if n},
        latency_ms=LatencySummary(
            p50=None, p90=None, p99=None if p99.startswith("≥") else parse_duration_ms(p99), p99_9=None, max=None
        ),
        throughput_per_s=40,
        complete_share=_share(complete),
    )
    made = results(
        make_plan(upstreams=("azure",), faults=[slow_fault()]), verdict="fail" if word == "FAIL" else "pass", gates=()
    )
    upstream = made.upstreams[0].model_copy(update={"phase": phase_name, "calls_per_arrival": float(calls)})
    return made.model_copy(update={"phases": (phase,), "upstreams": (upstream,), "reason": reason})


def _share(text: str) -> float:
    return float(text.removesuffix(" %")) / 100


def reason_in(sample: str, cell: str) -> str:
    """What the sample says of a cell, unwrapped."""
    found = re.search(rf"^{cell}: (.*\n(?: +.*\n)*)", sample, re.MULTILINE)
    assert found is not None, cell
    return " ".join(textwrap.dedent(found[1]).split())


# ---------------------------------------------------------------- a run that fails


def run_summary(ladder: LoadedScenario, folder: Path) -> str:
    """The summary of a recorded run with the plan of the ladder's `parallel`: a service that waits for all."""
    plan = dry_plan(next(cell.loaded.checked for cell in ladder.cells if cell.name == "parallel"))[0]
    made = record(plan, policy="parallel", seed=1)
    run_dir = made.write(folder / "run")
    (run_dir / "report.html").touch()
    return "\n".join(run_lines(verdict.write(run_dir), run_dir)) + "\n"


def shape(text: str) -> tuple[tuple[str, ...], list[str], list[str]]:
    """The columns of the table, its gates, and the names at the margin, of which only `named` may be missing."""
    head, *lines = text.splitlines()
    gates = [line.split("  ")[0] for line in lines[: lines.index("")]]
    margin = [match[1] for line in lines[len(gates) :] if (match := re.match(r"(\w+)(?=  | ✓| [^ ])", line))]
    return tuple(re.split(r"  +", head)), gates, [name for name in margin if name not in ("named", "note")]


# ---------------------------------------------------------------- a comparison


def comparison_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Rows of a comparison of two recorded runs with short and long phases."""
    fault = slow_fault().model_copy(update={"windows": (FaultWindow(apply_ms=6_000, remove_ms=60_000),)})
    plan = make_plan(faults=[fault])
    dirs = [record(plan, policy="timeout", seed=seed).write(folder / str(seed)) for seed in (1, 2)]
    compare_command.main([*map(str, dirs)], standalone_mode=False)
    return capsys.readouterr().out.splitlines()


def outline(row: str) -> str:
    """A row of a comparison without its figures."""
    row = re.sub(r"[0-9.,]+( ms| s)?|\?|∞", "#", row)
    words = row.split()
    return " ".join(["PHASE", "QUANTILE", *words[2:-1], "VERDICT"]) if len(words) > 3 else row
