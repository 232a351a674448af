"""A real partner that answers nothing but errors: the run may pass, and says so in every output."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.rundir.planned.forwarding import ForwardSpec
from harness.rundir.results import Results
from harness.rundir.rows import FLAG_ORIGIN_FAILED
from tests.rundir.recording import T0_NS, make_plan, record, slow_fault

FAULT_BEGINS_NS = T0_NS + 35_000 * 1_000_000


def judged(folder: Path, *, status: int, share: float = 1.0, before: int | None = None, flags: int = 0) -> Results:
    """azure is real and gives this share of its calls the status. `before`: so many calls came before the fault."""
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 3s"])
    made = record(plan, policy="timeout")
    azure, *others = plan.upstreams
    forward = ForwardSpec(scheme="http", host="127.0.0.1", port=1)
    real = azure.model_copy(update={"kind": "real", "fake": None, "forward": forward})
    made.plan = plan.model_copy(update={"upstreams": (real, *others)})
    own = (made.calls["upstream"] == 0).nonzero()[0]
    bad = own[: round(share * len(own))] if share < 1 else own
    made.calls["status"][bad] = status
    made.calls["flags"][bad] |= flags
    if before is not None:
        early = own[made.calls["arrived_ns"][own] < FAULT_BEGINS_NS]
        keep = [index for index in range(len(made.calls)) if index not in set(early[before:].tolist())]
        made.calls = made.calls[keep]
    return verdict.write(made.write(folder))


@pytest.mark.parametrize("status", [400, 404, 401, 503])
def test_it_is_noted_and_comes_before_ci(status: int, tmp_path: Path) -> None:
    results = judged(tmp_path / "run", status=status)
    assert results.verdict == "pass"
    (note,) = results.origins
    assert (note.upstream, note.kind, note.text) == ("azure", "errors", str(status))
    assert note.calls >= 1_000
    assert any(f"with status {status} before any fault" in said for said in results.notes)
    assert "Keep it in CI" not in results.next and f"azure answered {status}" in results.next


@pytest.mark.parametrize(
    "harmless",
    [
        {"status": 200},
        {"status": 302},
        {"status": 404, "share": 0.2},  # of all calls, those before the fault among them
        {"status": 404, "before": 9},
        {"status": 502, "flags": FLAG_ORIGIN_FAILED},  # told of as `no_answer`
    ],
    ids=str,
)
def test_what_is_no_reason_for_a_note(harmless: dict[str, int], tmp_path: Path) -> None:
    results = judged(tmp_path / "run", **harmless)
    assert results.origins == ()


def test_a_fake_has_notes_of_its_own(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 3s"]), policy="timeout")
    made.calls["status"][made.calls["upstream"] == 0] = 404
    assert verdict.write(made.write(tmp_path / "run")).origins == ()
