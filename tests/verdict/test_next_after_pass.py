"""What a PASS recommends where fakes could not answer a part of the calls, and how the advice on a rig failure ends."""

from __future__ import annotations

from harness.rundir.unmatched import Unmatched
from harness.verdict.explanations import next_passed, rig
from harness.verdict.validity import RunCheck
from tests.rundir.recording import make_plan


def line(calls: int, path: str) -> Unmatched:
    return Unmatched(upstream="cars", method="GET", path=path, status=404, calls=calls)


def test_calls_that_found_nothing_come_before_ci() -> None:
    said = next_passed(make_plan(), (), (line(300, "/v2/zones/DE"), line(19, "/x")))
    assert "319 calls" in said and "GET /v2/zones/DE of cars" in said
    assert "Keep it in CI" not in said


def test_without_such_calls_the_advice_is_as_before() -> None:
    assert "zones" not in next_passed(make_plan())


def test_advice_has_one_full_stop() -> None:
    for fix in ("mend it", "mend it."):
        _, advice = rig([RunCheck("calls", False, "nothing came", fix)])
        assert advice == "Mend it."
