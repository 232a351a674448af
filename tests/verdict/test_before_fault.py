"""What was wrong before a fault came is not the fault's: the *why* says so and blames nobody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.cli.display.summary import run_lines
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault


def made_up(gates: Sequence[str]) -> Recording:
    return record(make_plan(faults=[slow_fault()], gates=gates), policy="timeout")


def share_of(made: Recording, share: float, *, from_ms: float = -1e9, to_ms: float = 1e9) -> Any:
    """Evenly spread requests of a stretch of time."""
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    spread = np.floor(np.arange(1, len(t_ms) + 1) * share) > np.floor(np.arange(len(t_ms)) * share)
    return spread & (t_ms >= from_ms) & (t_ms < to_ms)


def refuse(made: Recording, which: Any, status: int = 403) -> Recording:
    """As of a service that fails at once."""
    made.samples["outcome"][which] = Outcome.HTTP_ERROR
    made.samples["status"][which] = status
    made.samples["answered"][which] = 0
    made.samples["done_ns"][which] = made.samples["sent_ns"][which] + 3_000_000
    return made


def judged(made: Recording, tmp_path: Path) -> Results:
    return verdict.write(made.write(tmp_path / "run"))


def blames_nobody(results: Results) -> bool:
    said = " ".join((results.reason, results.why, results.next))
    return "azure:" not in said and "slowest" not in said


def test_a_service_that_answers_403_from_the_start_is_told_so(tmp_path: Path) -> None:
    made = made_up(["p99 < gateway.timeout during azure-slow", "errors < 1% during azure-slow"])
    results = judged(refuse(made, share_of(made, 1.0)), tmp_path)
    assert results.verdict == "fail"
    assert "did not in the baseline either, before any fault" in results.reason
    assert "Every request of the baseline was answered with 403" in results.why
    assert "does it accept these requests" in results.next
    assert blames_nobody(results)
    assert [gate.as_before for gate in results.gates] == [True, True, False]


def test_what_failed_at_once_is_not_told_as_cut_off_by_the_timeout(tmp_path: Path) -> None:
    made = made_up(["p99 < 10s during azure-slow"])
    results = judged(refuse(made, share_of(made, 1.0)), tmp_path)
    gate = results.gates[0]
    assert (gate.observed, gate.censored_at_ms, gate.failed_at_rank) == (None, None, True)
    text = "\n".join(run_lines(results, tmp_path))
    assert "an error" in text
    assert "≥" not in text


@pytest.mark.parametrize(("timeouts", "told"), [(0.05, True), (0.005, False)], ids=["many timeouts", "few timeouts"])
def test_a_quantile_is_cut_off_where_the_request_at_its_rank_was_held(
    tmp_path: Path, timeouts: float, told: bool
) -> None:
    made = made_up(["p99 < 1500ms during azure-slow"])
    refuse(made, share_of(made, 0.5, from_ms=35_000))
    late = share_of(made, timeouts, from_ms=35_000)
    made.samples["outcome"][late] = Outcome.GATEWAY_TIMEOUT
    made.samples["done_ns"][late] = made.samples["intended_ns"][late] + 2_000_000_000
    gate = judged(made, tmp_path).gates[0]
    assert (gate.censored_at_ms == 2_000.0) is told
    assert gate.failed_at_rank is not told


def test_what_a_fault_made_worse_is_still_the_faults(tmp_path: Path) -> None:
    made = made_up(["errors < 1% during azure-slow"])
    refuse(made, share_of(made, 0.02))
    refuse(made, share_of(made, 1.0, from_ms=35_000, to_ms=97_000))
    results = judged(made, tmp_path)
    assert "azure: latency 60s" in results.reason
    assert not results.gates[0].as_before


def test_a_share_that_only_chance_moved_is_as_before(tmp_path: Path) -> None:
    made = made_up(["errors < 1% during azure-slow"])
    refuse(made, share_of(made, 0.30, to_ms=34_000))
    refuse(made, share_of(made, 0.31, from_ms=34_000))
    results = judged(made, tmp_path)
    assert results.gates[0].as_before
    assert "did not end ok" in results.why
    assert blames_nobody(results)


def test_a_gate_that_held_before_is_not_as_before(tmp_path: Path) -> None:
    made = made_up(["errors < 1% during azure-slow"])
    refuse(made, share_of(made, 0.2, from_ms=35_000, to_ms=97_000))
    assert not judged(made, tmp_path).gates[0].as_before


def test_an_upstream_that_was_never_in_the_answers_is_named(tmp_path: Path) -> None:
    made = made_up(["complete > 99% during azure-slow"])
    made.samples["answered"] &= np.uint64(~(1 << 2) & (2**64 - 1))
    results = judged(made, tmp_path)
    assert results.verdict == "fail"
    assert "aws was in none of its" in results.why
    assert blames_nobody(results)
    assert "`asks`" in results.next


def test_the_gate_that_a_fault_broke_speaks_first(tmp_path: Path) -> None:
    made = made_up(["complete > 99% during azure-slow", "p99 < 500ms during azure-slow"])
    made.samples["answered"] &= np.uint64(~(1 << 2) & (2**64 - 1))
    results = judged(made, tmp_path)
    assert [gate.as_before for gate in results.gates[:2]] == [True, False]
    assert "azure: latency 60s" in results.reason
    assert "p99 was" in results.reason


def test_a_gate_on_the_baseline_itself_is_not_compared_with_itself(tmp_path: Path) -> None:
    made = made_up(["errors < 1% during baseline"])
    results = judged(refuse(made, share_of(made, 1.0)), tmp_path)
    assert results.verdict == "fail"
    assert not results.gates[0].as_before


def test_throughput_and_calls_are_compared_too(tmp_path: Path) -> None:
    made = made_up(["throughput > 60/s during azure-slow", "calls < 2 during azure-slow"])
    results = judged(made, tmp_path)
    assert [gate.verdict for gate in results.gates[:2]] == ["fail", "fail"]
    assert [gate.as_before for gate in results.gates[:2]] == [True, True]
