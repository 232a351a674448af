"""Every gate of a plan put to the evidence, and asked again without the seconds the rig spoiled.

Send lag is part of the latency, so a PASS stands whatever the lag, unless it compares with a baseline that the lag
made look worse: then it must not become a FAIL. A FAIL must hold without the arrivals of bad seconds too. One that
does not is the rig's (`undone`), not the service's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from harness.evidence import Pool
from harness.gates import Finding, Gate
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import PlannedGate
from harness.rundir.results import GateResult
from harness.verdict.cut_slots import has_cut_drops, rests_on_drops
from harness.verdict.validity import bad_seconds, lag_limit_ms


@dataclass(frozen=True, slots=True)
class GateVerdict:
    planned: PlannedGate
    gate: Gate
    finding: Finding

    def result(self, *, as_before: bool = False) -> GateResult:
        """`as_before`: it failed and was no better in the baseline."""
        finding = self.finding
        return GateResult(
            id=self.planned.id,
            text=self.planned.text,
            line=self.planned.line,
            metric=self.gate.metric,
            phase=self.gate.phase,
            verdict=finding.verdict,
            kind=finding.kind,
            reason=finding.reason,
            limit=finding.limit,
            unit=finding.unit,
            op=finding.op,
            observed=finding.observed,
            low=finding.low,
            high=finding.high,
            censored_at_ms=finding.censored_at_ms,
            censored_by=finding.censored_by,
            failed_at_rank=finding.failed_at_rank,
            as_before=as_before,
            n=finding.n,
            exceeded=finding.exceeded,
            exceeded_by=finding.endings,
            deflation=finding.deflation,
            withstands_ms=finding.withstands_ms,
        )


@dataclass(frozen=True, slots=True)
class GateVerdicts:
    gates: tuple[GateVerdict, ...]
    lag_limit_ms: float
    bad: tuple[frozenset[int], ...]
    """For each run, the seconds in which the load generator was late."""
    undone: tuple[str, ...]
    """Of each gate whose verdict rests on bad seconds, what it does without them."""
    unsent: tuple[str, ...] = ()
    """The gates whose verdict rests on arrivals that were dropped for want of slots of ours."""

    @property
    def failed(self) -> list[GateVerdict]:
        return [one for one in self.gates if one.finding.verdict == "fail"]


def judge_gates(pool: Pool) -> GateVerdicts:
    planned = pool.plan.gates
    gates = [parse_gate(one.text) for one in planned]
    alpha_fail = round(1 - pool.plan.verdict.confidence, 9) / max(len(gates), 1)
    verdicts = tuple(
        GateVerdict(one, gate, _judge(gate, pool, alpha_fail)) for one, gate in zip(planned, gates, strict=True)
    )
    limits = [gate.latency_limit_ms(pool.plan.gateway.timeout_ms) for gate in gates]
    limit_ms = lag_limit_ms([limit for limit in limits if limit is not None])
    bad = tuple(bad_seconds(run, limit_ms) for run in pool.runs)
    undone: list[str] = []
    if any(bad):
        clean = pool.without(bad)
        undone = [told for verdict in verdicts if (told := _undone(verdict, clean, alpha_fail))]
    return GateVerdicts(verdicts, limit_ms, bad, tuple(undone), _unsent(verdicts, pool, alpha_fail))


def _unsent(verdicts: tuple[GateVerdict, ...], pool: Pool, alpha_fail: float) -> tuple[str, ...]:
    if not has_cut_drops(pool):
        return ()
    return tuple(
        one.planned.text
        for one in verdicts
        if rests_on_drops(one.gate, pool, one.finding.verdict, partial(_verdict_of, one.gate, alpha_fail))
    )


def _verdict_of(gate: Gate, alpha_fail: float, pool: Pool) -> str:
    return _judge(gate, pool, alpha_fail).verdict


def _undone(verdict: GateVerdict, clean: Pool, alpha_fail: float) -> str:
    """What a gate does without the bad seconds where its verdict rests on them; empty where it does not."""
    gate, found = verdict.gate, verdict.finding.verdict
    compares = gate.phase != "baseline" and "baseline" in gate.phases()
    if found == "inconclusive" or (found == "pass" and not compares):
        return ""
    again = _judge(gate, clean, alpha_fail).verdict
    if found == "fail":
        return f"`{verdict.planned.text}` does not fail" if again != "fail" else ""
    return f"`{verdict.planned.text}` fails" if again == "fail" else ""


def _judge(gate: Gate, pool: Pool, alpha_fail: float) -> Finding:
    try:
        return gate.judge(pool, alpha_fail=alpha_fail)
    except Exception as exc:  # one broken gate must not take the others' verdicts with it
        reason = f"this gate could not be judged: {type(exc).__name__}: {exc}"
        return Finding("inconclusive", reason, None, "ms", "<", FindingKind.NOT_JUDGED)
