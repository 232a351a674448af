"""Text of others in every output: it is shown, spelled out or cut, and acts on nobody who reads it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.cli.display import live, output, streams, summary
from harness.cli.display.matrix_summary import matrix_lines
from harness.errors import Problem, RigError, ScenarioError
from harness.run.invocation import Judged
from harness.run.progress import Display, Progress
from harness.rundir.journal import Entry
from harness.rundir.manifest import HarnessFault, Manifest, ProcessExit, RunEnd
from harness.rundir.results import MatrixResults, Results, canonical_json
from harness.stack.events import ChildDied, ChildReady, Event, FaultChanged, RigTrouble
from harness.text import is_sanitized
from reports.formats import github
from reports.report import ALL as FORMATS
from reports.report import write_matrix_report, write_reports
from tests.hostile.texts import ALL, HOSTILE, HUGE
from tests.reports.made_up_results import results
from tests.reports.made_up_run import embedded, write_run
from tests.reports.markdown import without_code
from tests.reports.test_matrix_report import write_matrix
from tests.rundir.recording import make_plan, slow_fault

TEXTS = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
SECONDS = 10.0


def spelled(text: str) -> str:
    """As JSON holds it: what no UTF-8 can hold is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _results(text: str) -> Results:
    return results(make_plan(faults=[slow_fault()]), nasty=text)


def _huge() -> Results:
    """A few strings of 10 MB; in all of them it would be the test that runs out of memory."""
    made = results(make_plan(faults=[slow_fault()]))
    line = "x" * HUGE
    gate = made.gates[0].model_copy(update={"text": line, "reason": line})
    return made.model_copy(update={"reason": line, "why": f"`{line}`", "gates": (gate, *made.gates[1:])})


def _inert(text: str) -> None:
    """What must hold of everything that a terminal or a CI runner shows."""
    assert is_sanitized(text)
    assert not COMMAND.search(text), COMMAND.search(text)


# ---------------------------------------------------------------- stdout


@TEXTS
def test_the_summary_of_a_run(text: str, tmp_path: Path) -> None:
    lines = summary.run_lines(_results(text), tmp_path)
    assert all(is_sanitized(line) and "\n" not in line for line in lines)
    assert lines[-1].startswith("FAIL made-up")
    assert sum(line.startswith(("PASS ", "FAIL ")) for line in lines) == 1, "the line that scripts read, once"


def test_what_run_prints_ends_with_its_line_and_nobody_elses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = [Judged("x", tmp_path / "a\nPASS b", _results(text)) for text in (*HOSTILE.values(), ALL)]
    for quiet in (False, True):
        output.outcomes(judged, 1, as_json=False, quiet=quiet)
        out, err = capsys.readouterr()
        _inert(out)
        assert err == ""
        words = [line.split(" ")[0] for line in out.splitlines()]
        assert words.count("FAIL") == len(judged)
        assert "PASS" not in words
    output.outcomes(judged, 1, as_json=True, quiet=False)
    out, _ = capsys.readouterr()
    assert is_sanitized(out)
    assert json.loads(out)["runs"][0]["why"].endswith(HOSTILE["script"])


@TEXTS
def test_results_json_holds_the_text_and_no_hidden_character(text: str) -> None:
    written = canonical_json(_results(text))
    assert is_sanitized(written)
    written.encode("utf-8")
    assert json.loads(written)["why"].endswith(spelled(text))


@TEXTS
def test_the_summary_of_a_matrix(text: str, tmp_path: Path) -> None:
    folder = write_matrix(tmp_path)
    matrix = MatrixResults.model_validate_json((folder / "results.json").read_bytes())
    cells = tuple(cell.model_copy(update={"cell": f"{cell.cell}{text}"}) for cell in matrix.cells)
    lines = matrix_lines(matrix.model_copy(update={"cells": cells}), folder)
    assert all(is_sanitized(line) and "\n" not in line for line in lines)
    assert sum(line.startswith(("PASS ", "FAIL ")) for line in lines) == 1


def test_the_summary_of_a_matrix_whose_cells_never_saw_load(tmp_path: Path) -> None:
    folder = write_matrix(tmp_path)
    matrix = MatrixResults.model_validate_json((folder / "results.json").read_bytes())
    for cell in matrix.cells:
        results = Results.model_validate_json((folder / cell.results).read_bytes())
        dead = results.model_copy(update={"phases": (), "verdict": "fail", "reason": "the service ended with code 1"})
        (folder / cell.results).write_text(canonical_json(dead), encoding="utf-8")
    lines = matrix_lines(matrix, folder)
    [told] = [line for line in lines if "the service ended with code 1" in line]
    assert told.startswith("".join(f"{cell.cell}, " for cell in matrix.cells).removesuffix(", ") + ": ")


