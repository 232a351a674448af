from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.phases import Phase, phases_of, planned_phases
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from tests.rundir.recording import down_fault, make_plan, slow_fault


def by_name(phases: tuple[Phase, ...]) -> dict[str, tuple[tuple[float, float], ...]]:
    return {phase.name: phase.intervals for phase in phases}


def test_one_fault_cuts_a_run_into_the_contracts_phases() -> None:
    plan = make_plan(faults=[slow_fault(apply_ms=35_000, remove_ms=97_000)], duration_ms=110_000, guard_ms=2_000)
    assert by_name(planned_phases(plan)) == {
        "warmup": ((-2_000, 0),),
        "baseline": ((0, 33_000),),
        "guard": ((33_000, 35_000),),
        "azure-slow": ((35_000, 95_000),),
        "tail": ((95_000, 97_000),),
        "after azure-slow": ((97_000, 110_000),),
        "whole": ((0, 110_000),),
    }


def test_without_faults_the_baseline_is_the_whole() -> None:
    phases = by_name(planned_phases(make_plan(duration_ms=60_000)))
    assert phases["baseline"] == phases["whole"] == ((0, 60_000),)
    assert phases["guard"] == phases["tail"] == ()


def test_a_fault_that_fails_at_once_has_no_tail() -> None:
    phases = by_name(planned_phases(make_plan(faults=[down_fault(apply_ms=35_000, remove_ms=95_000)])))
    assert phases["azure-down"] == ((35_000, 95_000),)
    assert phases["tail"] == ()


def test_after_ends_at_the_next_faults_guard() -> None:
    faults = [
        slow_fault("first", apply_ms=20_000, remove_ms=40_000),
        slow_fault("second", upstream="gcp", apply_ms=60_000, remove_ms=80_000),
    ]
    phases = by_name(planned_phases(make_plan(faults=faults, guard_ms=2_000)))
    assert phases["after first"] == ((40_000, 58_000),)
    assert phases["after second"] == ((80_000, 110_000),)
    assert phases["guard"] == ((18_000, 20_000), (58_000, 60_000))


def test_nothing_recovers_while_another_fault_stands() -> None:
    faults = [
        slow_fault("first", apply_ms=20_000, remove_ms=40_000),
        slow_fault("second", upstream="gcp", apply_ms=30_000, remove_ms=80_000),
    ]
    phases = by_name(planned_phases(make_plan(faults=faults)))
    assert phases["after first"] == ()


def test_a_repeated_fault_is_one_phase_from_first_to_last() -> None:
    windows = tuple(FaultWindow(apply_ms=t, remove_ms=t + 1_000) for t in (20_000, 30_000, 40_000))
    fault = slow_fault(held_ms=500).model_copy(update={"windows": windows})
    phases = by_name(planned_phases(make_plan(faults=[fault], guard_ms=1_000)))
    assert phases["azure-slow"] == ((20_000, 40_500),)
    assert phases["guard"] == ((19_000, 20_000), (29_000, 30_000), (39_000, 40_000))
    assert phases["after azure-slow"] == ((41_000, 110_000),)


def test_the_journals_times_replace_the_plans() -> None:
    plan = make_plan(faults=[slow_fault(apply_ms=35_000, remove_ms=97_000)])
    late = {"azure-slow": (FaultWindow(apply_ms=36_500, remove_ms=97_250),)}
    phases = by_name(phases_of(plan, late))
    assert phases["baseline"] == ((0, 34_500),)
    assert phases["azure-slow"] == ((36_500, 95_250),)


@st.composite
def timelines(draw: st.DrawFn) -> list[PlannedFault]:
    """Faults one after the other, each longer than its H, with room for a guard between them."""
    faults: list[PlannedFault] = []
    t_ms = 5_000
    for number in range(draw(st.integers(1, 4))):
        held_ms = draw(st.sampled_from([0, 500, 2_000]))
        start_ms = t_ms + draw(st.integers(1_000, 9_000))
        t_ms = start_ms + held_ms + draw(st.integers(1_000, 9_000))
        faults.append(slow_fault(f"f-{number}", apply_ms=start_ms, remove_ms=t_ms, held_ms=held_ms))
    return faults


@given(timelines(), st.integers(0, 120_000))
def test_every_moment_of_the_whole_lies_in_exactly_one_other_phase(faults: list[PlannedFault], t_ms: int) -> None:
    phases = planned_phases(make_plan(faults=faults, guard_ms=1_000, duration_ms=120_000))
    holding = [
        phase.name
        for phase in phases
        for start, end in phase.intervals
        if start <= t_ms < end and phase.name not in ("whole", "warmup")
    ]
    assert len(holding) == (1 if t_ms < 120_000 else 0)
