"""Judges every gate of a plan, and judges again without the seconds in which the load generator sent late.

Send lag is part of the latency, so it can only make a gate look worse: a PASS stands whatever the lag was. The
exception is a gate that compares with a baseline, because lag in the baseline makes its limit too generous; its PASS
must not become a FAIL without the late seconds. A FAIL must still be a FAIL without them. A verdict that changes is
the load generator's doing and not the service's (`rest_on_lag`). It makes the run a rig failure, unless another gate's
FAIL holds without those seconds: then that one decides, and a verdict that rests on lag is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from harness.evidence import Pool
from harness.gates import Finding, Gate
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import PlannedGate
from harness.rundir.results import GateResult
from harness.units import NS_PER_MS, format_duration
from harness.verdict.cut_slots import depends_on_dropped, has_cut_drops
from harness.verdict.validity import bad_seconds, lag_limit_ms

UNSURE_MOST: Final = 0.1
"""The most uncertainty of the workers' clocks at which phases are judged, as a share of the guard."""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """A gate of the plan, parsed, with its finding."""

    planned: PlannedGate
    gate: Gate
    finding: Finding

    def result(self, *, as_before: bool = False) -> GateResult:
        """The gate's entry in results.json. `as_before`: it failed, and was no better in the baseline."""
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
    """The verdicts on a plan's gates, in its order, and how far the load generator may have caused them."""

    gates: tuple[GateVerdict, ...]
    lag_limit_ms: float
    """A second whose p99 send lag is above this is bad."""
    bad: tuple[frozenset[int], ...]
    """For each run, the bad seconds, counted from t = 0."""
    rest_on_lag: Mapping[str, str]
    """Each gate whose verdict changes without the bad seconds, by id, with how (`p99 < 2s` does not fail)."""
    unsent: tuple[str, ...] = ()
    """The texts of the gates whose verdict depends on arrivals that were dropped because the open-file limit allowed
    too few slots."""

    @property
    def failed(self) -> list[GateVerdict]:
        """The gates with the verdict FAIL, in the plan's order."""
        return [one for one in self.gates if one.finding.verdict == "fail"]

    @property
    def fail_without_lag(self) -> bool:
        """Whether a gate fails without the bad seconds as well."""
        return any(one.planned.id not in self.rest_on_lag for one in self.failed)

    def without_lag(self) -> GateVerdicts:
        """The same with every verdict that rests on lag made inconclusive, so that none rests on it any more."""
        gates = tuple(self._without_lag(one) for one in self.gates)
        return replace(self, gates=gates, rest_on_lag={})

    def undecided(self, unsure: Mapping[str, str]) -> GateVerdicts:
        """The same with every verdict made inconclusive that rests on a fault of `unsure`: faults of which only one
        witness saw something, by name, each with the reason."""
        return replace(self, gates=tuple(_undecided(one, unsure) for one in self.gates)) if unsure else self

    def without_phases(self, reason: str) -> GateVerdicts:
        """The same with every verdict on a phase other than `whole` made inconclusive, for a `reason` that the clocks
        of the workers give; empty: they give none."""
        return replace(self, gates=tuple(_unsure_of_phases(one, reason) for one in self.gates)) if reason else self

    def _without_lag(self, one: GateVerdict) -> GateVerdict:
        if not (change := self.rest_on_lag.get(one.planned.id)):
            return one
        reason = f"without the seconds in which the load generator was late {change}: {one.finding.reason}"
        finding = replace(one.finding, verdict="inconclusive", kind=FindingKind.RESTS_ON_LAG, reason=reason)
        return replace(one, finding=finding)


def _undecided(one: GateVerdict, unsure: Mapping[str, str]) -> GateVerdict:
    phases = set(one.gate.phases())
    rests_on = [name for name in unsure if {name, f"after {name}"} & phases]
    if one.finding.verdict == "pass" and "whole" in phases:
        rests_on = list(unsure)  # a FAIL of the whole run needs no fault
    if not rests_on or one.finding.verdict == "inconclusive":
        return one
    reason = f"it is unknown whether the service met {rests_on[0]}: {unsure[rests_on[0]]}"
    return replace(
        one, finding=replace(one.finding, verdict="inconclusive", kind=FindingKind.ONE_WITNESS, reason=reason)
    )


