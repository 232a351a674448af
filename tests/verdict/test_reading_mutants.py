"""Mistakes about readings of the service's resources: each is really made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, swap


def holding(gate: str, **unusual: Callable[[float], object]) -> Recording:
    """A service looked at once a second; `unusual` gives some of its figures at that second."""
    made = record(make_plan(faults=[slow_fault()], gates=[gate]), policy="timeout")
    made.resources = [
        {"t_ns": T0_NS + round(second * 1e9), "child": "sut", "rss_bytes": 80_000_000, "threads": 20}
        | {name: figure(second) for name, figure in unusual.items()}
        for second in range(112)
    ]
    return made


def as_many_threads_as_the_limit() -> Recording:
    return holding("threads < 20 during azure-slow")


def a_moment_of_many_threads() -> Recording:
    return holding("threads < 100 during azure-slow", threads=lambda second: 271 if second == 60 else 20)


def nobody_looked() -> Recording:
    made = holding("threads < 100 during azure-slow")
    made.resources = [line for line in made.resources if not 60 <= (line["t_ns"] - T0_NS) / 1e9 < 80]
    return made


def threads_that_return() -> Recording:
    return holding("threads < 100 after azure-slow", threads=lambda second: 271 if 60 <= second < 100 else 20)


MUTANTS = (
    Mutant(
        "`<=` for `<` of what the service holds",
        as_many_threads_as_the_limit,
        swap("harness.gates.readings.resource_judge.exceeds", lambda value, limit: value > limit),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "a mean for the highest reading",
        a_moment_of_many_threads,
        swap("harness.gates.readings.resource_judge._Usage.highest", property(lambda held: float(held._values.mean()))),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "readings that are missing taken for held",
        nobody_looked,
        swap("harness.gates.readings.resource_judge._Usage.unknown", lambda *_: ""),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "what is still held just after a fault held against the service",
        threads_that_return,
        swap("harness.evidence.resources.ResourceSeries.last", lambda self, *_, **__: self),
        right="pass",
        wrong="fail",
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    mutant.changes_a_verdict(tmp_path)
