"""What is said where several gates failed: the others by name, and what the service held as a likely reason."""

from __future__ import annotations

from harness.rundir.results import GateResult
from harness.verdict.explanations import also_failed, next_of_cost


def failed(metric: str, reason: str) -> GateResult:
    return GateResult(
        id="g1", text=f"{metric} < 1", line=1, metric=metric, phase="whole", verdict="fail", reason=reason, limit=1.0,
        unit="count", op="<", observed=2.0, low=None, high=None, n=1, exceeded=1, deflation=None, withstands_ms=None,
    )  # fmt: skip


THREADS = failed("threads", "threads reached 271 at 12.3 s of azure-slow; the limit is 200")
COMPLETE = failed("complete", "none was")
P99 = failed("p99", "slow")


def test_the_other_gates_that_failed_are_named_and_counted() -> None:
    assert also_failed([]) == ""
    assert also_failed([P99]) == " `p99 < 1` failed as well."
    told = " `threads < 1` failed as well: threads reached 271 at 12.3 s of azure-slow"
    assert also_failed([THREADS]) == f"{told}."
    assert also_failed([THREADS, P99, P99]) == f"{told}, and 2 more."


def test_threads_that_never_return_are_pointed_at_where_answers_went_missing() -> None:
    assert "thread" in next_of_cost(COMPLETE, [P99, THREADS])
    assert next_of_cost(COMPLETE, [P99]) == ""
    assert next_of_cost(THREADS, [failed("sockets", "many")]) == "", "the first one's own advice stands already"
