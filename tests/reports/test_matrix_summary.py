"""The summary of a matrix on the terminal: what several cells share is said once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli.display.matrix_summary import LOGS_MOST, NAMES_MOST, matrix_lines
from harness.rundir.results import CellResult, MatrixResults, Results, ScenarioRef, Tool
from tests.reports.made_up_results import results, write_results
from tests.rundir.recording import make_plan, slow_fault

NEVER_READY = "the service ended with exit code 3 before it was ready"


def dead(reason: str = NEVER_READY, log: Sequence[str] = ("starting", "no database"), **changes: object) -> Results:
    """A cell whose service died at its start."""
    made = results(make_plan(faults=[slow_fault()]), verdict="fail")
    update = {
        "verdict": "rig_failure",
        "phases": (),
        "faults": (),
        "reason": reason,
        "log_lines": tuple(log),
        **changes,
    }
    return made.model_copy(update=update)


def lines_of(folder: Path, *cells: Results) -> list[str]:
    for number, made in enumerate(cells):
        (folder / str(number)).mkdir()
        write_results(folder / str(number), made)
    entries = tuple(
        CellResult(
            cell=f"c{number}",
            values={},
            verdict=made.verdict,
            expected=("pass",),
            as_expected=made.verdict == "pass",
            results=f"{number}/results.json",
        )
        for number, made in enumerate(cells)
    )
    scenario = ScenarioRef(name="ladder", file="ladder.yaml", sha256="0" * 64, seed=7)
    matrix = MatrixResults(tool=Tool(version="0"), verdict="fail", exit_code=1, scenario=scenario, cells=entries)
    return matrix_lines(matrix, folder)


def test_cells_that_died_of_the_same_cause_show_it_and_the_log_once(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, dead(), dead(), dead())
    at = lines.index(f"c0, c1, c2: the rig failed, so nothing can be said: {NEVER_READY}")
    assert lines[at + 1 : at + 3] == ["         starting", "         no database"]
    assert "\n".join(lines).count("no database") == 1
    assert "Not as expected: c0, c1, c2 are RIG_FAILURE, expected pass." in lines


def test_logs_of_one_cause_that_differ_are_shown_of_the_first_cell_which_is_named(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, dead(log=["pid 17 starting"]), dead(log=["pid 18 starting"]))
    assert "       the log of c0 ends so:" in lines
    assert [line for line in lines if "pid" in line] == ["         pid 17 starting"]


def test_other_causes_have_logs_of_their_own_up_to_a_number(tmp_path: Path) -> None:
    cells = [dead(f"the service ended with exit code {code}", [f"line of {code}"]) for code in range(LOGS_MOST + 2)]
    lines = lines_of(tmp_path, *cells)
    assert sum("line of" in line for line in lines) == LOGS_MOST
    assert sum("exit code" in line for line in lines) == len(cells)


def test_many_cells_are_counted(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, *(dead() for _ in range(NAMES_MOST + 3)))
    named = ", ".join(f"c{number}" for number in range(NAMES_MOST))
    assert [line for line in lines if line.startswith(f"{named}, 3 more: ")]


def test_cells_that_had_load_have_a_line_each(tmp_path: Path) -> None:
    made = results(make_plan(faults=[slow_fault()]), verdict="fail")
    lines = lines_of(tmp_path, made, made)
    assert [line.split(": ")[0] for line in lines if line.startswith(("c0: ", "c1: ", "c0, c1: "))][:2] == ["c0", "c1"]


@pytest.mark.parametrize("same", [True, False])
def test_a_note_of_several_cells_is_said_once(tmp_path: Path, same: bool) -> None:
    notes = [("gcp",), ("gcp",) if same else ("aws",)]
    lines = lines_of(tmp_path, *(dead(f"reason {n}", [], never_asked=names) for n, names in enumerate(notes)))
    told = [line for line in lines if "no call of the service came to" in line]
    assert [line.split(": ")[0] for line in told] == (["c0, c1"] if same else ["c0", "c1"])
