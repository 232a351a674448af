"""The verdict and the sentence of a capacity search, and its comparison with an earlier one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.rundir.results import Machine, ScenarioRef, Tool
from harness.rundir.searches.capacity import CapacityResults, Limiter, RateCurve
from harness.rundir.yardstick import Yardstick
from harness.search.answers.conclusion import compare, sentence_of, verdict_of
from harness.search.witnesses.own_cores import allowed_cores, has_quota
from tests.search.steps import step

THREADS = Limiter(kind="threads", witness="threads: 256 at 200/s and no more at 300/s")
NOT_KNOWN = Limiter(kind="not_known", witness="not known")


def curve(certified: float | None, refuted: float | None, fault: str | None = None, **fields: Any) -> RateCurve:
    known = {"ended_by": "bracket", "at_least": False, "limiter": NOT_KNOWN, **fields}
    return RateCurve(fault=fault, certified_per_s=certified, refuted_per_s=refuted, steps=(), **known)


def machine(cores: int = 2, yardstick_ms: float | None = 200.0) -> Machine:
    return Machine(cores=cores, yardstick=Yardstick(before_ms=yardstick_ms, after_ms=None) if yardstick_ms else None)


def results(*curves: RateCurve, of: Machine | None = None) -> CapacityResults:
    return CapacityResults(
        tool=Tool(version="0"), verdict="pass", exit_code=0, interrupted=False,
        scenario=ScenarioRef(name="s", file="s.yaml", sha256="0", seed=0), machine=of or machine(), confidence=0.95,
        within=0.1, sentence="", not_judged={}, curves=curves,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([curve(180, 200)], "pass"),
        ([curve(180, None, at_least=True, ended_by="to")], "pass"),
        ([curve(180, None)], "inconclusive"),
        ([curve(None, 200)], "inconclusive"),
        ([curve(180, 200), curve(None, 1, ended_by="nothing_holds")], "fail"),
        ([curve(180, 200), curve(None, None, ended_by="rig")], "rig_failure"),
        ([curve(180, None, ended_by="interrupted")], "inconclusive"),
        ([], "inconclusive"),
    ],
)
def test_the_verdict(curves: list[RateCurve], verdict: str) -> None:
    assert verdict_of(curves) == verdict


def test_the_sentence() -> None:
    both = [curve(180, 200, limiter=THREADS), curve(140, 160, "azure-slow")]
    assert sentence_of(both) == (
        "carries 180/s and not 200/s; with azure-slow on 140/s and not 160/s; "
        "what stops it in health is threads: 256 at 200/s and no more at 300/s; "
        "what stops it with azure-slow on is not known"
    )
    assert sentence_of([curve(180, 200), curve(140, 160, "azure-slow")]).endswith("160/s; what stops it is not known")
    assert sentence_of(both[:1]).endswith("200/s; what stops it is threads: 256 at 200/s and no more at 300/s")
    assert sentence_of([curve(180, None, at_least=True, ended_by="generator")]) == (
        "carries at least 180/s (the load generator ended here)"
    )
    assert sentence_of([curve(None, 1, ended_by="nothing_holds")]).startswith("carries nothing, down to 1/s")
    assert sentence_of([curve(180, 200)]).endswith("; what stops it is not known")


def test_a_search_that_ended_early_says_what_held_and_blames_nothing() -> None:
    steps = (step(60), step(80), step(144, "broke"), step(60, purpose="return"))
    early = curve(None, None, ended_by="interrupted", limiter=THREADS).model_copy(update={"steps": steps})
    assert sentence_of([early]) == (
        "carries nothing that could be certified "
        "(it ended early; up to 80/s held in short loads, which certify nothing)"
    )
    assert sentence_of([early.model_copy(update={"steps": ()})]) == "carries nothing that could be certified"


def test_it_fell_where_what_fails_now_is_well_below_what_passed_before() -> None:
    base = results(curve(180, 200))
    assert compare([curve(140, 160)], machine(), base, 0.1) == (
        "fail", "health fell: 180/s was certified before, and now 160/s fails"
    )  # fmt: skip
    verdict, told = compare([curve(165, 181)], machine(), base, 0.1)
    assert (verdict, told) == ("pass", "health: 180/s before, 165/s and not 181/s now")


@pytest.mark.parametrize(
    ("head", "verdict", "says"),
    [
        ([curve(170, None, at_least=True, ended_by="to")], "pass", "180/s before, at least 170/s now"),
        ([curve(20, None, at_least=True, ended_by="generator")], "inconclusive", "whether health fell is not known"),
        ([curve(None, None, ended_by="undecided")], "inconclusive", "whether health fell is not known"),
        ([curve(170, 190), curve(90, 100, "gcp-slow")], "pass", "azure-slow: only in the baseline"),
        ([curve(170, 190), curve(90, 100, "oci-slow")], "pass", "oci-slow: nothing is certified in the baseline"),
        ([curve(90, 100, "oci-slow")], "inconclusive", "nothing is certified in the baseline"),
    ],
)
def test_what_could_not_be_compared_is_no_pass(head: list[RateCurve], verdict: str, says: str) -> None:
    base = results(curve(180, 200), curve(100, 120, "azure-slow"), curve(None, None, "oci-slow"))
    found, told = compare(head, machine(), base, 0.1)
    assert found == verdict and says in told


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (machine(cores=4), "of a machine with 4 cores"),
        (machine(yardstick_ms=240.0), "the yardstick took 240 ms for the baseline and 200 ms now"),
        (machine(yardstick_ms=None), "no yardstick"),
    ],
)
def test_unlike_machines_are_not_compared(other: Machine, says: str) -> None:
    verdict, told = compare([curve(10, 12)], machine(), results(curve(180, 200), of=other), 0.1)
    assert verdict == "inconclusive"
    assert says in told


def test_a_baseline_of_other_curves_is_refused() -> None:
    with pytest.raises(UsageError, match="none of these curves"):
        compare([curve(10, 12)], machine(), results(curve(180, 200, "azure-slow")), 0.1)


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("50000 100000\n", 0.5), ("", None)]
)
def test_the_cores_of_a_quota_are_no_whole_number(tmp_path: Path, quota: str, cores: float | None) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    own = len(os.sched_getaffinity(0))
    assert allowed_cores(tmp_path / "cpu.max") == (own if cores is None else min(own, cores))
    assert allowed_cores(tmp_path / "none") == own
    assert has_quota(tmp_path / "cpu.max") == (cores is not None and cores < own)
