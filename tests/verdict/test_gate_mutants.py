"""Mistakes that the gates of one kind each could make: each is really made and seen to change a verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.evidence.completeness import complete
from harness.rundir.rows import Outcome
from tests.rundir.recording import Recording, make_plan, record, slow_fault
from tests.verdict.test_mutants import Mutant, swap


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


MUTANTS = (
    Mutant(
        "= 0: one failure in thousands let pass",
        one_failure,
        swap("harness.gates.shares.none_of.counted", lambda _: lambda _, window: np.zeros(len(window.samples), bool)),
        right="fail",
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
    run = Evidence.load(mutant.make().write(tmp_path))
    assert verdict.judge(run).verdict == mutant.right
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        assert verdict.judge(Evidence.load(tmp_path)).verdict == mutant.wrong
