"""Mistakes that the gates of one kind each could make: each is really made and seen to change a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.evidence.completeness import complete
from harness.gates.answered.mean_judge import _answered as _real_answered
from harness.gates.readings.growth import Growth
from harness.gates.readings.growth import growth as _real_growth
from harness.gates.readings.metric_judge import _level as _real_level
from harness.gates.readings.per_request import FIGURES
from harness.gates.shares.share_bounds import bounds_of
from harness.rundir.metrics.readings import MetricReading
from harness.rundir.rows import Outcome
from harness.rundir.yardstick import Yardstick
from harness.units import NS_PER_MS, NS_PER_S
from tests.gates.test_resource_gate import reading
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, Patch, swap


def one_failure() -> Recording:
    made = record(make_plan(gates=["errors = 0"]))
    made.samples["outcome"][2_000] = Outcome.HTTP_ERROR
    return made


def without_the_faulted(gate: str) -> Recording:
    """azure is slow, and a service with a deadline leaves it out of its answers."""
    return record(make_plan(faults=[slow_fault()], gates=[gate]), policy="timeout")


def quorum_missed() -> Recording:
    return without_the_faulted("complete 3/3 > 99% during azure-slow")


def bystander_lost() -> Recording:
    made = without_the_faulted("complete of aws > 99% during azure-slow")
    made.lose("gcp", 3)
    return made


def steady(gate: str) -> Recording:
    """Every request takes 100 ms, and its first byte comes at half of it."""
    made = record(make_plan(gates=[gate]))
    for field, after_ms in (("sent_ns", 0), ("first_ns", 50), ("done_ns", 100)):
        made.samples[field] = made.samples["intended_ns"] + after_ms * NS_PER_MS
    return made


def one_in_fifty_failed() -> Recording:
    made = steady("mean < 90ms")
    made.samples["outcome"][made.samples["seq"] % 50 == 0] = Outcome.HTTP_ERROR
    return made


def slow_bodies() -> Recording:
    return steady("p99(ttfb) < 80ms")


def no_first_bytes() -> Recording:
    made = steady("p99(ttfb) < 80ms")
    made.samples["first_ns"] = 0
    return made


def one_slow_request() -> Recording:
    made = steady("max < 2s")
    made.samples["done_ns"][2_000] += 3_000 * NS_PER_MS
    return made


class _NOTHING_DROPPED:
    DROPPED = 255
    NO_REQUEST = 255


def with_cpu(gate: str, cpu_s: Callable[[float], float]) -> Recording:
    made = record(make_plan(gates=[gate]))
    made.resources = [reading(t + 0.5, cpu_s=10 + cpu_s(t)) for t in range(-2, 112)]
    return made


def half_dropped() -> Recording:
    """5 ms for each arrival, of which one in two was never sent."""
    made = with_cpu("cpu < 8ms", lambda t: 0.2 * t)
    made.samples["outcome"][made.samples["seq"] % 2 == 0] = Outcome.DROPPED
    return made


def a_worker_ended() -> Recording:
    return with_cpu("cpu < 8ms", lambda t: 0.2 * t + (40.0 if t < 50 else 0.0))


def with_log(gate: str, log_bytes: Callable[[float], float], *, every_s: int = 1) -> Recording:
    made = record(make_plan(gates=[gate]))
    made.resources = [reading(t + 0.5, log_bytes=round(9_000_000 + log_bytes(t))) for t in range(-2, 112, every_s)]
    return made


def a_log_of_half_the_requests() -> Recording:
    """4 kB a second: 100 bytes for each of 40 arrivals, 200 for each that was sent."""
    made = with_log("log < 150B", lambda t: 4_000 * t)
    made.samples["outcome"][made.samples["seq"] % 2 == 0] = Outcome.DROPPED
    return made


def a_log_begun_anew() -> Recording:
    """Halfway the log was cut short, after it had grown beyond the limit, and it hardly grew from then on."""
    return with_log("log < 150B", lambda t: 4_000 * t if t < 50 else 0.0)


def a_talkative_service() -> Recording:
    return with_log("log < 50B", lambda t: 4_000 * t)


def a_log_seldom_looked_at() -> Recording:
    return with_log("log < 150B", lambda t: 4_000 * t, every_s=30)


def too_short_for_a_mean() -> Recording:
    return record(make_plan(gates=["mean < 1s"], duration_ms=20_000))


def with_pool(value: Callable[[int], float | None]) -> Recording:
    made = record(make_plan(gates=["metric pool < 9"]))
    made.metrics = [
        MetricReading(t_ns=T0_NS + t * NS_PER_S + 1, series="pool", value=value(t), type="gauge" if value(t) else None)
        for t in range(-2, 112)
    ]
    return made


def a_full_pool() -> Recording:
    return with_pool(lambda t: 9.0 if t == 50 else 3.0)


def no_such_metric() -> Recording:
    return with_pool(lambda _: None)


def _mean_level(gate: Any, run: Any, series: Any, phase: str) -> Any:
    return replace(_real_level(gate, run, series, phase), highest=float(series.values.mean()))


def _as_if_nothing_fell(*arguments: Any) -> Any:
    return replace(_real_growth(*arguments), fell=False)


def _without_the_slowest(gate: Any, pool: Any) -> Any:
    answered: Any = _real_answered(gate, pool)
    return replace(answered, ms=[np.sort(own)[: -max(1, len(own) // 1000)] for own in answered.ms])


def _windows(gate: Any, pool: Any) -> Any:
    return [run.window(gate.phase) for run in pool.runs]


def as_main(folder: Path) -> None:
    """Puts a main into the folder, in which one request in 100 failed."""
    made = record(make_plan(duration_ms=300_000))
    made.samples["outcome"][made.samples["seq"] % 100 == 0] = Outcome.HTTP_ERROR
    verdict.write(made.write(folder / "of-main"))
    (folder / "main.json").write_bytes((folder / "of-main" / "baseline.json").read_bytes())


def somewhat_worse_than_main() -> Recording:
    made = record(make_plan(gates=["errors < main + 1%"], duration_ms=300_000))
    made.samples["outcome"][made.samples["seq"] % 40 == 0] = Outcome.HTTP_ERROR
    return made


MUTANTS = (
    Mutant(
        "= 0: one failure in thousands let pass",
        one_failure,
        swap("harness.gates.shares.none_of.counted", lambda _: lambda _, window: np.zeros(len(window.samples), bool)),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "mean: what failed is forgotten",
        one_in_fifty_failed,
        swap("harness.gates.answered.mean_judge.LEFT_OUT_MOST", 1.0),
        right="inconclusive",
        wrong="fail",
    ),
    Mutant(
        "mean: few moments are enough",
        too_short_for_a_mean,
        swap("harness.gates.batch_means.MEAN_MOMENTS", 1),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "max: a p99.9 in its place",
        one_slow_request,
        swap("harness.gates.answered.mean_judge._answered", _without_the_slowest),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "cpu: divided by the planned arrivals, not by what ended",
        half_dropped,
        swap("harness.gates.readings.growth.Outcome", _NOTHING_DROPPED),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "cpu: a counter that fell counts as known",
        a_worker_ended,
        swap("harness.gates.readings.growth.increase", lambda before, after: abs(after - before)),
        right="inconclusive",
        wrong="fail",
    ),
    Mutant(
        "log: divided by the planned arrivals, not by what ended",
        a_log_of_half_the_requests,
        swap("harness.gates.readings.growth.Outcome", _NOTHING_DROPPED),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "log: what was written before the file was cut short is forgotten",
        a_log_begun_anew,
        swap("harness.gates.readings.per_request_judge.growth", _as_if_nothing_fell),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "log: processor time read in its place",
        a_talkative_service,
        lambda patch: patch.setitem(FIGURES, "log", "cpu_s"),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "log: few readings are enough",
        a_log_seldom_looked_at,
        swap("harness.gates.readings.per_request_judge.READINGS_LEAST", 1),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "metric: a gauge's mean for its highest reading",
        a_full_pool,
        swap("harness.gates.readings.metric_judge._level", _mean_level),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "metric: a series that never came passes",
        no_such_metric,
        swap("harness.gates.readings.metric_judge._usage", lambda *_: Growth(0.0, 1, 9, fell=False)),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "ttfb: the last byte for the first",
        slow_bodies,
        swap("harness.gates.latency_judge.latency_of", lambda _, window: window.latency_ns),
        right="pass",
        wrong="fail",
    ),
    Mutant(
        "ttfb: no first byte taken for an early one",
        no_first_bytes,
        swap("harness.gates.latency_judge._latencies", lambda gate, pool: [w.latency_ns for w in _windows(gate, pool)]),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "complete N/M: faulted upstreams are excused",
        quorum_missed,
        swap("harness.gates.shares.complete.CompleteGate.incomplete", lambda _, run, window: ~complete(run, window)),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "complete of one upstream: every upstream counts",
        bystander_lost,
        swap("harness.gates.shares.complete.CompleteGate.incomplete", lambda _, run, window: ~complete(run, window)),
        right="pass",
        wrong="fail",
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    mutant.changes_a_verdict(tmp_path)


@pytest.mark.parametrize(
    ("mistake", "patch", "wrong"),
    [
        (
            "main taken for exact",
            swap("harness.gates.shares.share_bounds.bounds_of", lambda share, *_: (share.exceeded / share.n,) * 2),
            "fail",
        ),
        (
            "main's bounds swapped",
            swap("harness.gates.shares.share_bounds.bounds_of", lambda *args: tuple(reversed(bounds_of(*args)))),
            "fail",
        ),
    ],
)
def test_mistakes_about_main_change_a_verdict(mistake: str, patch: Patch, wrong: str, tmp_path: Path) -> None:
    somewhat_worse_than_main().write(tmp_path)
    as_main(tmp_path)
    assert verdict.judge(Evidence.load(tmp_path)).gates[0].verdict == "inconclusive"
    with pytest.MonkeyPatch.context() as mutated:
        patch(mutated)
        assert verdict.judge(Evidence.load(tmp_path)).gates[0].verdict == wrong, mistake


def test_comparing_the_throughput_of_other_rates_is_a_mistake(tmp_path: Path) -> None:
    record(make_plan(gates=["throughput > 0.8x main"], duration_ms=300_000, rate_per_s=50.0)).write(tmp_path)
    as_main(tmp_path)
    assert verdict.judge(Evidence.load(tmp_path)).gates[0].verdict == "inconclusive"
    with pytest.MonkeyPatch.context() as mutated:
        mutated.setattr("harness.gates.throughput_limits.other_rate", lambda *_: "")
        assert verdict.judge(Evidence.load(tmp_path)).gates[0].verdict == "pass"


def test_a_run_of_another_machine_taken_for_comparable_is_a_mistake(tmp_path: Path) -> None:
    made = record(make_plan(gates=["throughput > 0.8x main"], duration_ms=300_000))
    made.yardstick = Yardstick(before_ms=300.0, after_ms=301.0)
    made.write(tmp_path)
    as_main(tmp_path)
    assert verdict.judge(Evidence.load(tmp_path)).gates[0].verdict == "inconclusive"
    with pytest.MonkeyPatch.context() as mutated:
        mutated.setattr("harness.gates.reference.main.machine_difference", lambda *_: "")
        assert verdict.judge(Evidence.load(tmp_path)).gates[0].verdict == "pass"
