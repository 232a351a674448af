"""Mistakes about which upstream the service named, and when: each is really made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.evidence.detections.recorded import Cleared
from harness.gates.detection import named_judge
from harness.rundir.detections import Detection
from harness.stack.detection.log_matcher import LogParser, UpstreamMatcher
from harness.units import NS_PER_S
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, swap


def named_by(gate: str, *seconds: tuple[float, str]) -> Recording:
    """azure is slow from 35 s to 97 s; who was named when."""
    made = record(make_plan(faults=[slow_fault()], gates=[gate], duration_ms=140_000), policy="timeout")
    made.detections = [
        Detection(t_ns=T0_NS + round(at_s * 1e9), upstream=name, source="log", text=name) for at_s, name in seconds
    ]
    return made


def named_at_the_limit() -> Recording:
    return named_by("named azure within 5s", (40.0, "azure"))


def named_late() -> Recording:
    return named_by("named azure within 5s", *((at_s, "azure") for at_s in (45.0, 36.0)))


def never_named() -> Recording:
    return named_by("named azure within 5s")


def a_healthy_one_named() -> Recording:
    return named_by("named azure within 5s", (36.0, "azure"), (60.0, "gcp"))


def always_named() -> Recording:
    return named_by("named azure within 5s", *((float(at_s), "azure") for at_s in range(5, 100)))


def cleared_late() -> Recording:
    return named_by("cleared within 30s after azure-slow", (36.0, "azure"), (100.0, "azure"), (130.0, "azure"))


def never_raised() -> Recording:
    return named_by("cleared within 30s after azure-slow")


def _up_to_the_limit(patch: pytest.MonkeyPatch) -> None:
    after_ms = named_judge._FaultWindow.after_ms
    patch.setattr(named_judge._FaultWindow, "after_ms", lambda self, t_ns: after_ms(self, t_ns) - 0.001)


def _last_for_first(seen: Any, **keywords: Any) -> Any:
    return max(seen, **keywords) if "key" in keywords else min(seen, **keywords)


def _of_nothing_pass(patch: pytest.MonkeyPatch) -> None:
    window = named_judge._window

    def passing(look: Any) -> Any:
        outcome = window(look)
        seen = look.detections.between(look.begin_ns, look.end_ns)
        return outcome if seen else replace(outcome, verdict="pass")

    patch.setattr(named_judge, "_window", passing)


def _first_for_last(run: Evidence, upstream: str, _source: Any, removed_ns: int, end_ns: int) -> Any:
    assert run.detections is not None
    first = run.detections.between(removed_ns, end_ns, upstream)[0]
    return Cleared(first.t_ns, first)


def _as_if_it_had_been_named(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("harness.evidence.detections.recorded.Detections.between", lambda *_: _Anything())
    patch.setattr("harness.evidence.detections.baseline.BaselineDetections.news", lambda *_: [True])


class _Anything(list[Any]):
    """Empty, and true."""

    def __bool__(self) -> bool:
        return True


TRACEBACK = (
    "ERROR offers: azure did not answer",
    "Traceback (most recent call last):",
    '  File "/app/lambda.py", line 19, in lambda',
    "    items = list(heapq.merge(*offers, key=lambda i: i.price))",
    "TimeoutError: no answer in time",
)


def logs_a_traceback() -> Recording:
    """azure is named at once, and lambda stands in the source of the traceback below."""
    plan = make_plan(upstreams=("azure", "lambda"), faults=[slow_fault()], gates=["named azure within 5s"])
    made = record(plan, policy="timeout")
    blame = LogParser(UpstreamMatcher(plan.upstreams))
    made.detections = [
        Detection(t_ns=T0_NS + 36 * NS_PER_S + number, upstream=name, source="log", text=line)
        for number, line in enumerate(TRACEBACK)
        for name in blame.named(line)
    ]
    return made


MUTANTS = (
    Mutant("named: `<=` for `<`", named_at_the_limit, _up_to_the_limit, right="fail", wrong="pass"),
    Mutant(
        "named: the last sighting for the first",
        named_late,
        lambda patch: patch.setattr(named_judge, "min", _last_for_first, raising=False),
        right="pass",
        wrong="fail",
    ),
    Mutant("named: nobody named, so nobody named late", never_named, _of_nothing_pass, right="fail", wrong="pass"),
    Mutant(
        "named: a healthy one named is overlooked",
        a_healthy_one_named,
        swap("harness.gates.detection.named_judge.is_explained", lambda *_: True),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "named: a bell that always rings is believed",
        always_named,
        swap("harness.evidence.detections.baseline.BaselineDetections.news", lambda _, seen, __: list(seen)),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "cleared: the first sighting for the last",
        cleared_late,
        swap("harness.evidence.detections.recorded.cleared", _first_for_last),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "cleared: what was never raised has cleared",
        never_raised,
        _as_if_it_had_been_named,
        right="inconclusive",
        wrong="pass",
    ),
)


def test_a_traceback_that_names_is_a_mistake_too(tmp_path: Path) -> None:
    assert verdict.judge(Evidence.load(logs_a_traceback().write(tmp_path / "right"))).verdict == "pass"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "harness.stack.detection.tracebacks.Tracebacks.read",
            lambda _, line: "own" if "ERROR" in line else "beneath",
        )
        patch.setattr("harness.stack.detection.log_matcher.prose", lambda line, *_: line)
        results = verdict.judge(Evidence.load(logs_a_traceback().write(tmp_path / "wrong")))
    assert results.verdict == "fail"
    assert "lambda was healthy and was named" in results.reason


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    mutant.changes_a_verdict(tmp_path)
