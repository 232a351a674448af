from __future__ import annotations

import pytest

from harness.run.progress import phase_at
from harness.rundir.phases import Phase

PHASES = (
    Phase("warmup", ((-3000.0, 0.0),)),
    Phase("baseline", ((0.0, 4000.0),)),
    Phase("guard", ((4000.0, 6000.0),)),
    Phase("azure-slow", ((6000.0, 26000.0),)),
    Phase("tail", ((26000.0, 28000.0),)),
    Phase("after azure-slow", ((28000.0, 32000.0),)),
    Phase("whole", ((0.0, 32000.0),)),
)


@pytest.mark.parametrize(
    ("t_ms", "name", "end_ms"),
    [
        (-3001, "warmup", 0),
        (-1, "warmup", 0),
        (0, "baseline", 4000),
        (4500, "guard", 6000),
        (6000, "azure-slow", 26000),
        (27999, "tail", 28000),
        (28000, "after azure-slow", 32000),
        (32000, "drain", 32000),
    ],
)
def test_every_moment_has_one_name(t_ms: float, name: str, end_ms: float) -> None:
    found = phase_at(PHASES, t_ms, 32000)
    assert (found[0], found[2]) == (name, end_ms)
