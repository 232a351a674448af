"""When a run under way is stopped for what its warm-up shows, and what is only warned of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.warmup_watch import SETTLE_NS, WarmupWatch
from harness.rundir.rows import CALLS, FLAG_CANARY, NO_ROUTE, SAMPLES, Outcome, RowWriter
from tests.rundir.recording import T0_NS, make_plan, slow_fault

MS = 1_000_000
PLAN = make_plan(rate_per_s=20, warmup_ms=2_000, faults=[slow_fault()])
FIRST = PLAN.upstreams[0].name
LATE_NS = T0_NS + SETTLE_NS


class Rows:
    """The files of a run under way."""

    def __init__(self, run_dir: Path) -> None:
        self.samples = RowWriter(run_dir / "samples-0.bin", SAMPLES)
        self.calls = RowWriter(run_dir / "calls-0.bin", CALLS)
        self.seq = 0

    def sample(self, at_ms: float, outcome: Outcome) -> None:
        at_ns = T0_NS + round(at_ms * MS)
        self.samples.append(self.seq, at_ns, at_ns, 0, at_ns + MS, 0, 0, 200, 0, 0, outcome, 0)
        self.samples.flush()
        self.seq += 1

    def call(self, at_ms: float, *, route: int = 0, upstream: int = 0, flags: int = 0) -> None:
        at_ns = T0_NS + round(at_ms * MS)
        self.calls.append(self.seq, at_ns, at_ns, at_ns, at_ns, 0, 0, 200, route, upstream, 0, flags)
        self.calls.flush()


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    made = Rows(tmp_path)
    yield made
    made.samples.close()
    made.calls.close()


def half(rows: Rows, outcome: Outcome, count: int = 40) -> None:
    """Forty arrivals at most in the last second of the warm-up, more than the plan has."""
    for number in range(count):
        rows.sample(-1000 + number * 25, outcome)


def test_a_warm_up_of_errors_stops_the_run_once_its_rows_are_there(tmp_path: Path, rows: Rows) -> None:
    half(rows, Outcome.HTTP_ERROR)
    watch = WarmupWatch(PLAN, tmp_path)
    assert watch.stop_reason(None, LATE_NS) is None, "the load has not started"
    assert watch.stop_reason(T0_NS, LATE_NS - 1) is None, "rows may still be missing"
    reason = watch.stop_reason(T0_NS, LATE_NS)
    assert reason == "every request of the last half of the warm-up failed"


@pytest.mark.parametrize("at_ms", [-10, 1500])
def test_one_good_answer_settles_it_even_after_the_warm_up(tmp_path: Path, rows: Rows, at_ms: float) -> None:
    half(rows, Outcome.HTTP_ERROR)
    rows.sample(at_ms, Outcome.OK)
    watch = WarmupWatch(PLAN, tmp_path)
    assert watch.stop_reason(T0_NS, LATE_NS) is None
    assert watch.stop_reason(T0_NS, LATE_NS + 100 * SETTLE_NS) is None


def test_requests_that_are_still_open_may_end_well(tmp_path: Path, rows: Rows) -> None:
    half(rows, Outcome.CLIENT_TIMEOUT, 11)
    watch = WarmupWatch(PLAN, tmp_path)
    assert watch.stop_reason(T0_NS, LATE_NS) is None
    over_ns = LATE_NS + round(PLAN.load.client_cap_ms * MS)
    assert watch.stop_reason(T0_NS, over_ns), "after the client cap none is open"


def test_too_few_rows_stop_nothing(tmp_path: Path, rows: Rows) -> None:
    half(rows, Outcome.HTTP_ERROR, 9)
    watch = WarmupWatch(PLAN, tmp_path)
    assert watch.stop_reason(T0_NS, LATE_NS + round(PLAN.load.client_cap_ms * MS)) is None


def test_calls_that_match_no_route_stop_the_run_whatever_the_answers_are(tmp_path: Path, rows: Rows) -> None:
    half(rows, Outcome.OK)
    for number in range(40):
        rows.call(-1000 + number, route=NO_ROUTE)
    rows.call(-500, flags=FLAG_CANARY)
    reason = WarmupWatch(PLAN, tmp_path).stop_reason(T0_NS, LATE_NS)
    assert reason == f"every call of the service to {FIRST} asked for something that it does not have"


@pytest.mark.parametrize("upstream", [0, 2])
def test_one_call_that_matches_is_enough_if_it_came_to_the_same_upstream(
    tmp_path: Path, rows: Rows, upstream: int
) -> None:
    half(rows, Outcome.OK)
    for number in range(40):
        rows.call(-1000 + number, route=NO_ROUTE)
        rows.seq += 1
    rows.call(-500, upstream=upstream)
    reason = WarmupWatch(PLAN, tmp_path).stop_reason(T0_NS, LATE_NS)
    assert reason == (
        f"every call of the service to {FIRST} asked for something that it does not have" if upstream else None
    )


def test_calls_are_counted_over_several_readings(tmp_path: Path, rows: Rows) -> None:
    """The warning of upstreams that were not called reads the rows as well."""
    watch = WarmupWatch(PLAN, tmp_path)
    half(rows, Outcome.OK, 39)
    rows.call(-900)
    watch.uncalled_warning(T0_NS, T0_NS + 10**12)
    for number in range(40):
        rows.call(-800 + number, route=NO_ROUTE)
    assert watch.stop_reason(T0_NS, LATE_NS) is None, "the call that matches was in the reading before"


def test_a_run_without_warm_up_is_never_stopped_for_it(tmp_path: Path, rows: Rows) -> None:
    half(rows, Outcome.HTTP_ERROR)
    plan = make_plan(rate_per_s=20, warmup_ms=0, faults=[slow_fault()])
    assert WarmupWatch(plan, tmp_path).stop_reason(T0_NS, LATE_NS + 10**12) is None


def test_an_upstream_that_was_not_called_before_its_fault_is_warned_of_once(tmp_path: Path, rows: Rows) -> None:
    rows.call(-500, upstream=PLAN.upstream("gcp").index)
    rows.call(-500, upstream=PLAN.upstream("azure").index, flags=FLAG_CANARY)
    watch = WarmupWatch(PLAN, tmp_path)
    guard_ns = T0_NS + round((PLAN.faults[0].windows[0].apply_ms - PLAN.guard_ms) * MS)
    assert watch.uncalled_warning(T0_NS, guard_ns - 1) is None
    assert "the service has not called azure yet" in (watch.uncalled_warning(T0_NS, guard_ns) or "")
    assert watch.uncalled_warning(T0_NS, guard_ns + 10**9) is None


def test_a_called_upstream_is_not_warned_of(tmp_path: Path, rows: Rows) -> None:
    rows.call(500, upstream=PLAN.upstream("azure").index)
    assert WarmupWatch(PLAN, tmp_path).uncalled_warning(T0_NS, T0_NS + 10**12) is None
