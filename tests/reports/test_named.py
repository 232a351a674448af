"""Who the service named, in words, in the report and in the summary."""

from __future__ import annotations

from pathlib import Path

from harness.results import FaultProof, FaultResult, NamedResult
from reports.formats import html, md
from reports.named import who_was_named
from reports.subject import Subject
from tests.reports.made_up_run import five_minutes, write_run


def fault(*named: NamedResult) -> FaultResult:
    proof = FaultProof(canary_baseline_ms=None, canary_during_ms=None, canary_failures=0, service_calls=0)
    return FaultResult(
        name="azure-slow", upstream="azure", kind="latency", windows=(), proof=proof, landed=True, named=named
    )


def by(source: str, upstream: str = "azure", *, cleared_ms: float | None = None) -> NamedResult:
    return NamedResult.model_validate(
        {
            "upstream": upstream,
            "source": source,
            "after_ms": 1_200.0,
            "lines": 3,
            "text": f"ERROR {upstream} failed",
            "healthy": upstream != "azure",
            "cleared_after_ms": cleared_ms,
        }
    )


def test_in_words() -> None:
    assert who_was_named(fault()) == []
    assert who_was_named(fault(by("log", cleared_ms=0.0), by("alert", cleared_ms=3_100.0))) == [
        "named by its log after 1.20 s, cleared with the fault; "
        "named by its alert after 1.20 s, cleared 3.10 s after the fault"
    ]
    assert who_was_named(fault(by("log", "gcp"))) == [
        "gcp, healthy, was named by the service's log after 1.20 s: ERROR gcp failed"
    ]


def test_of_many_healthy_ones_some_are_told() -> None:
    told = who_was_named(fault(*(by("log", f"x-{number}") for number in range(10))))
    assert len(told) == 4
    assert told[-1] == "and 7 more healthy ones"


def test_the_report_and_the_summary_show_it(tmp_path: Path) -> None:
    subject = Subject.load(write_run(tmp_path, five_minutes(rate_per_s=4)))
    for shown in (html.page(subject), md.summary(subject)):
        assert "named by its log after 1.20 s, cleared 3.10 s after the fault" in shown
        assert "oci, healthy, was named by the service's alert after 9.00 s" in shown.replace("&#39;", "'")
