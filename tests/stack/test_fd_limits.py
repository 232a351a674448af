"""Open files: a plan that the limit cannot hold is refused with the number it needs; who runs out of them is told."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.stack.processes.fd_limits import almost_full, fd_demands, fit_slots, full, refuse_too_many, slots_note
from harness.stack.processes.ports import PortLease
from tests.stack.stack_scene import make_plan

RUN_ID = "20010101-000000-abcd"


def _files(tmp_path: Path, **options: object) -> dict[str, int]:
    with PortLease(tmp_path / "locks") as lease:
        return {need.who: need.files for need in fd_demands(make_plan(lease, RUN_ID, **options))}  # type: ignore[arg-type]


def test_what_hangs_is_counted_on_both_sides_of_toxiproxy(tmp_path: Path) -> None:
    calm, broken = _files(tmp_path, upstreams=2), _files(tmp_path, upstreams=2, latency_ms=7_000)
    held_ms, cap_ms, in_flight = 2_000, 7_000, 200
    assert broken["the fake backends"] - calm["the fake backends"] == -(-in_flight * held_ms // cap_ms)
    assert broken["Toxiproxy"] - calm["Toxiproxy"] == 2 * -(-in_flight * held_ms // cap_ms)
    assert broken["the gateway"] == calm["the gateway"] > 2 * in_flight


def test_workers_share_the_requests(tmp_path: Path) -> None:
    one, four = _files(tmp_path), _files(tmp_path, workers=4)
    assert one["a Locust worker"] - four["a Locust worker"] == 150


def test_without_a_gateway_or_upstreams_nothing_is_needed_for_them(tmp_path: Path) -> None:
    assert set(_files(tmp_path, upstreams=0, gateway="none")) == {"tailgate and its supervisor", "a Locust worker"}


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ((4096, 4096), None),
        ((256, 100_000), None),
        ((256, resource.RLIM_INFINITY), None),
        ((256, 300), r"the gateway may need 464 open files, .* allows 300\nfix: ulimit -Hn 464 .*max_in_flight"),
        ((40, 4096), r"tailgate and its supervisor may need 77 open files, .* 40\nfix: ulimit -n 77"),
    ],
)
def test_a_limit_that_is_too_low_is_named_with_the_number_needed(
    tmp_path: Path, limits: tuple[int, int], says: str | None
) -> None:
    with PortLease(tmp_path / "locks") as lease:
        plan = make_plan(lease, RUN_ID)
    if says is None:
        refuse_too_many(plan, limits)
        return
    with pytest.raises(UsageError) as caught:
        refuse_too_many(plan, limits)
    assert re.match(says, str(caught.value)), caught.value


def test_a_child_that_is_about_to_run_out_is_told() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert not almost_full(None)
    assert not almost_full(10)
    if hard != resource.RLIM_INFINITY:
        assert almost_full(hard)
        assert not almost_full(hard // 2)
    assert "toxiproxy has 4,090 open files" in full("toxiproxy", 4090).message


def test_slots_are_cut_to_what_the_limit_allows(tmp_path: Path) -> None:
    with PortLease(tmp_path / "locks") as lease:
        plan = make_plan(lease, RUN_ID, upstreams=2, latency_ms=7_000)
    assert fit_slots(plan, (256, resource.RLIM_INFINITY)) is plan
    assert fit_slots(plan, (256, 100_000)) is plan
    fitted = fit_slots(plan, (256, 300))
    assert fitted.load.slots_cut and 0 < fitted.load.max_in_flight < plan.load.max_in_flight
    refuse_too_many(fitted, (256, 300))
    one_more = fitted.load.model_copy(update={"max_in_flight": fitted.load.max_in_flight + 1})
    with pytest.raises(UsageError):
        refuse_too_many(fitted.model_copy(update={"load": one_more}), (256, 300))
    note = slots_note(fitted)
    assert note and f"allows {fitted.load.max_in_flight} requests in flight" in note
    assert slots_note(plan) is None


def test_a_limit_that_allows_no_slot_at_all_is_refused_as_before(tmp_path: Path) -> None:
    with PortLease(tmp_path / "locks") as lease:
        plan = make_plan(lease, RUN_ID)
    assert fit_slots(plan, (256, 60)) is plan
