"""A matrix judged as a whole: each cell's verdict against what the scenario expects of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from harness import __version__
from harness.errors import UsageError
from harness.model.frozen import Frozen
from harness.rundir.results import CellResult, MatrixResults, Results, ScenarioRef, Tool, Verdict

MATRIX: Final = "matrix.json"


class _Cell(Frozen):
    cell: str
    values: dict[str, Any]
    expected: tuple[str, ...]
    dir: str


class _Matrix(Frozen):
    """matrix.json, which `tailgate run` writes into a matrix's directory."""

    scenario: ScenarioRef
    cells: tuple[_Cell, ...]


def combine_cells(folder: Path, judge_cell: Callable[[Path], Results]) -> MatrixResults:
    """Judge each cell's directory with `judge_cell`, and the matrix by whether each cell ended as expected.

    Raises UsageError if matrix.json is missing or cannot be read.
    """
    try:
        matrix = _Matrix.model_validate_json((folder / MATRIX).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{folder} is no matrix: {MATRIX} is missing", "name a directory under .runs") from None
    except (OSError, ValidationError) as exc:
        raise UsageError(f"{folder / MATRIX} cannot be read", "judge it with the version that wrote it") from exc
    judged = [(cell, judge_cell(folder / cell.dir)) for cell in matrix.cells]
    cells = tuple(
        CellResult(
            cell=cell.cell,
            values=cell.values,
            verdict=results.verdict,
            expected=cell.expected,
            as_expected=results.verdict in cell.expected and not results.interrupted,
            results=f"{cell.dir}/results.json",
        )
        for cell, results in judged
    )
    verdict, exit_code = _combine(cells, [results for _, results in judged])
    return MatrixResults(
        tool=Tool(version=__version__), verdict=verdict, exit_code=exit_code, scenario=matrix.scenario, cells=cells
    )


def _combine(cells: Sequence[CellResult], results: Sequence[Results]) -> tuple[Verdict, int]:
    """The verdict and exit code of the matrix. It passes if every cell ended as expected; if all that is unexpected is
    INCONCLUSIVE and only warns (`verdict.inconclusive: warn`), the exit code is 0."""
    unexpected = [(c.verdict, r.exit_code) for c, r in zip(cells, results, strict=True) if not c.as_expected]
    verdicts = {verdict for verdict, _ in unexpected}
    verdict: Verdict = "fail"
    if not cells:
        return "inconclusive", 3
    if "rig_failure" in verdicts:
        verdict = "rig_failure"
    elif not verdicts:
        verdict = "pass"
    elif verdicts == {"inconclusive"}:
        verdict = "inconclusive"
    if any(one.interrupted for one in results):
        return verdict, 130
    if verdict == "inconclusive" and all(code == 0 for _, code in unexpected):
        return verdict, 0
    return verdict, {"rig_failure": 4, "pass": 0, "inconclusive": 3, "fail": 1}[verdict]
