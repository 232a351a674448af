from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.report import report_command
from harness.errors import UsageError
from harness.rundir.results import CellResult, MatrixResults, ScenarioRef, Tool, Verdict, canonical_json
from reports.report import write_matrix_report, write_reports
from tests.reports.made_up_results import NASTY, gate, results, write_results
from tests.reports.made_up_run import write_run
from tests.rundir.recording import make_plan, slow_fault

CELLS: tuple[tuple[str, Verdict, tuple[str, ...]], ...] = (
    ("sequential", "fail", ("fail",)),
    ("timeout", "pass", ("pass",)),
    ("pushdown", "fail", ("pass",)),
)


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def write_matrix(matrix_dir: Path, *, nasty: str = "") -> Path:
    """Three cells, the last of which failed unexpectedly."""
    cells = []
    for name, verdict, expected in CELLS:
        plan = make_plan(faults=[slow_fault()]).model_copy(update={"cell": name})
        (matrix_dir / name).mkdir(parents=True)
        plan.write(matrix_dir / name)
        made = (
            results(plan, verdict=verdict, nasty=nasty)
            if verdict == "fail"
            else results(plan, verdict="pass", gates=(gate(),))
        )
        write_results(matrix_dir / name, made)
        cells.append(
            CellResult(
                cell=name + nasty, values={"service.rung": name}, verdict=verdict, expected=expected,
                as_expected=verdict in expected, results=f"{name}/results.json",
            )
        )  # fmt: skip
    scenario = ScenarioRef(name=f"ladder{nasty}", file="ladder.yaml", sha256="0" * 64, seed=7)
    matrix = MatrixResults(
        tool=Tool(version="0.1.0"), verdict="fail", exit_code=1, scenario=scenario, cells=tuple(cells)
    )
    (matrix_dir / "results.json").write_text(canonical_json(matrix), encoding="utf-8")
    return matrix_dir


def test_the_ladder_on_one_page(tmp_path: Path) -> None:
    html, summary, junit = write_matrix_report(write_matrix(tmp_path))
    page = html.read_text(encoding="utf-8")
    assert "1 of 3 cells did not end as expected: pushdown." in page
    assert re.findall(r'<a href="([^"#]+)">(\w+)</a>', page) == [(f"{name}/report.html", name) for name, _, _ in CELLS]
    assert "✕ pass" in page
    assert "✓ fail" in page
    assert "Calls per arrival" in page
    assert page.count("<script>") == 1, "no chart, so its scripts stay at home"
    assert "| sequential | ✕ Fail | ✓ fail | azure-slow | 120 ms | ≥ 2.00 s | 100 % | 0 % |" in summary.read_text(
        "utf-8"
    )
    cases = ET.parse(junit).getroot()[0]
    assert [[child.tag for child in case] for case in cases] == [[], [], ["failure"]]
    assert (cases.attrib["tests"], cases.attrib["failures"]) == ("3", "1")


def test_only_unexpected_failures_are_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    write_matrix_report(write_matrix(tmp_path / "matrix"))
    assert len(capsys.readouterr().err.splitlines()) == 2, "the two failed gates of pushdown, none of sequential"
    assert (tmp_path / "step.md").read_text("utf-8").startswith("## ✕ FAIL: ladder")


def test_a_cell_without_results_keeps_its_row(tmp_path: Path) -> None:
    write_matrix(tmp_path)
    (tmp_path / "timeout" / "results.json").unlink()
    page = write_matrix_report(tmp_path)[0].read_text("utf-8")
    assert "its results.json cannot be read" in page


def test_cells_cannot_lead_out_of_the_matrix_nor_into_the_page(tmp_path: Path) -> None:
    matrix_dir = write_matrix(tmp_path / "matrix", nasty=NASTY)
    document = json.loads((matrix_dir / "results.json").read_text("utf-8"))
    document["cells"][0]["results"] = "../../secret/results.json"
    document["cells"][1]["results"] = "/etc/results.json"
    (matrix_dir / "results.json").write_text(json.dumps(document), encoding="utf-8")
    page = write_matrix_report(matrix_dir)[0].read_text("utf-8")
    assert "<script>alert" not in page
    assert re.findall(r'<a href="([^"#]+)">', page) == ["pushdown/report.html"]


def test_a_directory_without_a_matrix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"results\.json is missing"):
        write_matrix_report(tmp_path)


def test_the_command_writes_a_run_and_says_where(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, make_plan(duration_ms=10_000))
    got = CliRunner().invoke(report_command, [str(run_dir), "--format", "md, junit"])
    assert got.exit_code == 0
    assert got.output.splitlines() == [str(run_dir / "summary.md"), str(run_dir / "junit.xml")]


def test_the_command_writes_a_matrix_and_its_cells(tmp_path: Path) -> None:
    got = CliRunner().invoke(report_command, [str(write_matrix(tmp_path)), "--format", "html"])
    assert got.exit_code == 0, got.output
    assert (tmp_path / "report.html").exists()
    assert all((tmp_path / name / "report.html").exists() for name, _, _ in CELLS)


def test_the_command_refuses_to_move_a_matrix(tmp_path: Path) -> None:
    got = CliRunner().invoke(report_command, [str(write_matrix(tmp_path / "m")), "--out", str(tmp_path / "o")])
    assert isinstance(got.exception, UsageError)


def test_formats_load_only_when_asked_for(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, make_plan(duration_ms=10_000))
    written = write_reports(run_dir, ["json"], tmp_path / "out")
    assert [path.name for path in written] == ["results.json"]
