"""What is said where several gates failed: the others by name, and what the service held as a likely reason."""

from __future__ import annotations

import pytest

from harness.gates import Finding
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import PlannedGate
from harness.rundir.results import Ending, UpstreamResult
from harness.verdict.explanations import Failure, advice_on_resources, also_failed, why_failed
from harness.verdict.gates import GateVerdict
from tests.rundir.recording import make_plan


def failed(text: str, reason: str, seen: str = "") -> GateVerdict:
    gate = parse_gate(text)
    finding = Finding("fail", reason, 1.0, "count", "<", FindingKind.EXCEEDED, observed=2.0, n=1, exceeded=1, seen=seen)
    return GateVerdict(PlannedGate(id="g1", text=text, line=1), gate, finding)


SEEN = "threads reached 271 at 12.3 s of azure-slow"
THREADS = failed("threads < 200", f"{SEEN}; the limit is 200", SEEN)
COMPLETE = failed("complete > 99%", "none was")
P99 = failed("p99 < 1s", "slow")


def test_the_other_gates_that_failed_are_named_and_counted() -> None:
    assert also_failed([]) == ""
    assert also_failed([P99]) == " `p99 < 1s` failed as well."
    told = " `threads < 200` failed as well: threads reached 271 at 12.3 s of azure-slow"
    assert also_failed([THREADS]) == f"{told}."
    assert also_failed([THREADS, P99, P99]) == f"{told}, and 2 more."


def test_threads_that_never_return_are_pointed_at_where_answers_went_missing() -> None:
    assert "thread" in advice_on_resources(COMPLETE, [P99, THREADS])
    assert advice_on_resources(COMPLETE, [P99]) == ""
    sockets = failed("sockets < 10", "many")
    assert advice_on_resources(THREADS, [sockets]) == "", "the first one's own advice stands already"


def slow_by(wait_ms: float, observed_ms: float | None, endings: tuple[Ending, ...]) -> Failure:
    """A failure of a latency gate whose slowest upstream kept its requests waiting for that long."""
    stock = UpstreamResult(
        name="stock", source="fake", phase="whole", calls=100, calls_per_arrival=1.0, p50_ms=wait_ms, p99_ms=wait_ms,
        slowest_share=1.0, wait_caused_ms=wait_ms,
    )  # fmt: skip
    n = sum(ending.n for ending in endings)
    finding = Finding(
        "fail", "slow", 1000.0, "ms", "<", FindingKind.EXCEEDED, observed=observed_ms, n=n, exceeded=n, endings=endings
    )
    return Failure(make_plan(), parse_gate("p90 < 1s"), finding, None, stock, endings)


def test_no_upstream_is_blamed_for_answers_that_failed_a_check() -> None:
    failure = slow_by(500.0, None, (Ending(outcome="bad_answer", n=40), Ending(outcome="slow", n=10)))
    assert "stock" not in why_failed(failure)
    assert failure.context.slowest_upstream is None


@pytest.mark.parametrize(
    ("wait_ms", "observed_ms", "is_named"),
    [(98.8, 2_750.0, False), (274.0, 2_750.0, False), (276.0, 2_750.0, True), (2_000.0, None, True), (0.0, None, True)],
)
def test_an_upstream_is_named_only_if_it_explains_a_tenth_of_the_latency(
    wait_ms: float, observed_ms: float | None, is_named: bool
) -> None:
    failure = slow_by(wait_ms, observed_ms, (Ending(outcome="slow", n=50),))
    assert ("stock was the slowest upstream" in why_failed(failure)) is is_named
    assert failure.context.slowest_upstream == ("stock" if is_named else None)
