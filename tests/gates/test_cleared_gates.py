"""Gates on when the service named nobody any more, and what results show of detections."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.rundir.detections import Detection, Recorded
from tests.gates.made_detections import CLEARED, NAMED, alert, at, gap, judged, noisy, played, results
from tests.rundir.recording import Recording, slow_fault

# ---------------------------------------------------------------- cleared


@pytest.mark.parametrize(
    ("notices", "after_ms"),
    [
        ([at(36)], 0.0),
        ([at(36), at(100)], 2_998),
        (alert(37, 105), 7_998),
        ([*alert(37, 110), at(112)], 14_998),
        ([at(36), at(100), gap(104, "alert")], 2_998),
    ],
    ids=["silent at once", "a last line", "an alert", "both", "an alert that was never raised"],
)
def test_cleared_in_time(notices: list[Detection], after_ms: float, tmp_path: Path) -> None:
    gate = judged(tmp_path, played(CLEARED, notices))
    assert gate.verdict == "pass"
    assert gate.observed == pytest.approx(after_ms)
    assert "azure was no longer named" in gate.reason


@pytest.mark.parametrize(
    ("notices", "reason"),
    [
        ([*noisy("azure", 36, 140)], "still named by the service's log 42.5 s after the fault was gone, limit 30.0 s"),
        ([at(36), at(127.002)], "still named by the service's log 30.0 s after"),
        ([*noisy("azure", 37, 140, "alert")], "still named by the service's alert 43.0 s after"),
        (alert(37, 130), "still named by the service's alert 33.0 s after"),
    ],
)
def test_not_cleared(notices: list[Detection], reason: str, tmp_path: Path) -> None:
    gate = judged(tmp_path, played(CLEARED, notices))
    assert gate.verdict == "fail"
    assert reason in gate.reason


def test_what_was_never_raised_cannot_clear(tmp_path: Path) -> None:
    kinds: tuple[list[Detection], ...] = ([], [at(20)], [at(36, "gcp")], [at(100)])
    for number, notices in enumerate(kinds):
        gate = judged(tmp_path / str(number), played(CLEARED, notices))
        assert gate.verdict == "inconclusive"
        assert "never named while azure-slow was active" in gate.reason


def test_nobody_knows_whether_it_cleared(tmp_path: Path) -> None:
    def reason(folder: str, made: Recording) -> str:
        gate = judged(tmp_path / folder, made)
        assert gate.verdict == "inconclusive"
        return gate.reason

    assert "stopped before" in reason("a", played(CLEARED, [at(36)]).stopped(60_000, "fail_fast"))
    assert "too early" in reason("b", played(CLEARED, [at(36)]).stopped(110_000, "fail_fast"))
    unreadable: list[Recorded] = [
        *noisy("azure", 37, 99, "alert"),
        gap(99.5, "alert", "the alert could not be read"),
    ]
    assert "when last seen; then the alert could not be read" in reason("c", played(CLEARED, unreadable))
    assert "so it proves nothing" in reason("d", played(CLEARED, noisy("azure", 1, 140)))
    assert "could not be read in time" in reason("e", played(CLEARED, [at(36), gap(130, "log")]))
    assert "has no record" in reason("f", played(CLEARED, None))


def test_every_upstream_of_the_fault_must_clear(tmp_path: Path) -> None:
    both = slow_fault().model_copy(update={"upstreams": ("azure", "gcp")})
    named = [at(36), at(37, "gcp")]
    assert judged(tmp_path / "a", played(CLEARED, named, both)).verdict == "pass"
    assert judged(tmp_path / "b", played(CLEARED, [*named, at(130, "gcp")], both)).verdict == "fail"
    assert judged(tmp_path / "c", played(CLEARED, [at(36)], both)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("gate", "notices", "next_"),
    [
        (NAMED, [at(36), at(37, "gcp")], "Name only the backend whose own call failed"),
        (NAMED, [at(50, text="ERROR {}: gcp was healthy and was named")], "Give up on a call well before"),
        (NAMED, [], "Log a line of WARNING or ERROR"),
        (NAMED, [at(36), gap(50, "log")], "See notices.ndjson"),
        (NAMED, noisy("azure", 1, 140), "Find out why it is named when nothing is wrong"),
        (CLEARED, [*noisy("azure", 36, 140)], "See logs/sut.log for what still failed"),
        (CLEARED, alert(37, 130), "Let the alert fall back"),
        (CLEARED, [], "First write a gate that it is named"),
    ],
)
def test_the_advice_goes_by_what_was_found_not_by_what_the_service_wrote(
    gate: str, notices: list[Recorded], next_: str, tmp_path: Path
) -> None:
    assert results(tmp_path, played(gate, notices)).next.startswith(next_)


# ---------------------------------------------------------------- results


def test_results_show_who_was_named_without_a_gate(tmp_path: Path) -> None:
    notices = [at(30, "gcp"), at(36.2), at(37, lines=3), at(50, "aws"), *alert(39, 100)]
    made = played("p99 < 5s", notices)
    (fault,) = results(tmp_path, made).faults
    told = {(n.upstream, n.source): n for n in fault.named}
    assert set(told) == {("azure", "log"), ("azure", "alert"), ("aws", "log")}
    log, by_alert, wrong = told["azure", "log"], told["azure", "alert"], told["aws", "log"]
    assert log.after_ms == pytest.approx(1_200)
    assert (log.lines, log.healthy, log.cleared_after_ms) == (4, False, 0)
    assert by_alert.after_ms == pytest.approx(4_000)
    assert by_alert.cleared_after_ms == pytest.approx(2_998)
    assert (wrong.healthy, wrong.text, wrong.cleared_after_ms) == (True, "ERROR aws failed", None)


def test_results_show_a_healthy_one_that_is_named_anyway_as_no_news(tmp_path: Path) -> None:
    (fault,) = results(tmp_path, played("p99 < 5s", [at(36), *noisy("gcp", 1, 140)])).faults
    assert [(n.upstream, n.healthy, n.no_news) for n in fault.named] == [("gcp", True, True), ("azure", False, False)]


def test_a_healthy_one_is_told_once_of_a_fault_of_two(tmp_path: Path) -> None:
    both = slow_fault().model_copy(update={"upstreams": ("azure", "gcp")})
    named = [at(36), at(37, "gcp"), at(50, "aws")]
    found = results(tmp_path, played("p99 < 5s", named, both)).faults
    assert [(f.upstream, [n.upstream for n in f.named]) for f in found] == [
        ("azure", ["azure", "aws"]),
        ("gcp", ["gcp"]),
    ]


def test_results_show_false_alarms(tmp_path: Path) -> None:
    notices = [
        at(-1, "gcp"),
        at(10, "gcp"),
        at(12, "azure"),
        at(36),
        at(50, "aws"),
        *(at(98 + i / 10, "aws") for i in range(20)),
        at(99, "azure"),
        at(101, "gcp", lines=3),
    ]
    found = results(tmp_path, played(CLEARED, notices))
    told = [(alarm.upstream, alarm.source, alarm.first_ms, alarm.lines) for alarm in found.false_alarms]
    assert told == [("gcp", "log", 10_000, 4), ("azure", "log", 12_000, 1), ("aws", "log", 98_000, 20)]


def test_an_alert_that_was_raised_before_is_no_news(tmp_path: Path) -> None:
    found = results(tmp_path, played("p99 < 5s", noisy("azure", 1, 140, "alert")))
    (named,) = found.faults[0].named
    assert (named.no_news, named.cleared_after_ms) == (True, None)


def test_judging_again_gives_the_same_bytes(tmp_path: Path) -> None:
    run_dir = played(NAMED, [at(36.123_456_7), *alert(39, 100)]).write(tmp_path)
    verdict.write(run_dir)
    first = (run_dir / "results.json").read_bytes()
    verdict.write(run_dir)
    assert (run_dir / "results.json").read_bytes() == first


def test_a_damaged_record_is_the_rigs_fault(tmp_path: Path) -> None:
    run_dir = played(NAMED, [at(36), at(37)]).write(tmp_path)
    text = (run_dir / "notices.ndjson").read_text(encoding="utf-8")
    (run_dir / "notices.ndjson").write_text(text[:-20], encoding="utf-8")
    assert verdict.judge(Evidence.load(run_dir)).verdict == "pass", "cut short by a power cut"
    (run_dir / "notices.ndjson").write_text("nonsense\n" + text, encoding="utf-8")
    assert verdict.judge(Evidence.load(run_dir)).verdict == "rig_failure"
