"""Every kind of gate as each format shows it: its text, its verdict, its figure in its unit, its reason, unescaped
nowhere. The runs are judged as real ones are: one in which every gate holds, and one in which none does."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness import verdict
from harness.evidence import Evidence, Pool
from harness.rundir.metrics.readings import MetricReading
from harness.rundir.results import GateResult, Results
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS, NS_PER_S
from harness.verdict.judging import write_judged
from reports.formats import github
from reports.report import ALL, write_reports
from reports.subject import read_results
from tests.gates.test_resource_gate import reading
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

SERIES = "pool_in_use{backend=azure}"
GATES = {
    # text: (unit, whether the broken run's gate must fail)
    "mean < 300ms": "ms",
    "mean of gcp < 500ms": "ms",
    "max < 1s": "ms",
    "p99(ttfb) < 200ms": "ms",
    "p99 < 1.5x main": "ms",
    "errors = 0": "share",
    "errors < main + 0.3%": "share",
    "complete of azure > 99%": "share",
    "complete 3/3 > 99%": "share",
    "throughput > 0.8x main": "per_s",
    "cpu < 8ms": "ms",
    "log < 150B": "bytes",
    f"metric {SERIES} < 9": "ratio",
}
DURATION_MS = 300_000.0


def _made(*, broken: bool) -> Recording:
    made = record(make_plan(gates=[*GATES], duration_ms=DURATION_MS))
    rows = made.samples
    slower = 6 if broken else 1
    rows["sent_ns"] = rows["intended_ns"]
    rows["first_ns"] = rows["intended_ns"] + 60 * slower * NS_PER_MS
    rows["done_ns"] = rows["intended_ns"] + 100 * slower * NS_PER_MS
    if broken:
        made.lose("azure", 3)
        made.calls["done_ns"] = made.calls["arrived_ns"] + 600 * NS_PER_MS
        rows["done_ns"][1_000] += 3 * NS_PER_S
    for t in range(-2, round(DURATION_MS / 1000) + 5):
        cpu_s, log_bytes = (0.2, 4_000) if not broken else (0.6, 9_000)
        made.resources.append(reading(t + 0.5, cpu_s=10 + cpu_s * (t + 2), log_bytes=1_000 + log_bytes * (t + 2)))
        value = 12.0 if broken else 3.0
        made.metrics.append(MetricReading(t_ns=T0_NS + t * NS_PER_S, series=SERIES, value=value, type="gauge"))
    return made


def _with_failures(made: Recording) -> Recording:
    """One request in 120 fails: too many for the gates on failures, few enough for a mean."""
    failed = made.samples["seq"] % 120 == 0
    made.samples["outcome"][failed], made.samples["status"][failed] = Outcome.HTTP_ERROR, 503
    return made


@dataclass(frozen=True)
class Shown:
    run_dir: Path
    results: Results

    def gate(self, text: str) -> GateResult:
        return next(gate for gate in self.results.gates if gate.text == text)


def _judged(folder: Path, made: Recording, main: Path) -> Shown:
    made.write(folder)
    (folder / "main.json").write_bytes(main.read_bytes())
    run = Evidence.load(folder)
    write_judged(Pool.of(run), folder)
    write_reports(folder, ALL, evidence=run)
    return Shown(folder, read_results(folder))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Shown]]:
    """By whether the gates fail."""
    main = tmp_path_factory.mktemp("main")
    verdict.write(_made(broken=False).write(main))
    yield {
        broken: _judged(
            tmp_path_factory.mktemp("broken" if broken else "held"),
            _with_failures(_made(broken=True)) if broken else _made(broken=False),
            main / "baseline.json",
        )
        for broken in (False, True)
    }


def test_the_runs_are_what_they_are_made_for(shown: dict[bool, Shown]) -> None:
    for text, unit in GATES.items():
        held, failed = shown[False].gate(text), shown[True].gate(text)
        assert (held.verdict, held.unit) == ("pass", unit), (text, held.reason)
        hopeless = "throughput" in text  # one request in 120 is not a fifth
        assert failed.verdict == ("pass" if hopeless else "fail"), (text, failed.reason)


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("text", GATES)
def test_every_format_shows_the_gate(text: str, broken: bool, shown: dict[bool, Shown]) -> None:
    folder, gate = shown[broken].run_dir, shown[broken].gate(text)
    page = unescape((folder / "report.html").read_text(encoding="utf-8"))
    assert text in page
    assert gate.reason in page
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert f"`{text}`" in summary
    with (folder / "gates.csv").open(encoding="utf-8", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["text"] == text]
    assert (row["verdict"], row["unit"], row["op"]) == (gate.verdict, gate.unit, gate.op)
    assert float(row["observed"]) == pytest.approx(gate.observed)
    (case,) = [case for case in ET.parse(folder / "junit.xml").iter("testcase") if case.get("name") == text]
    failures = case.findall("failure")
    assert len(failures) == (gate.verdict != "pass")
    assert all(gate.reason in (failure.get("message") or "") + (failure.text or "") for failure in failures)


def test_figures_stand_in_the_unit_of_the_gate(shown: dict[bool, Shown]) -> None:
    """Nothing is shown as a bare number of another unit, an infinity, or `None`."""
    summary = (shown[True].run_dir / "summary.md").read_text(encoding="utf-8")
    lines = {text: next(line for line in summary.splitlines() if f"`{text}`" in line) for text in GATES}
    expected = {
        "mean < 300ms": "ms",
        "max < 1s": "3.60 s",
        "p99(ttfb) < 200ms": "ms",
        "errors = 0": "%",
        "complete 3/3 > 99%": "%",
        "cpu < 8ms": "14.9 ms",
        "log < 150B": "B",
        f"metric {SERIES} < 9": "12",
    }
    for text, figure in expected.items():
        assert figure in lines[text].replace(f"`{text}`", ""), lines[text]
    for line in lines.values():
        assert not {"None", "nan", "inf"} & {*line.replace("|", " ").split()}, line


def test_annotations_name_what_failed(shown: dict[bool, Shown]) -> None:
    errors = github.gate_errors(shown[True].results)
    said = " ".join(str(error) for error in errors)
    for text in GATES:
        assert (text in said) == (shown[True].gate(text).verdict == "fail"), text
    assert list(github.gate_errors(shown[False].results)) == []


def test_a_run_that_was_aborted_says_so_everywhere(tmp_path: Path) -> None:
    """`load.abort_if` is no gate: it stands where the end of the run is told."""
    made = record(make_plan(gates=["errors < 90%"], duration_ms=60_000)).stopped(30_000, "aborted")
    rule = "errors > 20% for 10s"
    made.plan = made.plan.model_copy(update={"abort_if": (rule,)})
    run = Evidence.load(made.write(tmp_path))
    write_judged(Pool.of(run), tmp_path)
    write_reports(tmp_path, ALL, evidence=run)
    assert read_results(tmp_path).verdict == "inconclusive"
    for name in ("report.html", "summary.md", "junit.xml"):
        said = unescape((tmp_path / name).read_text(encoding="utf-8"))
        assert f"aborted by `{rule}`" in said.replace("\\", ""), name


def test_a_stopped_run_whose_gates_were_decided_before_is_no_green_build(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=["errors < 1% during baseline"]))
    run = Evidence.load(made.stopped(90_000, "aborted").write(tmp_path))
    write_judged(Pool.of(run), tmp_path)
    write_reports(tmp_path, ["junit"], evidence=run)
    results = read_results(tmp_path)
    assert {gate.verdict for gate in results.gates} == {"pass"}
    assert results.verdict == "inconclusive"
    assert ET.parse(tmp_path / "junit.xml").getroot().findall(".//failure[@type='inconclusive']")


def test_without_main_a_comparison_says_what_is_missing(tmp_path: Path) -> None:
    made = record(make_plan(gates=["throughput > 0.8x main"], duration_ms=60_000))
    run = Evidence.load(made.write(tmp_path))
    write_judged(Pool.of(run), tmp_path)
    write_reports(tmp_path, ALL, evidence=run)
    gate = read_results(tmp_path).gates[0]
    assert gate.verdict == "inconclusive"
    assert gate.reason in unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
