from __future__ import annotations

import csv
import html
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.rundir.plan import Plan, PlannedVerdict
from harness.rundir.results import Results
from reports.formats import github, md
from reports.report import ALL, write_reports
from tests.reports.made_up_results import ALL_VERDICTS, NASTY, gate, results, write_results
from tests.reports.made_up_run import write_run
from tests.reports.markdown import without_code
from tests.rundir.recording import make_plan, slow_fault


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def _plan(**changes: object) -> Plan:
    return make_plan(faults=[slow_fault()]).model_copy(update=changes)


def _written(tmp_path: Path, name: str, made: Results, plan: Plan | None = None) -> Path:
    plan = plan or _plan()
    plan.write(tmp_path)
    write_results(tmp_path, made)
    return write_reports(tmp_path, [name])[0]


def test_all_files_are_written_where_asked(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", _plan())
    written = write_reports(run_dir, ALL, tmp_path / "elsewhere" / "deep")
    names = {path.name for path in written}
    assert names == {"report.html", "summary.md", "junit.xml", "results.json", "gates.csv", "phases.csv"}
    assert {path.name for path in (tmp_path / "elsewhere" / "deep").iterdir()} == names
    assert (tmp_path / "elsewhere" / "deep" / "results.json").read_bytes() == (run_dir / "results.json").read_bytes()
    assert not (run_dir / "report.html").exists()


def test_the_judges_bytes_stay_untouched(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, _plan())
    before = (run_dir / "results.json").read_bytes()
    write_reports(run_dir)
    assert (run_dir / "results.json").read_bytes() == before


@pytest.mark.parametrize("damage", ["missing", "not json", '{"kind": "matrix"}'])
def test_without_results_there_is_nothing_to_report(tmp_path: Path, damage: str) -> None:
    if damage != "missing":
        (tmp_path / "results.json").write_text(damage)
    with pytest.raises(UsageError, match=r"results\.json") as caught:
        write_reports(tmp_path)
    assert "tailgate judge" in caught.value.fix


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`pdf`") as caught:
        write_reports(tmp_path, ["pdf"])
    assert "html, md, junit, json, csv" in caught.value.fix


# junit.xml


def _cases(path: Path) -> dict[str, ET.Element]:
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    assert [child.tag for child in root] == ["testsuite"]
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def test_one_case_a_gate(tmp_path: Path) -> None:
    path = _written(tmp_path, "junit", results(_plan()))
    cases = _cases(path)
    assert list(cases) == [each.text for each in ALL_VERDICTS]
    suite = ET.parse(path).getroot()[0].attrib
    assert (suite["tests"], suite["failures"], suite["errors"], suite["skipped"]) == ("6", "3", "0", "0")
    kinds = [child.attrib["type"] for case in cases.values() for child in case]
    assert kinds == ["fail", "fail", "inconclusive"]
    assert cases["errors < 1%"].attrib["line"] == "12"
    body = cases["errors < 1%"][0].text
    assert body
    assert "observed 20.6 %, limit < 1 %, 4800 arrivals in whole (19.9 % – 21.3 %)" in body


def test_inconclusive_is_skipped_where_it_only_warns(tmp_path: Path) -> None:
    plan = _plan(verdict=PlannedVerdict(inconclusive="warn"))
    cases = _cases(_written(tmp_path, "junit", results(plan), plan))
    assert [child.tag for case in cases.values() for child in case] == ["failure", "failure", "skipped"]


def test_a_rig_failure_is_an_error_of_its_own(tmp_path: Path) -> None:
    cases = _cases(_written(tmp_path, "junit", results(_plan(), verdict="rig_failure", gates=(gate(),))))
    assert [child.tag for child in cases["the rig"]] == ["error"]


@pytest.mark.parametrize("name", ["html", "md", "junit"])
def test_the_end_of_a_log_and_a_command_keep_their_lines_and_stand_once(tmp_path: Path, name: str) -> None:
    made = results(_plan(), verdict="rig_failure", gates=(gate(),)).model_copy(
        update={"log_lines": ("Error: ```no``` <price> list", "  at app.js:1"), "next_command": "cd /srv && ./serve"}
    )
    page = html.unescape(_written(tmp_path, name, made).read_text())
    page = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert page.count("Error: ```no``` <price> list\n  at app.js:1") == 1
    assert page.count("cd /srv && ./serve") == 1


@pytest.mark.parametrize("line", ["```", "``````", "  ````", "~~~", "```text"])
def test_a_log_cannot_end_its_block(tmp_path: Path, line: str) -> None:
    made = results(_plan(), verdict="rig_failure").model_copy(update={"log_lines": (line, "<b>@everyone", line)})
    text = _written(tmp_path, "md", made).read_text(encoding="utf-8")
    assert "@everyone" in text
    assert "@everyone" not in without_code(text)


def test_a_fence_is_longer_than_any_in_the_log() -> None:
    assert md.block(("a", "`````", "b\nc")) == ["``````text", "a", "`````", "b c", "``````"]


def test_no_gate_and_no_verdict_is_no_green_build(tmp_path: Path) -> None:
    cases = _cases(_written(tmp_path, "junit", results(_plan(), verdict="inconclusive", gates=())))
    assert [child.tag for child in cases["a verdict"]] == ["failure"]


def test_xml_holds_no_character_that_xml_forbids(tmp_path: Path) -> None:
    path = _written(tmp_path, "junit", results(_plan(), nasty=NASTY))
    assert len(_cases(path)) == len(ALL_VERDICTS)
    text = path.read_text(encoding="utf-8")
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", text)
    assert "\\x1b[31m" in text


# csv


def test_tables_for_spreadsheets(tmp_path: Path) -> None:
    gates = _written(tmp_path, "csv", results(_plan()))
    with gates.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == [each.verdict for each in ALL_VERDICTS]
    assert rows[0]["observed"] == "", "unknown is empty, never zero"
    assert rows[0]["censored_at_ms"] == "2000"
    assert rows[1]["observed"] == "0.206"
    with (tmp_path / "phases.csv").open(encoding="utf-8", newline="") as file:
        phases = {row["phase"]: row for row in csv.DictReader(file)}
    assert list(phases) == ["baseline", "azure-slow", "after azure-slow", "whole"]
    assert phases["azure-slow"]["gateway_timeout"] == "2400"
    assert phases["azure-slow"]["p99_ms"] == ""
    assert phases["baseline"]["p99_ms"] == "240"


def test_a_table_without_rows_keeps_its_head(tmp_path: Path) -> None:
    gates = _written(tmp_path, "csv", results(_plan(), gates=(), phases=()))
    assert gates.read_text().startswith("id,text,phase,verdict,")
    assert (tmp_path / "phases.csv").read_text().startswith("phase,start_ms,end_ms,n,p50_ms,")


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x"])
def test_a_spreadsheet_runs_nothing(tmp_path: Path, text: str) -> None:
    gates = _written(tmp_path, "csv", results(_plan(), gates=(gate("fail", reason=text),)))
    with gates.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["reason"] == f"'{text}"


# summary.md and GitHub


def test_the_summary_says_what_why_and_next(tmp_path: Path) -> None:
    text = _written(tmp_path, "md", results(_plan())).read_text(encoding="utf-8")
    assert text.startswith("## ✕ FAIL: made-up\n")
    assert "- **Replay**: `tailgate run made-up.yaml --seed 7`" in text
    assert (
        "| ✕ Fail | `p99 < gateway.timeout during azure-slow` | ≥ 2.00 s (cut off by the gateway) | &lt; 2 s |" in text
    )
    assert "| ✓ Pass | `throughput > 30/s` |" in text
    assert "- ✓ fault proven: " in text


def test_markdown_from_outside_is_text(tmp_path: Path) -> None:
    nasty = f"{NASTY} | `x` [a](javascript:b) ![i](http://e/x.png) @everyone #1\n## head"
    text = _written(tmp_path, "md", results(_plan(), nasty=nasty)).read_text(encoding="utf-8")
    prose = without_code(text)
    for bad in ("<script", "<b>", r"(?<!\\)\]\(", r"(?<!\\)!\[", "@everyone", "\n## head", " #1"):
        assert not re.search(bad, prose), bad
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8, 7, 5}, "no cell was broken in two"


