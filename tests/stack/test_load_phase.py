"""How long before the first arrival the workers hear of it."""

from __future__ import annotations

import pytest

from harness.rundir.handshake import POLL_S
from harness.stack.load.phase import START_AHEAD_MS, WARMUP_AHEAD_MS, WARMUP_LEAST_MS, ahead_ms
from tests.rundir.recording import make_plan


@pytest.mark.parametrize(
    ("warmup_ms", "expected_ms"),
    [(0, START_AHEAD_MS), (WARMUP_LEAST_MS - 1, START_AHEAD_MS), (WARMUP_LEAST_MS, WARMUP_AHEAD_MS)],
)
def test_a_warmup_needs_less_notice_than_what_is_measured(warmup_ms: float, expected_ms: int) -> None:
    assert ahead_ms(make_plan(warmup_ms=warmup_ms)) == expected_ms


def test_workers_look_several_times_before_the_first_arrival() -> None:
    assert WARMUP_AHEAD_MS >= 4 * POLL_S * 1000