# ---------------------------------------------------------------- stderr


@TEXTS
def test_errors_for_people(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.error(RigError(f"the service ended:\n  {text}\n  {text}", text), as_json=False)
    output.error(ScenarioError((Problem(text, 1, 5, text, text, text, text),)), as_json=False)
    _, err = capsys.readouterr()
    _inert(err)
    first_words = {line.split(" ")[0] for line in err.splitlines() if line[:1] not in ("", " ")}
    assert "PASS" not in {word for word in first_words if not err.startswith("error")}


@TEXTS
def test_errors_for_programs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.error(ScenarioError((Problem(text, 1, 5, text, text, text, text),)), as_json=True)
    out, _ = capsys.readouterr()
    assert is_sanitized(out)
    (problem,) = json.loads(out)["problems"]
    assert problem["file"] == spelled(text)


def _events(text: str) -> list[Event]:
    entry = Entry(fault=text, window=0, upstream=text, event="failed", t_ns=1, detail=text)
    return [
        ChildReady(child="sut", after_ms=1.0, detail=text),
        FaultChanged(entry=entry),
        ChildDied(death=ProcessExit(child="sut", t_ns=1, code=1, last_line=text)),
        RigTrouble(fault=HarnessFault(check="workers", message=text, fix=text)),
    ]


def _show(shown: Display, text: str) -> None:
    plan = make_plan(faults=[slow_fault()])
    shown.began(plan, Path("x"), text)
    for event in _events(text):
        shown.event(event)
    shown.progress(Progress(phase="whole", t_ms=0, end_ms=1, phase_left_ms=1, rate_per_s=1, p99_ms=1, errors=0, n=1,
                            gateway_timeouts=0, active=()))  # fmt: skip
    shown.note(text)
    shown.ended()


@TEXTS
def test_lines_of_a_run_under_way(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    _show(live.Lines(), text)
    out, err = capsys.readouterr()
    assert out == ""
    _inert(err)


@TEXTS
def test_the_live_panel_on_a_terminal(text: str) -> None:
    from rich.console import Console

    raw = io.StringIO()
    console = Console(file=raw, force_terminal=True, width=4_000, markup=False, emoji=False, highlight=False)
    _show(live.Panel(console), text)
    ours = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[[12]?[AK]|\r")
    rest = ours.sub("", raw.getvalue())
    assert is_sanitized(rest), "only what rich draws with, which holds no text of others"
    if text == HOSTILE["rich"]:
        assert text in rest, "markup of others is text"
    for sequence in ours.findall(raw.getvalue()):
        assert sequence not in ("\x1b[2J", "\x1b[31mred")


def test_a_terminal_without_utf_8_gets_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    streams.prepare_streams()
    output.document({"name": "✓ 日 😀"})
    assert json.loads(raw.getvalue()) == {"name": "✓ 日 😀"}
    output.outcomes([Judged("x", tmp_path, _results("✓"))], 1, as_json=False, quiet=False)
    assert b"\\u2713" in raw.getvalue()
    stream.detach()


# ---------------------------------------------------------------- files


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.acting: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            link = (value or "").strip().lower()
            if name.startswith("on") or name == "src" or (name == "href" and not link.startswith(("#", "data:,"))):
                self.acting.append(f"{tag} {name}={value}")


def _run(folder: Path, made: Results, text: str = "") -> Path:
    text = spelled(text)
    plan = make_plan(faults=[slow_fault()])
    run_dir = write_run(folder, plan, made)
    manifest = Manifest.read(run_dir)
    death = ProcessExit(child="sut", t_ns=1, code=1, last_line=text)
    fault = HarnessFault(check="workers", message=text, fix=text)
    ended = RunEnd(reason="rig", deaths=(death,), rig=(fault,))
    manifest.model_copy(update={"ended": ended, "host": {"nginx": text}}).write(run_dir)
    (run_dir / "logs").mkdir()
    (run_dir / "logs" / "sut.log").write_bytes(text.encode("utf-8", "surrogatepass") * 3)
    return run_dir


def report_of(folder: Path, text: str) -> Path:
    """A run directory with `text` wherever text of others stands."""
    return _run(folder, _results(text), text)


@TEXTS
def test_every_report(text: str, tmp_path: Path) -> None:
    plain = _Page(write_reports(_run(tmp_path / "plain", _results(""), "x"), ["html"])[0].read_text(encoding="utf-8"))
    run_dir = report_of(tmp_path / "run", text)
    for path in write_reports(run_dir, FORMATS):
        written = path.read_bytes().decode("utf-8")
        assert is_sanitized(written), path.name
    page = (run_dir / "report.html").read_text(encoding="utf-8")
    seen = _Page(page)
    assert (seen.tags.count("script"), seen.acting) == (plain.tags.count("script"), [])
    assert set(seen.tags) <= {*plain.tags, "code", "br", "b", "ul", "li"}
    assert embedded(page, "results")["scenario"]["name"].endswith(spelled(text))
    embedded(page, "timeline-data")
    root = ET.parse(run_dir / "junit.xml").getroot()
    assert len(root.findall(".//testcase")) == len(_results(text).gates)
    _is_a_table(run_dir / "summary.md")
    for name in ("gates.csv", "phases.csv"):
        with (run_dir / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert len(rows) == 1 + (len(_results(text).gates) if name == "gates.csv" else len(_results(text).phases))
        assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in ("=", "+", "@")]


@pytest.mark.parametrize("text", [HOSTILE["formula"], HOSTILE["formula-plus"], HOSTILE["formula-at"], "-1", "＝1"])
def test_a_spreadsheet_runs_no_name(text: str, tmp_path: Path) -> None:
    made = _results("")
    gates = tuple(gate.model_copy(update={"text": text, "reason": text}) for gate in made.gates)
    write_reports(write_run(tmp_path, make_plan(), made.model_copy(update={"gates": gates})), ["csv"])
    with (tmp_path / "gates.csv").open(encoding="utf-8", newline="") as file:
        assert all(row["text"].startswith("'") and row["reason"].startswith("'") for row in csv.DictReader(file))


def _is_a_table(path: Path) -> None:
    """Every row of each of its tables has the cells of its head, and nothing else opens a block or an element."""
    text = path.read_text(encoding="utf-8")
    width = 0
    for line in text.splitlines():
        cells = _cells(line)
        if cells and width:
            assert cells == width, line
        width = cells
    prose = without_code(text)
    assert not re.search(r"<(?!/?code>)|(?<!\\)\]\(|@(?!\w*;)|^(#(?!# [✓✕?!] )|>|```|~~~)", prose, re.MULTILINE)


def _cells(line: str) -> int:
    """As GitHub counts them: a backslash escapes what follows it, code or not."""
    return re.sub(r"\\.", "", line).count("|") if line.startswith("|") else 0


def test_markdown_with_a_backslash_before_a_pipe_stays_one_cell(tmp_path: Path) -> None:
    made = _results("")
    gates = tuple(gate.model_copy(update={"text": "p99 \\| x | y \\\\|"}) for gate in made.gates)
    run_dir = write_run(tmp_path, make_plan(), made.model_copy(update={"gates": gates}))
    write_reports(run_dir, ["md"])
    _is_a_table(run_dir / "summary.md")


@TEXTS
def test_annotations_are_one_command_a_gate(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    made = _results(text)
    github.annotate(github.gate_errors(made))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == sum(gate.verdict == "fail" for gate in made.gates)
    for line in lines:
        assert re.fullmatch(r"::error file=[^:,]+,line=\d+,title=[^:,]+::.*", line)
        assert is_sanitized(line)


@TEXTS
def test_the_reports_of_a_matrix(text: str, tmp_path: Path) -> None:
    folder = write_matrix(tmp_path)
    matrix = MatrixResults.model_validate_json((folder / "results.json").read_bytes())
    cells = tuple(cell.model_copy(update={"cell": f"{cell.cell}{text}"}) for cell in matrix.cells)
    (folder / "results.json").write_text(canonical_json(matrix.model_copy(update={"cells": cells})), encoding="utf-8")
    for path in write_matrix_report(folder):
        assert is_sanitized(path.read_bytes().decode("utf-8")), path.name
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not [what for what in _Page(page).acting if "report.html" not in what]
    ET.parse(folder / "junit.xml")
    _is_a_table(folder / "summary.md")


def test_ten_megabytes_are_cut_in_every_output_and_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    step = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    made = _huge()
    run_dir = _run(tmp_path / "run", made, "y" * HUGE)
    begin_s = time.process_time()
    written = write_reports(run_dir, ["html", "md", "junit", "csv"])
    output.outcomes([Judged("x", run_dir, made)], 1, as_json=False, quiet=False)
    output.error(RigError("z" * HUGE, "z" * HUGE), as_json=False)
    _show(live.Lines(), "z" * HUGE)
    assert time.process_time() - begin_s < SECONDS
    out, err = capsys.readouterr()
    assert len(out) < 50_000
    assert len(err) < 50_000
    assert step.stat().st_size < 100_000
    for path in written:
        assert path.stat().st_size < 400_000, path.name
    assert "(cut, 10,000,000 characters)" in out
    assert "(cut, 10,000,000 characters)" in (run_dir / "report.html").read_text(encoding="utf-8")
