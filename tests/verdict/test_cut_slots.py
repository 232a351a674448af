"""Arrivals dropped for want of slots of ours: a verdict stands only if it does not depend on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, Recording, make_plan, record


def cut(gate: str, *, cut_slots: bool = True) -> Recording:
    plan = make_plan(gates=[gate])
    load = plan.load.model_copy(update={"slots_cut": cut_slots})
    return record(plan.model_copy(update={"load": load}))


def drop(recording: Recording, every: int, outcome: Outcome = Outcome.DROPPED) -> Recording:
    which = np.flatnonzero((recording.samples["seq"] % every == 0) & (recording.samples["intended_ns"] >= T0_NS))
    recording.samples["outcome"][which] = outcome
    recording.samples["status"][which] = 0
    recording.samples["answered"][which] = 0
    recording.samples["done_ns"][which] = recording.samples["sent_ns"][which] = recording.samples["intended_ns"][which]
    gone = np.isin(recording.calls["seq"], recording.samples["seq"][which])
    recording.calls = recording.calls[~gone]
    return recording


def judged(recording: Recording, run_dir: Path) -> Results:
    return verdict.write(recording.write(run_dir))


def test_a_fail_that_rests_on_them_is_the_rigs(tmp_path: Path) -> None:
    results = judged(drop(cut("errors < 1%"), every=10), tmp_path)
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert "found none of the 2,000 slots that the open-file limit allows" in results.reason
    assert "whether `errors < 1%` holds depends on" in results.reason
    assert "ulimit -Hn" in results.next


def test_where_slots_sufficed_it_is_the_services(tmp_path: Path) -> None:
    assert judged(drop(cut("errors < 1%", cut_slots=False), every=10), tmp_path).verdict == "fail"


def test_a_fail_that_holds_with_all_of_them_ok_stands(tmp_path: Path) -> None:
    recording = drop(cut("errors < 1%"), every=10)
    slow = (recording.samples["seq"] % 10 == 3) & (recording.samples["intended_ns"] >= T0_NS)
    recording.samples["outcome"][slow], recording.samples["status"][slow] = Outcome.HTTP_ERROR, 500
    assert judged(recording, tmp_path).verdict == "fail"


def test_a_pass_that_holds_with_all_of_them_slow_stands(tmp_path: Path) -> None:
    assert judged(drop(cut("p90 < 1s"), every=100), tmp_path).verdict == "pass"


@pytest.mark.parametrize("gate", ["dropped < 1%", "throughput > 38/s", "complete > 95%", "p95 < 1s"])
def test_whatever_the_gate_counts(tmp_path: Path, gate: str) -> None:
    assert judged(cut(gate), tmp_path / "none").verdict == "pass", "without any"
    results = judged(drop(cut(gate), every=8), tmp_path / "many")
    assert results.verdict == "rig_failure", results.reason


def test_fewer_calls_because_fewer_were_sent_are_no_pass(tmp_path: Path) -> None:
    """Three calls per arrival that was sent; a third of the arrivals was not."""
    results = judged(drop(cut("calls < 2.5"), every=3), tmp_path)
    assert results.verdict == "rig_failure", results.reason
