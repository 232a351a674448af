"""Evidence is read once a run: reports and pools take what the judge has read, and a gate is parsed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.evidence import Evidence, Pool, files
from harness.gates import parse
from harness.gates.syntax.tokenizer import Tokens
from harness.run.early_stop import FailFast
from harness.run.run import judge_and_report
from harness.rundir.rows import read_rows
from reports.report import write_reports
from tests.rundir.recording import make_plan, record, slow_fault
from tests.scenario.world import GOOD, load, plan_of

GATES = ("p99 < 1s", "p99 < 1.5x baseline during azure-slow", "errors < 1%")


def run_dir_in(folder: Path, run_id: str = "20250102-030405-abcd") -> Path:
    plan = make_plan(faults=[slow_fault()], gates=GATES, run_id=run_id)
    return record(plan, policy="timeout").write(folder)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each row file that is read, and of each resources file."""
    found: list[str] = []
    read_resources = files.read_resources

    def rows(path, *args, **keywords):  # type: ignore[no-untyped-def]
        found.append(path.name)
        return read_rows(path, *args, **keywords)

    def resources(folder, *args, **keywords):  # type: ignore[no-untyped-def]
        found.append("resources.ndjson")
        return read_resources(folder, *args, **keywords)

    monkeypatch.setattr(files, "read_rows", rows)
    monkeypatch.setattr(files, "read_resources", resources)
    monkeypatch.setattr("reports.resources.read_resources", resources)
    return found


def test_a_run_is_read_once_for_its_verdict_and_all_its_reports(tmp_path: Path, reads: list[str]) -> None:
    finished = judge_and_report(run_dir_in(tmp_path))
    assert sorted(reads) == ["calls-0.bin", "resources.ndjson", "samples-0.bin"]
    assert finished.results is not None
    assert (tmp_path / "report.html").exists()


def test_a_report_by_itself_reads_the_run_and_says_the_same(tmp_path: Path, reads: list[str]) -> None:
    judge_and_report(run_dir_in(tmp_path))
    once = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".html", ".md", ".csv")}
    reads.clear()
    write_reports(tmp_path)
    assert sorted(reads) == ["calls-0.bin", "resources.ndjson", "samples-0.bin"]
    assert {name: (tmp_path / name).read_bytes() for name in once} == once


def test_a_pool_of_runs_that_were_judged_reads_nothing_more(tmp_path: Path, reads: list[str]) -> None:
    finished = [judge_and_report(run_dir_in(tmp_path / f"run-{n}", f"20250102-030405-000{n}")) for n in (1, 2)]
    runs = [one.evidence for one in finished if one.evidence is not None]
    assert len(runs) == 2
    reads.clear()
    verdict.write_judged(Pool.of(*runs), tmp_path)
    write_reports(tmp_path, evidence=runs[0])
    assert reads == []
    pooled = (tmp_path / "results.json").read_bytes()
    verdict.write_any(tmp_path)
    assert (tmp_path / "results.json").read_bytes() == pooled, "and is what `tailgate judge` says of it"


def test_each_gate_is_parsed_once_a_judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse_gate = parse.parse_gate

    def counting(text: str) -> object:
        parsed.append(text)
        return parse_gate(text)

    for place in ("harness.gates.parse.parse_gate", "harness.verdict.gates.parse_gate"):
        monkeypatch.setattr(place, counting)
    verdict.write(run_dir_in(tmp_path))
    assert parsed == list(GATES)


def test_judging_again_writes_the_same_bytes_as_the_run_did(tmp_path: Path) -> None:
    judge_and_report(run_dir_in(tmp_path))
    first = {name: (tmp_path / name).read_bytes() for name in ("results.json", "baseline.json")}
    verdict.write_judged(Pool.of(Evidence.load(tmp_path)), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in first} == first


def test_a_gate_is_parsed_once_from_its_scenario_to_the_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def counting(text: str) -> Tokens:
        parsed.append(text)
        return Tokens(text)

    monkeypatch.setattr(parse, "Tokens", counting)
    parse.parse_gate.cache_clear()
    gates = ("p99 < 1s", "complete > 99%", "errors < 1%")
    scenario = GOOD.partition("gates:")[0] + "gates:\n" + "".join(f"  - {gate}\n" for gate in gates)
    plan = plan_of(load(tmp_path, scenario))
    FailFast(plan)
    recorded = make_plan(faults=[slow_fault()], gates=tuple(gate.text for gate in plan.gates))
    judge_and_report(record(recorded, policy="timeout").write(tmp_path / "run"))
    assert sorted(parsed) == sorted(gates)
