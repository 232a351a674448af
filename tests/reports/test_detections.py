"""Who the service named, in words, in the report and in the summary."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from harness import verdict
from harness.cli.display.summary import run_lines
from harness.rundir.finding_kind import FindingKind
from harness.rundir.judged.fault_results import FalseAlarm, FaultProof, FaultResult, NamedResult
from harness.scenario.schema.json_schema import results_schema
from reports.detections import named_without_fault, summarize, who_was_named
from reports.formats import html, md
from reports.report import write_reports
from reports.subject import Subject, read_results
from tests.reports.made_up_run import five_minutes, write_run
from tests.rundir.recording import make_plan, record


def fault(*named: NamedResult) -> FaultResult:
    proof = FaultProof(canary_baseline_ms=None, canary_during_ms=None, canary_failures=0, service_calls=0)
    return FaultResult(
        name="azure-slow", upstream="azure", kind="latency", windows=(), proof=proof, landed=True, named=named
    )


def by(source: str, upstream: str = "azure", *, cleared_ms: float | None = None, no_news: bool = False) -> NamedResult:
    return NamedResult.model_validate(
        {
            "upstream": upstream,
            "source": source,
            "after_ms": 1_200.0,
            "lines": 3,
            "text": f"ERROR {upstream} failed",
            "healthy": upstream != "azure",
            "no_news": no_news,
            "cleared_after_ms": cleared_ms,
        }
    )


def test_in_words() -> None:
    assert who_was_named(fault()) == []
    assert who_was_named(fault(by("log", cleared_ms=0.0), by("alert", cleared_ms=3_100.0))) == [
        "named by its log after 1.20 s, cleared with the fault; "
        "named by its alert after 1.20 s, cleared 3.10 s after the fault"
    ]
    assert who_was_named(fault(by("alert", no_news=True))) == [
        "named by its alert before the fault already, which says nothing"
    ]
    assert who_was_named(fault(by("log", "gcp"))) == [
        "gcp, healthy, was named by the service's log after 1.20 s: ERROR gcp failed"
    ]


def test_a_healthy_one_that_is_named_anyway_is_told_so() -> None:
    anyway = "gcp, healthy, was named by the service's log as before the fault: ERROR gcp failed"
    assert who_was_named(fault(by("log", "gcp", no_news=True))) == [anyway]
    both = fault(by("log", "gcp", no_news=True), by("alert", "gcp"))
    assert who_was_named(both) == ["gcp, healthy, was named by the service's alert after 1.20 s: ERROR gcp failed"]


def test_of_many_healthy_ones_some_are_told() -> None:
    told = who_was_named(fault(*(by("log", f"x-{number}") for number in range(10))))
    assert len(told) == 4
    assert told[-1] == "and 7 more healthy ones"


def test_a_healthy_one_named_by_log_and_alert_is_one() -> None:
    told = who_was_named(fault(*(by(source, f"x-{number}") for source in ("log", "alert") for number in range(4))))
    assert len(told) == 4
    assert told[-1] == "and 1 more healthy ones"


def test_a_healthy_one_named_in_several_faults_is_told_once_in_the_summary(tmp_path: Path) -> None:
    made = Subject.load(write_run(tmp_path, five_minutes(rate_per_s=4))).results
    wrong = (by("log", "gcp"), by("log", "oci"))
    faults = [fault(by("log"), *wrong).model_copy(update={"name": f"f{n}"}) for n in range(5)]
    faults[0] = faults[0].model_copy(update={"named": (*faults[0].named[:2], by("log", "aws"))})
    told = [text for text in summarize(made.model_copy(update={"faults": tuple(faults)})) if "healthy" in text]
    assert told == [
        "gcp, healthy, was named by the service's log during f0, f1, f2 and 2 more, the first time after 1.20 s: "
        "ERROR gcp failed",
        "azure during f0: aws, healthy, was named by the service's log after 1.20 s: ERROR aws failed",
        "oci, healthy, was named by the service's log during f1, f2, f3 and 1 more, the first time after 1.20 s: "
        "ERROR oci failed",
    ]


def test_who_was_named_without_a_fault() -> None:
    def alarm(upstream: str, lines: int = 1) -> FalseAlarm:
        return FalseAlarm(upstream=upstream, source="log", first_ms=1_500.0, lines=lines, text="WARN it is broken")

    assert named_without_fault(()) == []
    assert named_without_fault([alarm("gcp"), alarm("aws", 20)]) == [
        "gcp, healthy, was named by the service's log while no fault stood, first at 1.50 s: WARN it is broken",
        "aws, healthy, was named by the service's log while no fault stood, first at 1.50 s, 20 times: "
        "WARN it is broken",
    ]
    assert named_without_fault([alarm(f"x-{number}") for number in range(5)])[3:] == ["and 2 more false alarms"]


def test_the_report_and_the_summaries_show_false_alarms(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, five_minutes(rate_per_s=4))
    subject = Subject.load(run_dir)
    alarm = FalseAlarm(upstream="aws", source="log", first_ms=1_500.0, lines=20, text="WARN it is broken")
    subject = replace(subject, results=subject.results.model_copy(update={"false_alarms": (alarm,)}))
    terminal = " ".join(" ".join(run_lines(subject.results, run_dir)).split())
    for shown in (html.page(subject), md.summary(subject), terminal):
        told = shown.replace("&#39;", "'")
        assert "aws, healthy, was named by the service's log while no fault stood, first at 1.50 s, 20 times" in told


def test_the_report_and_the_summary_show_it(tmp_path: Path) -> None:
    subject = Subject.load(write_run(tmp_path, five_minutes(rate_per_s=4)))
    for shown in (html.page(subject), md.summary(subject)):
        assert "named by its log after 1.20 s, cleared 3.10 s after the fault" in shown
        assert "oci, healthy, was named by the service's alert after 9.00 s" in shown.replace("&#39;", "'")


def test_results_of_before_kinds_are_read_and_reported(tmp_path: Path) -> None:
    run_dir = record(make_plan(gates=["p99 < 1s", "errors < 1%"])).write(tmp_path)
    verdict.write(run_dir)
    document = json.loads((run_dir / "results.json").read_bytes())
    for gate in document["gates"]:
        del gate["kind"], gate["exceeded_by"], gate["censored_by"]
    (run_dir / "results.json").write_text(json.dumps(document), encoding="utf-8")
    assert {path.name for path in write_reports(run_dir)} >= {"report.html", "summary.md", "junit.xml", "gates.csv"}
    assert [gate.kind for gate in read_results(run_dir).gates] == [None, None, None]


def test_every_kind_of_finding_is_in_the_schema_of_results() -> None:
    told = json.dumps(results_schema())
    assert [kind for kind in FindingKind if f'"{kind.value}"' not in told] == []
