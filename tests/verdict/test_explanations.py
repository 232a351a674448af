"""What is said where several gates failed: the others by name, and what the service held as a likely reason."""

from __future__ import annotations

from harness.gates import Finding
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import PlannedGate
from harness.verdict.explanations import advice_on_resources, also_failed
from harness.verdict.gates import GateVerdict


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
