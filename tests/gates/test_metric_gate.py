"""`metric NAME{label=value}`: how the service's metrics are read, and gates on them put to made-up readings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gates import Finding
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.metrics.readings import MetricReading, MetricType
from harness.rundir.metrics.series import Series, SeriesError
from harness.stack.monitor.metrics import MetricsPoll, read
from tests.gates.judged import found
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.scenario.world import GOOD, changed, load, only_problem, plan_of

POOL = "pool_in_use{backend=azure}"
ANSWER = """\
# HELP pool_in_use Connections in use.
# TYPE pool_in_use gauge
pool_in_use{backend="azure",host="a"} 3
pool_in_use{backend="azure",host="b"} 4
pool_in_use{backend="gcp",host="a"} 9
# TYPE retries_total counter
retries_total 12
# TYPE quotes counter
quotes_total 8
# TYPE wait_seconds histogram
wait_seconds_bucket{le="1"} 2
wait_seconds_count 3
wait_seconds_sum 1.5
untyped 5
# TYPE broken gauge
broken NaN
pool_in_use{backend="azure" damaged
"""


# ---------------------------------------------------------------- series and readings


@pytest.mark.parametrize(
    ("text", "name", "labels"),
    [
        ("up", "up", ()),
        ("a:b_c{}", "a:b_c", ()),
        ("pool{ a = b , c=d e }", "pool", (("a", "b"), ("c", "d e"))),
        ("pool{path=/v1/x?y}", "pool", (("path", "/v1/x?y"),)),
    ],
)
def test_a_series_is_a_name_with_labels(text: str, name: str, labels: tuple[tuple[str, str], ...]) -> None:
    series = Series.parse(text)
    assert (series.name, series.labels) == (name, labels)
    assert Series.parse(series.text) == series


@pytest.mark.parametrize("text", ["", "9up", "up{", "up{a}", "up{a=}", "up{=b}", "up}", "up{a=b", "up {a=b}"])
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(SeriesError):
        Series.parse(text)


@pytest.mark.parametrize(
    ("series", "value", "kind"),
    [
        (POOL, 7.0, "gauge"),
        ("pool_in_use{backend=azure,host=b}", 4.0, "gauge"),
        ("pool_in_use", 16.0, "gauge"),
        ("retries_total", 12.0, "counter"),
        ("quotes_total", 8.0, "counter"),
        ("quotes", 8.0, "counter"),
        ("wait_seconds_count", 3.0, "other"),
        ("untyped", 5.0, "other"),
    ],
)
def test_samples_of_one_series_are_added_up(series: str, value: float, kind: MetricType) -> None:
    (reading,) = read(ANSWER, [Series.parse(series)], 7)
    assert (reading.t_ns, reading.series, reading.value, reading.type) == (7, series, value, kind)


@pytest.mark.parametrize(
    ("series", "failed"),
    [
        ("pool_in_use{backend=oci}", "none of its samples has these labels"),
        ("pool_used", "it has pool_in_use"),
        ("zzz", "no metric of that name, among 8 others"),
        ("broken", "no finite number"),
    ],
)
def test_a_series_that_is_not_there_says_what_is(series: str, failed: str) -> None:
    (reading,) = read(ANSWER, [Series.parse(series)], 7)
    assert reading.value is None
    assert failed in reading.failed


def test_an_answer_without_metrics_is_no_reading() -> None:
    (reading,) = read("<html>not found</html>", [Series("up")], 7)
    assert (reading.value, reading.failed) == (None, "the answer holds no metric")


# ---------------------------------------------------------------- judged


def played(
    *values: tuple[str, MetricType, Callable[[float], float | None]],
    keep: Callable[[float], bool] = lambda _: True,
    failed: str = "no answer within 1 s",
) -> Recording:
    """azure is slow from 35 to 97 s; a reading of each series a second."""
    made = record(make_plan(faults=[slow_fault()], gates=["errors < 1%"], duration_ms=120_000), policy="timeout")
    made.metrics = [
        MetricReading(
            t_ns=T0_NS + round(second * 1e9),
            series=series,
            value=value(second),
            type=None if value(second) is None else kind,
            failed=failed if value(second) is None else "",
        )
        for second in (number + 0.5 for number in range(-2, 125))
        if keep(second)
        for series, kind, value in values
    ]
    return made


def gauge(value: Callable[[float], float | None], keep: Callable[[float], bool] = lambda _: True) -> Recording:
    return played((POOL, "gauge", value), keep=keep)


def judged(gate: str, made: Recording, folder: Path) -> Finding:
    return found(f"metric {gate}", made, folder)


@pytest.mark.parametrize(
    ("gate", "observed", "expected"),
    [
        (f"{POOL} < 10", 9.0, "pass"),
        (f"{POOL} < 9", 9.0, "fail"),
        (f"{POOL} < 5 during baseline", 3.0, "pass"),
        (f"{POOL} < 4 after azure-slow", 3.0, "pass"),
        (f"{POOL} < 2x baseline during azure-slow", 9.0, "fail"),
        (f"{POOL} < 3.1x baseline during azure-slow", 9.0, "pass"),
    ],
)
def test_of_a_gauge_the_highest_reading_counts(gate: str, observed: float, expected: str, tmp_path: Path) -> None:
    finding = judged(gate, gauge(lambda t: 9.0 if 50 < t < 52 else 3.0), tmp_path)
    assert (finding.verdict, finding.observed) == (expected, observed)
    if finding.verdict == "fail":
        assert "pool_in_use{backend=azure} reached 9 at " in finding.reason


def test_of_a_counter_the_increase_for_each_request_counts(tmp_path: Path) -> None:
    made = played(("retries_total", "counter", lambda t: 100 + 4 * t))  # 40 requests a second
    finding = judged("retries_total < 0.2", made, tmp_path / "pass")
    assert finding.verdict == "pass"
    assert finding.observed == pytest.approx(0.1, rel=0.1)
    assert "retries_total grew by 0.1" in finding.reason or "retries_total grew by 0.09" in finding.reason
    assert judged("retries_total < 0.05 during baseline", made, tmp_path / "fail").verdict == "fail"
    assert judged("retries_total < 1.5x baseline during azure-slow", made, tmp_path / "ratio").verdict == "pass"


def test_a_counter_that_fell_shows_no_pass(tmp_path: Path) -> None:
    made = played(("retries_total", "counter", lambda t: t % 60))
    finding = judged("retries_total < 1", made, tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.NO_READINGS)
    assert "started again" in finding.reason


def test_a_series_that_never_came_is_no_pass(tmp_path: Path) -> None:
    never = judged(f"{POOL} < 10", gauge(lambda _: None), tmp_path / "never")
    assert (never.verdict, never.kind) == ("inconclusive", FindingKind.NO_SERIES)
    assert never.reason.endswith("never came in the phase `whole`: no answer within 1 s")
    late = judged(f"{POOL} < 10 during baseline", gauge(lambda t: 3.0 if t > 40 else None), tmp_path / "late")
    assert late.kind == FindingKind.NO_SERIES
    other = judged("other < 10", gauge(lambda _: 3.0), tmp_path / "other")
    assert (other.verdict, other.kind) == ("inconclusive", FindingKind.NO_READINGS)


def test_a_gap_hides_the_highest_reading(tmp_path: Path) -> None:
    gap = judged(f"{POOL} < 10", gauge(lambda _: 3.0, keep=lambda t: not 50 < t < 60), tmp_path / "gap")
    assert (gap.verdict, gap.kind) == ("inconclusive", FindingKind.NO_READINGS)
    assert "there is no reading of" in gap.reason
    seen = judged(f"{POOL} < 3", gauge(lambda _: 3.0, keep=lambda t: not 50 < t < 60), tmp_path / "seen")
    assert seen.verdict == "fail"  # what was read is enough for that


def test_a_histogram_is_not_judged(tmp_path: Path) -> None:
    finding = judged("wait_seconds_count < 9", played(("wait_seconds_count", "other", lambda t: t)), tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.NOT_A_READING)


def test_a_stopped_run_has_no_highest_reading(tmp_path: Path) -> None:
    finding = judged(f"{POOL} < 10", gauge(lambda _: 3.0).stopped(60_000, "interrupted"), tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.STOPPED)


# ---------------------------------------------------------------- of a scenario


def test_the_plan_says_where_and_what_is_read(tmp_path: Path) -> None:
    text = GOOD + f"  - metric {POOL} < 20 during azure-latency\n  - metric up < 2\n  - metric up < 3\n"
    plan = plan_of(load(tmp_path, text))
    assert (plan.service.metrics_path, plan.metrics) == ("/metrics", (POOL, "up"))
    poll = MetricsPoll.of(plan, "http://127.0.0.1:1", {})
    assert poll is not None
    assert (poll.url, [series.text for series in poll.series]) == ("http://127.0.0.1:1/metrics", [POOL, "up"])
    assert MetricsPoll.of(plan_of(load(tmp_path, GOOD)), "http://127.0.0.1:1", {}) is None


def test_a_service_without_metrics_is_refused(tmp_path: Path) -> None:
    own = ("service: {rung: timeout}", "service: {url: 'http://127.0.0.1:1'}")
    problem = only_problem(tmp_path, changed(own) + "  - metric up < 2 during azure-latency\n")
    assert "does not say where the service's metrics are" in problem.message
    assert "service.metrics: GET /metrics" in problem.fix


@pytest.mark.parametrize(
    ("written", "fix"),
    [("/metrics", "write GET /metrics"), ("POST /metrics", "write GET /metrics"), ("metrics", "write GET /metrics")],
)
def test_where_metrics_are_is_a_path(written: str, fix: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed(("{rung: timeout}", f"{{rung: timeout, metrics: {written}}}")))
    assert fix in problem.fix


def test_it_needs_ten_seconds_of_readings(tmp_path: Path) -> None:
    text = changed(("rate: 40/s", "rate: 40/s\n  baseline: 7s")) + "  - metric up < 2x baseline\n"
    problem = only_problem(tmp_path, text)
    assert "5 readings of the service's metrics need 10s" in problem.message


def test_a_limit_may_be_a_size() -> None:
    gate = parse_gate("metric process_resident_memory_bytes < 300MB")
    assert gate.format(200e6) == "200 MB"
