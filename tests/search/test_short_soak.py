"""Which soak is proposed instead of one that is too short."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.search.answers.short_soak import refuse_short_soak
from tests.rundir.recording import make_plan


@pytest.mark.parametrize(
    ("gate", "soak_ms", "fix"),
    [
        ("p99 < 2s", 15_000, "give --soak 29.9s or longer, or nothing (2m)"),
        ("p99.9 < 1s", 120_000, "give --soak 299.5s or longer"),
    ],
)
def test_the_usual_soak_is_proposed_only_where_it_is_long_enough(gate: str, soak_ms: float, fix: str) -> None:
    plan = make_plan(gates=[gate])
    with pytest.raises(UsageError) as caught:
        refuse_short_soak(plan, plan.gates, soak_ms, None)
    assert caught.value.fix == fix