def _unsure_of_phases(one: GateVerdict, reason: str) -> GateVerdict:
    if set(one.gate.phases()) <= {"whole"} or one.finding.verdict == "inconclusive":
        return one
    finding = replace(one.finding, verdict="inconclusive", kind=FindingKind.CLOCKS_UNSURE, reason=reason)
    return replace(one, finding=finding)


def clocks_unsure(pool: Pool) -> str:
    """Why gates on phases cannot be decided: the arrivals' times may be off by more than a tenth of the guard, which
    separates the phases. Empty: they can be, as always with workers on this machine."""
    worst_ms = max(run.clock_uncertainty_ns for run in pool.runs) / NS_PER_MS
    most_ms = pool.plan.guard_ms * UNSURE_MOST
    if worst_ms <= most_ms:
        return ""
    return (
        f"the workers' clocks are known to {format_duration(worst_ms)} only, which is more than a tenth of the guard "
        f"of {format_duration(pool.plan.guard_ms)}"
    )


def judge_gates(pool: Pool) -> GateVerdicts:
    """Judge every gate of the pool's plan. Never raises for a gate: one that breaks is inconclusive."""
    planned = pool.plan.gates
    gates = [parse_gate(one.text) for one in planned]
    alpha_fail = round(1 - pool.plan.verdict.confidence, 9) / max(len(gates), 1)
    verdicts = tuple(
        GateVerdict(one, gate, _judge(gate, pool, alpha_fail)) for one, gate in zip(planned, gates, strict=True)
    )
    limits = [gate.latency_limit_ms(pool.plan.gateway.timeout_ms) for gate in gates]
    limit_ms = lag_limit_ms([limit for limit in limits if limit is not None])
    bad = tuple(bad_seconds(run, limit_ms) for run in pool.runs)
    rest_on_lag: dict[str, str] = {}
    if any(bad):
        clean = pool.without(bad)
        changes = {one.planned.id: _change_without_lag(one, clean, alpha_fail) for one in verdicts}
        rest_on_lag = {gate_id: change for gate_id, change in changes.items() if change}
    return GateVerdicts(verdicts, limit_ms, bad, rest_on_lag, _resting_on_drops(verdicts, pool, alpha_fail))


def _resting_on_drops(verdicts: tuple[GateVerdict, ...], pool: Pool, alpha_fail: float) -> tuple[str, ...]:
    """The texts of the gates whose verdict depends on arrivals that were dropped for lack of slots."""
    if not has_cut_drops(pool):
        return ()
    return tuple(
        one.planned.text
        for one in verdicts
        if depends_on_dropped(one.gate, pool, one.finding.verdict, partial(_verdict_of, one.gate, alpha_fail))
    )


def _verdict_of(gate: Gate, alpha_fail: float, pool: Pool) -> str:
    return _judge(gate, pool, alpha_fail).verdict


def _change_without_lag(verdict: GateVerdict, clean: Pool, alpha_fail: float) -> str:
    """How a gate's verdict changes without the bad seconds; empty if it does not. `clean`: the pool without them."""
    gate, before = verdict.gate, verdict.finding.verdict
    compares = gate.phase != "baseline" and "baseline" in gate.phases()
    if before == "inconclusive" or (before == "pass" and not compares):
        return ""
    again = _judge(gate, clean, alpha_fail).verdict
    if before == "fail":
        return f"`{verdict.planned.text}` does not fail" if again != "fail" else ""
    return f"`{verdict.planned.text}` fails" if again == "fail" else ""


def _judge(gate: Gate, pool: Pool, alpha_fail: float) -> Finding:
    try:
        return gate.judge(pool, alpha_fail=alpha_fail)
    except Exception as exc:  # a gate that breaks must not cost the other gates their verdicts
        reason = f"this gate could not be judged: {type(exc).__name__}: {exc}"
        return Finding("inconclusive", reason, None, "ms", "<", FindingKind.NOT_JUDGED)
