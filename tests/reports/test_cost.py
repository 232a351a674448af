"""What the service cost, as each format shows it: gates in bytes and counts, charts, and a table by phase."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness import verdict
from harness.cli.display.summary import run_lines
from harness.rundir.results import CostResult, GateResult, Results
from reports import formatting, resources, validity
from reports.formats import github
from reports.report import write_reports
from reports.subject import Subject
from tests.reports.made_up_results import gate, results, write_results
from tests.reports.made_up_run import write_run
from tests.rundir.recording import make_plan, record, slow_fault

PLAN = make_plan(faults=[slow_fault()])


def held(verdict: str = "fail", **changes: object) -> GateResult:
    base = gate(
        "fail", text="threads < 1.5x baseline during azure-slow", unit="count", limit=46.5, observed=271, low=None,
        high=None, n=60, phase="azure-slow", reason="threads reached 271 at 12.5 s of azure-slow; the limit is 46.5",
    )  # fmt: skip
    return base.model_copy(update={"metric": "threads", "verdict": verdict, "exceeded": 12, **changes})


MEMORY = held(
    "pass", text="rss < 300MB", metric="rss", unit="bytes", limit=300e6, observed=271_234_567, phase="whole", exceeded=0
)


def cost(phase: str = "azure-slow", **changes: object) -> CostResult:
    made = CostResult(
        phase=phase, readings=60, rss_max_bytes=271_234_567, rss_end_bytes=80_000_000, threads_max=1_271,
        threads_end=20, fds_max=40, fds_end=40, sockets_max=259, sockets_end=32,
        sockets_by_state={"ESTABLISHED": 9, "LISTEN": 3, "CLOSE_WAIT": 250}, cpu_s_per_s=0.4, cpu_ms_per_request=10.25,
    )  # fmt: skip
    return made.model_copy(update=changes)


def _results(*costs: CostResult) -> Results:
    return results(PLAN, gates=(held(), MEMORY)).model_copy(update={"cost": costs})


def test_a_gate_in_its_own_unit() -> None:
    assert (formatting.observed(held()), formatting.limit(held())) == ("271", "< 46.5")
    assert (formatting.observed(MEMORY), formatting.limit(MEMORY)) == ("271 MB", "< 300 MB")
    assert formatting.sample(held()) == "12 of 60 readings exceeded"
    assert formatting.sample(MEMORY) == "0 of 60 readings exceeded"
    assert formatting.interval(held(), 2_000.0) == ""


def test_the_summary_on_the_terminal(tmp_path: Path) -> None:
    lines = run_lines(_results(), tmp_path)
    threads, memory = (next(line for line in lines if line.startswith(text)) for text in ("threads <", "rss <"))
    assert threads.split()[6:] == ["271", "<", "46.5", "60", "✗", "FAIL"]
    assert memory.split("MB", 1)[1].split() == ["271", "MB", "<", "300", "MB", "60", "✓", "pass"]


def test_every_format_spells_it(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, PLAN, _results(cost()))
    write_reports(run_dir)
    assert "| 271 MB | &lt; 300 MB | 60 |" in (run_dir / "summary.md").read_text(encoding="utf-8")
    failure = next(iter(ET.parse(run_dir / "junit.xml").getroot().iter("failure")))
    assert "observed 271, limit < 46.5, 60 readings in azure-slow" in (failure.text or "")
    with (run_dir / "gates.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["unit"], row["limit"]) for row in rows] == [("count", "46.5"), ("bytes", "3e+08")]
    (error,) = github.gate_errors(_results())
    assert error.message.endswith("(observed 271, limit < 46.5)")


def test_readings_are_no_sample_of_requests(tmp_path: Path) -> None:
    subject = Subject(tmp_path, _results(), PLAN, None, None)
    assert "sample size" not in {answer.name for answer in validity.check_rows(subject)}
    unsure = results(PLAN, gates=(held("inconclusive", n=4),), verdict="inconclusive")
    told = next(
        answer
        for answer in validity.check_rows(Subject(tmp_path, unsure, PLAN, None, None))
        if answer.name == "undecided"
    )
    assert told.detail.startswith("azure-slow: 4 readings;")


def test_a_row_a_phase() -> None:
    (row,) = resources.table([cost()])
    assert row.held == (
        ("271 MB", "80.0 MB at the end"),
        ("1,271", "20 at the end"),
        ("259", "32 at the end"),
        ("40", ""),
    )
    assert (row.states, row.cores, row.per_request) == ("250 CLOSE_WAIT, 9 ESTABLISHED", "0.4", "10.2 ms")


def test_what_is_unknown_is_no_zero() -> None:
    unknown = dict.fromkeys(set(CostResult.model_fields) - {"phase", "readings"})
    (row,) = resources.table([cost().model_copy(update=unknown)])
    assert row.held == (("–", ""),) * 4
    assert (row.states, row.cores, row.per_request) == ("", "–", "–")


def test_the_page_shows_charts_and_table(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, PLAN, _results(cost("baseline"), cost()))
    page = write_reports(run_dir, ["html"])[0].read_text(encoding="utf-8")
    assert page.count('aria-label="Threads"') == page.count('aria-label="Memory"') == 1
    assert 'aria-label="TCP sockets"' not in page  # this run directory has none
    lines = [json.loads(line) for line in (run_dir / "resources.ndjson").read_text(encoding="utf-8").splitlines()]
    with (run_dir / "resources.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({**line, "sockets": {"ESTABLISHED": 5 + n % 3, "LISTEN": 1}}) + "\n"
            for n, line in enumerate(lines)
        )
    page = write_reports(run_dir, ["html"])[0].read_text(encoding="utf-8")
    assert 'aria-label="TCP sockets"' in page
    assert "of the service: 5 at first, 7 at most" in page
    assert "What it cost the service" in page
    assert "1,271<small>20 at the end</small>" in page


def test_the_page_shows_who_had_the_cores(tmp_path: Path) -> None:
    run_dir = record(make_plan(gates=["p99 < 1s"])).beside(20, 40).write(tmp_path)
    verdict.write(run_dir)
    page = write_reports(run_dir, ["html"])[0].read_text(encoding="utf-8")
    assert "Who had the cores" in page
    assert "on 2 cores that the service may use" in page
    assert "the service waited for a core 1.2 at most" in page
    assert "Shaded: 20 seconds in which others took the cores" in page
    assert page.count('class="band taken"') == 1


def test_the_page_says_nothing_of_cores_where_that_is_unknown(tmp_path: Path) -> None:
    run_dir = record(make_plan(gates=["p99 < 1s"])).write(tmp_path)
    verdict.write(run_dir)
    page = write_reports(run_dir, ["html"])[0].read_text(encoding="utf-8")
    assert "Who had the cores" not in page


def test_a_long_run_keeps_its_peaks(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, PLAN, _results())
    t0_ns = json.loads((run_dir / "manifest.json").read_bytes())["t0_ns"]
    with (run_dir / "resources.ndjson").open("w", encoding="utf-8") as file:
        for second in range(1_000):
            line = {"t_ns": t0_ns + second * 10**9, "child": "sut", "threads": 900 if second == 501 else 20}
            file.write(json.dumps(line) + "\n")
    (chart,) = resources.charts(Subject.load(run_dir), [])
    assert chart.detail == "of the service: 20 at first, 900 at most"
    points = resources.thinned([(float(second), 900.0 if second == 501 else 20.0) for second in range(1_000)])
    assert len(points) <= 300
    assert (501.0, 900.0) in points


@pytest.mark.parametrize("sections", [(), (cost(),)])
def test_results_without_the_section_are_read(sections: tuple[CostResult, ...], tmp_path: Path) -> None:
    made = _results(*sections)
    write_results(tmp_path, made)
    document = json.loads((tmp_path / "results.json").read_bytes())
    assert Results.model_validate_json((tmp_path / "results.json").read_bytes()).cost == sections
    del document["cost"]
    assert Results.model_validate(document).cost == ()
