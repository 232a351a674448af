"""`named` and `cleared` on made-up evidence: each way in which they pass, fail, and refuse to say.

azure is slow from 35 s to 97 s, and the load ends at 140 s.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.evidence import Evidence, Pool
from harness.gates import Finding
from harness.gates.parse import parse_gate
from harness.rundir.detections import Detection, Mention, Recorded, Source
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from harness.rundir.planned.service import PlannedService
from harness.rundir.results import Results
from reports.detections import passed_on_one_witness
from tests.gates.made_detections import CLEARED, NAMED, at, gap, judged, noisy, played, results
from tests.rundir.recording import T0_NS, Recording, slow_fault


def test_named_in_time(tmp_path: Path) -> None:
    gate = judged(tmp_path, played(NAMED, [at(36.2), at(38, source="alert"), at(60)]))
    assert (gate.verdict, gate.limit, gate.unit) == ("pass", 5_000, "ms")
    assert gate.observed == pytest.approx(1_200)
    assert gate.reason == "azure was named 1.20 s after azure-slow came, by its log, limit 5.00 s"
    assert 2_300 < gate.n < 2_700


def test_an_alert_is_a_witness_too(tmp_path: Path) -> None:
    gate = judged(tmp_path, played(NAMED, [at(37, source="alert")]))
    assert gate.verdict == "pass"
    assert "by its alert" in gate.reason


@pytest.mark.parametrize(
    ("notices", "reason"),
    [
        ([], "azure was not named while azure-slow was active; limit 5.00 s"),
        ([at(40)], "azure was named only 5.00 s after azure-slow came, by its log: ERROR azure failed; limit 5.00 s"),
        ([at(98)], "azure was not named while azure-slow was active"),
        ([at(36), at(70, "gcp")], "gcp was healthy and was named 35.0 s after azure-slow came, by its log"),
        ([at(36), at(36, "gcp", "alert")], "gcp was healthy and was named 1.00 s after azure-slow came, by its alert"),
        ([at(36, "gcp")], "gcp was healthy"),
        ([at(36, "azure", "alert", normal=True)], "azure was not named"),
        ([gap(36, "alert")], "azure was not named"),
        ([gap(50, "log")], "azure was not named"),
    ],
)
def test_named_late_wrongly_or_not_at_all(notices: list[Recorded], reason: str, tmp_path: Path) -> None:
    gate = judged(tmp_path, played(NAMED, notices))
    assert gate.verdict == "fail"
    assert reason in gate.reason


@pytest.mark.parametrize(
    "others",
    [
        [at(34, "gcp")],
        [at(97.5, "gcp")],
        [at(36, "gcp", "alert", normal=True)],
    ],
    ids=["before the fault", "after it", "an alert that is not raised"],
)
def test_what_else_may_be_named(others: list[Detection], tmp_path: Path) -> None:
    assert judged(tmp_path, played(NAMED, [at(36), *others])).verdict == "pass"


def test_the_others_own_faults_explain_them(tmp_path: Path) -> None:
    both = slow_fault("gcp-slow", upstream="gcp", apply_ms=10_000, remove_ms=34_000)
    assert judged(tmp_path / "a", played(NAMED, [at(36), at(38, "gcp")], slow_fault(), both)).verdict == "pass"
    late = judged(tmp_path / "b", played(NAMED, [at(36), at(50, "gcp")], slow_fault(), both))
    assert late.verdict == "fail", "its requests were given up on long ago"
    still = [at(36), *noisy("gcp", 12, 60, "alert"), at(60, "gcp", "alert", normal=True)]
    assert judged(tmp_path / "c", played(NAMED, still, slow_fault(), both)).verdict == "pass", "raised since its own"


def test_a_bell_that_always_rings_says_nothing(tmp_path: Path) -> None:
    gate = judged(tmp_path / "log", played(NAMED, noisy("azure", 10, 100)))
    assert gate.verdict == "inconclusive"
    assert "named azure before azure-slow as well" in gate.reason
    assert judged(tmp_path / "alert", played(NAMED, noisy("azure", 10, 100, "alert"))).verdict == "inconclusive"
    louder = [at(30), *(at(35 + i / 4, lines=20) for i in range(1, 200))]
    assert judged(tmp_path / "louder", played(NAMED, louder)).verdict == "pass", "one stray line, then a flood"
    both = [*noisy("azure", 10, 100), at(37, source="alert")]
    assert judged(tmp_path / "both", played(NAMED, both)).verdict == "pass", "the alert was silent until then"


def test_a_healthy_one_that_is_named_anyway_says_nothing(tmp_path: Path) -> None:
    """A logger of that name, say: a false FAIL otherwise."""
    named = [at(36), *noisy("gcp", 0, 140)]
    gate = judged(tmp_path / "log", played(NAMED, named))
    assert gate.verdict == "inconclusive"
    assert (
        "the service's log named gcp, which is healthy, before azure-slow as well, so it proves nothing" in gate.reason
    )
    latched = judged(tmp_path / "alert", played(NAMED, [at(36), *noisy("gcp", 10, 140, "alert")]))
    assert latched.verdict == "inconclusive"
    assert judged(tmp_path / "silent", played(NAMED, named[1:])).verdict == "fail", "azure was never named"
    louder = [at(36), at(20, "gcp"), *(at(40 + i / 4, "gcp", lines=20) for i in range(200))]
    assert judged(tmp_path / "louder", played(NAMED, louder)).verdict == "fail"


def test_what_could_not_be_read_may_have_named_a_healthy_one(tmp_path: Path) -> None:
    def verdict_of(folder: str, *lines: Recorded) -> str:
        return judged(tmp_path / folder, played(NAMED, [at(36), *lines])).verdict

    assert verdict_of("log", gap(50, "log")) == "inconclusive"
    assert verdict_of("before", gap(30, "log"), gap(98, "log")) == "pass"
    assert verdict_of("alert", at(1, source="alert", normal=True), gap(50, "alert")) == "inconclusive"
    assert verdict_of("mute", gap(50, "alert")) == "pass", "an alert that never spoke is no witness"
    since = gap(97.5, "log").model_copy(update={"since_ns": T0_NS + 96 * 10**9})
    assert verdict_of("since", since) == "inconclusive", "what was said from then on is not known"


def test_an_alert_that_nobody_could_ask_is_no_silence(tmp_path: Path) -> None:
    normal = at(1, source="alert", normal=True)
    unasked: list[Recorded] = [normal, gap(36, "alert", "the alert could not be read")]
    gate = judged(tmp_path / "named", played(NAMED, unasked))
    assert (gate.verdict, gate.reason) == ("inconclusive", "the alert could not be read")
    late: list[Recorded] = [at(36), normal, gap(130, "alert", "the alert could not be read")]
    assert judged(tmp_path / "cleared", played(CLEARED, late)).verdict == "inconclusive"


@pytest.mark.parametrize("source", ["log", "alert"])
def test_without_a_baseline_nobody_knows_what_is_said_anyway(source: Source, tmp_path: Path) -> None:
    """A false PASS otherwise, of a bell that has rung since the warm-up."""
    soon = slow_fault(apply_ms=0)
    gate = judged(tmp_path / "a", played(NAMED, noisy("azure", -2, 140, source), soon))
    assert gate.verdict == "inconclusive"
    assert "only 2.00 s could be observed without a fault before azure-slow came" in gate.reason
    assert f"it is unknown what the service's {source} names anyway" in gate.reason
    healthy = [at(2), *noisy("gcp", -2, 140, source)]
    assert judged(tmp_path / "b", played(NAMED, healthy, soon)).verdict == "inconclusive"
    assert judged(tmp_path / "c", played(NAMED, [], soon)).verdict == "fail", "silence needs no comparison"


def test_the_warm_up_counts_where_the_baseline_is_short(tmp_path: Path) -> None:
    soon = slow_fault(apply_ms=4_000)
    assert judged(tmp_path / "quiet", played(NAMED, [at(5)], soon)).verdict == "pass"
    gate = judged(tmp_path / "noisy", played(NAMED, [at(-1), at(5)], soon))
    assert gate.verdict == "inconclusive"
    assert "before azure-slow as well" in gate.reason


HANG = slow_fault("azure-hang", apply_ms=35_000, remove_ms=60_000)


def errors(apply_s: float) -> PlannedFault:
    return slow_fault("azure-errors", apply_ms=apply_s * 1000, remove_ms=97_000)


def test_what_an_earlier_fault_left_is_no_news_of_this_one(tmp_path: Path) -> None:
    """False PASSes otherwise: a latched alert, and lines of requests that the fault before held."""

    def gate(folder: str, notices: list[Detection], apply_s: float = 64) -> Finding:
        text = "named azure within 5s during azure-errors"
        made = played(text, notices, HANG, errors(apply_s))
        return found(text, Evidence.load(made.write(tmp_path / folder)))

    for number, (left, apply_s) in enumerate(
        [
            (noisy("azure", 36, 140, "alert"), 75),
            (noisy("azure", 36, 66), 64),
            (noisy("azure", 36, 77), 75),
            (noisy("azure", 36, 60), 50),
        ]
    ):
        told = gate(str(number), left, apply_s)
        assert told.verdict == "inconclusive"
        assert "named azure before azure-errors as well, so it proves nothing" in told.reason
    again = [*noisy("azure", 36, 62, "alert"), at(62, source="alert", normal=True), at(65, source="alert")]
    assert gate("raised again", again).verdict == "pass"
    assert gate("silent between", [*noisy("azure", 36, 60), at(65)]).verdict == "pass"
    assert gate("louder", [*noisy("azure", 36, 62), *(at(64 + i / 4, lines=20) for i in range(8))]).verdict == "pass"
    assert gate("silent in it", noisy("azure", 36, 62)).verdict == "fail"


def test_windows_that_follow_closely_are_looked_at_each_by_itself(tmp_path: Path) -> None:
    windows = tuple(FaultWindow(apply_ms=35_000.0 + 5_000 * k, remove_ms=39_000.0 + 5_000 * k) for k in range(8))
    every = slow_fault().model_copy(update={"windows": windows})
    gate = "named azure within 2s during azure-slow"
    named = [at(20), *(at(35 + 5 * k + i / 5) for k in range(8) for i in range(1, 9))]
    assert judged(tmp_path / "each", played(gate, named, every)).verdict == "pass", "one stray line long before"
    first = [at(35 + i / 5) for i in range(1, 60)]
    two = every.model_copy(update={"windows": windows[:2]})
    assert judged(tmp_path / "left", played(gate, first, two)).verdict == "inconclusive"


def test_what_is_one_line_is_seen_at_both_its_ends(tmp_path: Path) -> None:
    def ended(begin_s: float, end_s: float) -> Detection:
        return at(begin_s, lines=3).model_copy(update={"until_ns": T0_NS + round(end_s * 1e9)})

    gate = judged(tmp_path / "named", played(NAMED, [ended(39.9, 40.1)]))
    assert gate.observed == pytest.approx(4_900)
    assert judged(tmp_path / "begun before", played(NAMED, [ended(34.9, 35.1)])).verdict == "inconclusive"
    late = judged(tmp_path / "cleared", played(CLEARED, [at(36), ended(126.9, 127.1)]))
    assert late.verdict == "fail"
    assert late.observed == pytest.approx(30_098)


CERTIFICATE = "WARN 12:00 {}'s certificate expires in 20 days"


def test_a_line_that_comes_every_twelve_seconds_anyway_says_nothing(tmp_path: Path) -> None:
    """A false PASS otherwise: one unrelated line happened to come 1.6 s after the fault."""
    every = [at(second, text=CERTIFICATE) for second in (0.6, 12.6, 24.6, 36.6, 48.6, 60.6, 72.6, 84.6, 96.6, 108.6)]
    gate = judged(tmp_path / "named", played(NAMED, every))
    assert gate.verdict == "inconclusive"
    assert "as well, so it proves nothing: WARN 12:00 azure's certificate" in gate.reason
    late = judged(tmp_path / "cleared", played(CLEARED, every))
    assert late.verdict == "inconclusive"
    assert "so it proves nothing, and nothing could clear" in late.reason
    real = [at(36 + i / 4) for i in range(240)]
    told = judged(tmp_path / "real", played(NAMED, [*every, *real]))
    assert told.verdict == "pass"
    assert told.observed == pytest.approx(1_000)
    assert judged(tmp_path / "over", played(CLEARED, [*every[:8], *real])).verdict == "pass"


def test_one_stray_line_before_the_fault_and_silence_in_it_is_silence(tmp_path: Path) -> None:
    gate = judged(tmp_path, played(NAMED, [at(20, text=CERTIFICATE)]))
    assert gate.verdict == "fail"
    assert "azure was not named" in gate.reason


def test_the_same_text_is_no_news_however_rare(tmp_path: Path) -> None:
    other = "ERROR {} is left alone"
    late = slow_fault(apply_ms=120_000, remove_ms=130_000)
    assert judged(tmp_path / "same", played(NAMED, [at(2), at(121)], late)).verdict == "inconclusive"
    assert judged(tmp_path / "other", played(NAMED, [at(2), at(121, text=other)], late)).verdict == "pass"
    warmup = [at(-1, text=CERTIFICATE), at(121, text=CERTIFICATE)]
    assert judged(tmp_path / "warm-up", played(NAMED, warmup, late)).verdict == "inconclusive"
    often = [at(50), at(80), at(121, text=other)]
    assert judged(tmp_path / "often", played(NAMED, often, late)).verdict == "inconclusive", "by chance, perhaps"


def test_what_the_faults_of_before_explain_is_no_stray(tmp_path: Path) -> None:
    first = slow_fault("first", apply_ms=5_000, remove_ms=15_000)
    named = [*noisy("azure", 6, 15), at(36)]
    assert judged(tmp_path, played(NAMED, named, first, slow_fault())).verdict == "pass"


def test_an_alert_that_flaps_says_nothing(tmp_path: Path) -> None:
    flaps = [
        notice
        for second in range(0, 140, 12)
        for notice in (at(second, source="alert"), at(second + 2, source="alert", normal=True))
    ]
    assert judged(tmp_path, played(NAMED, flaps)).verdict == "inconclusive"


def test_a_line_without_a_level_is_told(tmp_path: Path) -> None:
    def mention(seconds: float, text: str, lines: int = 1, upstream: str = "azure") -> Mention:
        return Mention(t_ns=T0_NS + round(seconds * 1e9), upstream=upstream, lines=lines, text=text)

    held = [
        mention(20, "INFO azure 1"),
        mention(34, "azure long before"),
        mention(37, "INFO azure 2", 5),
        mention(38, "azure: timed out", 36),
        mention(39, "gcp: fine", upstream="gcp"),
        mention(99, "azure: late"),
    ]
    found = results(tmp_path / "a", played(NAMED, held))
    assert found.verdict == "fail"
    assert (
        "41 lines contained `azure` at INFO, without a known level, or in text of a program: azure: timed out"
        in found.gates[0].reason
    )
    assert "with a level that tailgate knows" in found.next
    assert "held `" not in judged(tmp_path / "b", played(NAMED, held[:2])).reason
    assert "one line contained `azure`" in judged(tmp_path / "c", played(NAMED, [mention(37, "x")])).reason


def test_an_alert_that_never_spoke_is_told(tmp_path: Path) -> None:
    def by_command(*notices: Recorded, gate: str = NAMED) -> Results:
        made = played(gate, notices)
        service = PlannedService(kind="command", url="http://x", alerts_path="/metrics", alerts_metric="dwn")
        made.plan = made.plan.model_copy(update={"service": service})
        return results(tmp_path / str(len(list(tmp_path.iterdir()))), made)

    never = "`dwn` never had a sample with an upstream's name as a label"
    passed = by_command(at(36)).gates[0]
    assert passed.verdict == "pass"
    assert f"by its log ({never})" in passed.reason
    assert passed_on_one_witness([passed]) == [f"{NAMED}: {passed.reason}"]
    assert f"({never})" in by_command(at(36), gate=CLEARED).gates[0].reason
    failed = by_command(gap(1, "alert", "the alert could not be read: answered 404"))
    assert failed.verdict == "fail"
    assert f"{never} (the alert could not be read: answered 404)" in failed.gates[0].reason
    assert failed.next.startswith("Correct `service.alerts`")
    assert "never had" in by_command(at(50)).gates[0].reason
    assert "never had" not in by_command(at(36), at(1, source="alert", normal=True)).gates[0].reason
    assert "never had" not in by_command(at(1, "gcp", "alert", normal=True)).gates[0].reason


def test_what_nobody_could_read_is_no_silence(tmp_path: Path) -> None:
    gate = judged(tmp_path / "log", played(NAMED, [gap(36, "log")]))
    assert gate.verdict == "inconclusive"
    assert "could not be read in time" in gate.reason
    old = judged(tmp_path / "old", played(NAMED, None))
    assert (old.verdict, old.reason) == ("inconclusive", "this run has no record of which upstreams the service named")


def by_url(made: Recording) -> Recording:
    service = PlannedService(kind="url", url="http://127.0.0.1:1", alerts_path="/metrics", alerts_metric="degraded")
    made.plan = made.plan.model_copy(update={"service": service})
    return made


def test_a_service_by_url_has_its_alert_alone(tmp_path: Path) -> None:
    assert judged(tmp_path / "yes", by_url(played(NAMED, [at(36, source="alert")]))).verdict == "pass"
    normal = [at(1, source="alert", normal=True)]
    assert judged(tmp_path / "no", by_url(played(NAMED, normal))).verdict == "fail"
    lost = judged(tmp_path / "lost", by_url(played(NAMED, [*normal, gap(36, "alert", "the alert could not be read")])))
    assert (lost.verdict, lost.reason) == ("inconclusive", "the alert could not be read")
    never = judged(tmp_path / "never", by_url(played(NAMED, [])))
    assert never.verdict == "inconclusive"
    assert "`degraded` never had a sample" in never.reason


def test_without_a_request_nothing_could_be_noticed(tmp_path: Path) -> None:
    made = played(NAMED, [])
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    made.samples = made.samples[(t_ms < 35_000) | (t_ms > 41_000)]
    run = Evidence.load(made.write(tmp_path))
    assert found(NAMED, run).verdict == "inconclusive"


def found(gate: str, *runs: Evidence) -> Finding:
    return parse_gate(gate).judge(Pool(runs), alpha_fail=0.05)


def flapping(*, stands_ms: float = 10_000) -> PlannedFault:
    windows = tuple(
        FaultWindow(apply_ms=at_ms, remove_ms=at_ms + stands_ms) for at_ms in (35_000.0, 55_000.0, 75_000.0)
    )
    return slow_fault().model_copy(update={"windows": windows})


def test_every_window_counts_and_the_slowest_is_told(tmp_path: Path) -> None:
    gate = judged(tmp_path / "all", played(NAMED, [at(36), at(58), at(77)], flapping()))
    assert gate.verdict == "pass"
    assert gate.observed == pytest.approx(3_000)
    assert "the slowest of 3 windows" in gate.reason
    assert judged(tmp_path / "one", played(NAMED, [at(36), at(77)], flapping())).verdict == "fail"
    short = judged(tmp_path / "short", played(NAMED, [at(36)], flapping(stands_ms=4_000)))
    assert short.verdict == "inconclusive", "no detection could have been late"


def test_without_a_phase_every_fault_on_it_counts(tmp_path: Path) -> None:
    other = slow_fault("again", apply_ms=110_000, remove_ms=125_000)
    gate = "named azure within 5s"
    assert judged(tmp_path / "a", played(gate, [at(36)], slow_fault(), other)).verdict == "fail"
    assert judged(tmp_path / "b", played(gate, [at(36), at(111)], slow_fault(), other)).verdict == "pass"


def test_a_run_that_was_stopped(tmp_path: Path) -> None:
    def stopped(folder: str, at_ms: float, *notices: Detection) -> str:
        return judged(tmp_path / folder, played(NAMED, notices).stopped(at_ms, "fail_fast")).verdict

    assert stopped("before", 30_000) == "inconclusive"
    assert stopped("too early", 38_000) == "inconclusive"
    assert stopped("named", 60_000, at(36)) == "inconclusive", "a healthy one may have been named later"
    assert stopped("late", 60_000) == "fail"
    assert stopped("wrong", 60_000, at(36), at(37, "gcp")) == "fail"


def test_what_the_load_generator_spoiled_is_not_held_against_the_service(tmp_path: Path) -> None:
    wrong = Evidence.load(played(NAMED, [at(36), at(60.5, "gcp")]).write(tmp_path / "wrong"))
    assert found(NAMED, wrong).verdict == "fail"
    assert found(NAMED, wrong.without(frozenset({60}))).verdict == "pass"
    late = Evidence.load(played(NAMED, [at(42)]).write(tmp_path / "late"))
    assert found(NAMED, late).verdict == "fail"
    assert found(NAMED, late.without(frozenset({36, 37, 38}))).verdict == "pass"


def test_several_runs_are_as_good_as_the_worst(tmp_path: Path) -> None:
    good = Evidence.load(played(NAMED, [at(36)]).write(tmp_path / "a"))
    bad = Evidence.load(played(NAMED, []).write(tmp_path / "b"))
    assert found(NAMED, good, bad).verdict == "fail"
    assert found(NAMED, good, good).verdict == "pass"
