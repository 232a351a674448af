"""What one upstream's canaries show, and when: observed during the window and not before, free after it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.rundir.canaries import Freed
from harness.rundir.journal import Entry
from harness.rundir.planned.fault import PlannedFault
from harness.stack.monitor.canary_observations import FAILING_MS, IDLE_DEADLINE_MS, MARGIN_MS, CanaryObservations
from harness.units import NS_PER_MS
from tests.toxiproxy.test_canary_record import canary
from tests.toxiproxy.world import FAILED, HELD, fault, latency

SLOW = fault(latency(), name="slow")
DOWN = fault(name="down", down=True, proof=FAILED)
SOME = fault(latency(), name="some", share=0.1)


class Watched:
    def __init__(self, *faults: PlannedFault, baseline: int = 5) -> None:
        self.sightings = CanaryObservations("azure", faults)
        for number in range(baseline):
            assert self.see(number * 500, 10) == []

    def note(self, event: Any, at_ms: float, name: str = "slow", window: int = 0) -> None:
        t_ns = round(at_ms * NS_PER_MS)
        self.sightings.note(Entry(fault=name, window=window, upstream="azure", event=event, t_ns=t_ns))

    def apply(self, at_ms: float, name: str = "slow", window: int = 0) -> None:
        self.note("requested", at_ms - 5, name, window)
        self.note("applied", at_ms, name, window)

    def remove(self, at_ms: float, name: str = "slow", window: int = 0) -> None:
        self.note("removing", at_ms, name, window)
        self.note("removed", at_ms + 5, name, window)

    def see(self, sent_ms: float, elapsed_ms: float, outcome: Any = "ok") -> list[tuple[str, str, int]]:
        """(observed or freed, fault, window) of what this canary shows for the first time."""
        shown = self.sightings.see(canary(elapsed_ms, outcome, sent_ms=sent_ms))
        return [("freed" if isinstance(each, Freed) else each.event, each.fault, each.window) for each in shown]


def test_a_slow_upstream_is_observed_once_and_free_once() -> None:
    watched = Watched(SLOW)
    watched.apply(10_000)
    assert watched.see(10_050, 2_260, "held") == []
    assert watched.see(10_100, 2_260, "held") == [("observed", "slow", 0)]
    assert watched.see(10_600, 2_260, "held") == []
    watched.remove(20_000)
    assert watched.sightings.pending
    assert watched.see(20_100, 10) == [("freed", "slow", 0)]
    assert not watched.sightings.pending
    assert watched.see(20_600, 10) == []


def test_each_window_is_proven_for_itself() -> None:
    watched = Watched(DOWN)
    for window, start in enumerate((10_000, 20_000)):
        watched.apply(start, "down", window)
        assert watched.see(start + 10, 1, "failed") == [("observed", "down", window)]
        watched.remove(start + 1_000, "down", window)
        assert watched.see(start + 1_100, 10) == [("freed", "down", window)]


def test_a_toxic_that_does_nothing_is_never_observed() -> None:
    watched = Watched(SLOW, DOWN, SOME)
    for name in ("slow", "down", "some"):
        watched.apply(10_000, name)
    assert [watched.see(10_000 + each * 500, 12) for each in range(40)] == [[]] * 40


def test_what_was_slow_before_proves_nothing() -> None:
    watched = Watched(SLOW)
    assert watched.see(9_000, 2_500) == []
    watched.apply(10_000)
    assert watched.see(9_990, 2_500) == []
    assert watched.see(9_995, 2_500) == []
    assert watched.see(10_010, 2_500) == []
    assert watched.see(10_020, 2_500) == [("observed", "slow", 0)]


def test_what_failed_before_any_was_well_proves_nothing() -> None:
    watched = Watched(DOWN, baseline=0)
    assert watched.see(1_000, 1, "failed") == []
    watched.apply(10_000, "down")
    assert watched.see(10_100, 1, "failed") == []


def test_a_canary_let_go_by_the_removal_counts_neither_way() -> None:
    watched = Watched(SLOW)
    watched.apply(10_000)
    watched.see(10_100, 2_260, "held")
    watched.remove(12_000)
    assert watched.see(11_900, 120) == []
    assert watched.see(11_950, 2_300, "held") == [("observed", "slow", 0)]


def test_a_share_is_observed_by_any() -> None:
    watched = Watched(SOME)
    watched.apply(10_000, "some")
    assert watched.see(10_100, 10) == []
    assert watched.see(10_600, 2_260, "held") == [("observed", "some", 0)]


def test_canaries_under_a_fault_do_not_move_the_baseline() -> None:
    watched = Watched(SLOW)
    watched.apply(10_000)
    for each in range(40):
        watched.see(10_100 + each * 500, 1_500)
    assert watched.sightings.baseline_ms == 10


def test_a_backend_that_stays_slow_or_gone_is_not_free() -> None:
    watched = Watched(SLOW)
    watched.apply(10_000)
    watched.remove(20_000)
    assert watched.see(20_100, 2_500) == []
    assert watched.see(20_600, 1, "failed") == []
    assert watched.sightings.pending


def test_one_fault_is_not_free_while_another_stands() -> None:
    watched = Watched(SLOW, DOWN)
    watched.apply(10_000)
    watched.apply(15_000, "down")
    watched.remove(20_000)
    assert watched.see(20_100, 1, "failed") == [("observed", "down", 0)]
    watched.remove(25_000, "down")
    assert watched.see(25_100, 10) == [("freed", "slow", 0), ("freed", "down", 0)]


def test_a_fault_that_was_not_applied_is_neither_observed_nor_awaited() -> None:
    watched = Watched(SLOW)
    watched.note("requested", 10_000)
    watched.note("failed", 10_010)
    assert watched.see(10_100, 5_000, "held") == []
    assert watched.see(10_600, 5_000, "held") == []
    assert not watched.sightings.pending


@pytest.mark.parametrize(
    ("faults", "deadline_ms"),
    [
        ((SLOW,), 10 + 2_000 + MARGIN_MS),
        ((DOWN,), 10 + FAILING_MS + MARGIN_MS),
        ((fault(latency(100), name="slow", proof=HELD.model_copy(update={"least_ms": 100})),), 110 + MARGIN_MS),
        ((SLOW, DOWN), 10 + FAILING_MS + MARGIN_MS),
    ],
)
def test_a_canary_is_given_as_long_as_it_needs_to_see_the_fault(
    faults: tuple[PlannedFault, ...], deadline_ms: float
) -> None:
    watched = Watched(*faults)
    assert watched.sightings.deadline_ms() == IDLE_DEADLINE_MS
    for each in faults:
        watched.apply(10_000, each.name)
    assert watched.sightings.deadline_ms() == deadline_ms
    for each in faults:
        watched.remove(20_000, each.name)
    assert watched.sightings.deadline_ms() == IDLE_DEADLINE_MS