def test_names_between_backticks_become_code_and_nothing_else() -> None:
    assert md.prose("`p99 < 1s` failed: a < b") == "`p99 < 1s` failed: a &lt; b"
    assert md.prose("one ` tick <b>") == "one \\` tick &lt;b&gt;"


def test_code_spans_survive_backticks() -> None:
    assert md.code("a`b") == "`` a`b ``"
    assert md.code("a|b") == "`a\\|b`"


def test_the_job_summary_is_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    text = _written(tmp_path, "md", results(_plan())).read_text(encoding="utf-8")
    assert step.read_text(encoding="utf-8") == f"before\n{text}\n"


def test_the_job_summary_never_grows_beyond_a_mebibyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    for size in (700_000, 700_000, 700_000):
        github.append_summary("line\n" * (size // 5))
        assert step.stat().st_size <= github.MOST_BYTES
    assert "ends at 1 MiB" in step.read_text()


def test_a_job_summary_that_cannot_be_written_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    _written(tmp_path, "md", results(_plan()))
    assert "could not be written" in capsys.readouterr().err


def test_failed_gates_are_marked_at_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    _written(tmp_path, "md", results(_plan()))
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "", "stdout is the one document of --json"
    assert len(lines) == 2, "failed gates only, not the inconclusive one"
    assert lines[1] == (
        "::error file=made-up.yaml,line=12,title=tailgate%3A errors < 1%25::"
        "20.6 %25 is surely above 1 %25 (observed 20.6 %25, limit < 1 %25)"
    )


def test_ten_marks_at_most_and_none_can_begin_another_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    many = tuple(gate("fail", text="p99, a:b < 1s", reason="x\n::set-env name=A::b\r\n") for _ in range(30))
    github.annotate(github.gate_errors(results(_plan(), gates=many)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("::error file=made-up.yaml,line=11,title=tailgate%3A p99%2C a%3Ab") for line in lines)


def test_a_cell_of_a_matrix_leaves_the_job_to_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    _written(tmp_path, "md", results(_plan()), _plan(cell="sequential"))
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "step.md").exists()
