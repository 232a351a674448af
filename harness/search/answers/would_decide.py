"""What would decide a certificate that is missing: how long its load would have to be. Pure.

An undecided soak has shown a share of requests that count against a gate. If the same share goes on, spread evenly,
some length decides the gate: the length at which it passes if the share is below the one that is allowed, or fails if
it is above. That is the best case, since slow requests that come in spells need longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from harness.gates.parse import parse_gate
from harness.rundir.searches.capacity import LoadStep, StepGate, StepOutcome, StepPurpose
from harness.search.decision_times import least_s
from harness.statistics import Rule
from harness.units import duration_literal, format_duration

if TYPE_CHECKING:
    from harness.rundir.plan import Plan

ROUND_S: Final = 10
"""Lengths are said in steps of this."""


def would_decide(steps: Sequence[LoadStep], plan: Plan) -> str:
    """A sentence about the certificate that is missing; empty if none is.

    If nothing is refuted: about the lowest rate above what passed at which the load generator gave out. Else about the
    highest undecided soak, then about the loads that were to fail, then about explorative ones that had nothing to
    judge.
    """
    steps = _last_word(steps)
    passed = max((step.rate_per_s for step in _of(steps, "soak", "held")), default=0.0)
    is_refuted = bool(_of(steps, "refute", "broke"))
    if passed and is_refuted:
        return ""
    gave_out = [
        step for step in steps if step.outcome == "generator" and step.purpose != "return" and step.rate_per_s > passed
    ]
    if gave_out and not is_refuted:
        step = min(gave_out, key=lambda each: each.rate_per_s)
        return f"at {step.rate_per_s:g}/s the load generator or the machine gave out: {step.reason}"
    if soaks := [step for step in _of(steps, "soak", "undecided") if step.rate_per_s > passed]:
        return _longer(soaks, "--soak", plan)
    if refutes := _of(steps, "refute", "undecided"):
        return _longer(refutes, "--step", plan)
    if held := _of(steps, "refute", "held"):
        highest_per_s = max(step.rate_per_s for step in held)
        return f"the loads that were to fail held, up to {highest_per_s:g}/s; --from {highest_per_s:g}/s goes on there"
    empty = [step for step in _of(steps, "explore", "undecided") if step.nothing_for]
    return f"at {empty[-1].rate_per_s:g}/s {empty[-1].reason}; a higher --from would decide it" if empty else ""


def _of(steps: Sequence[LoadStep], purpose: StepPurpose, outcome: StepOutcome) -> list[LoadStep]:
    return [step for step in steps if step.purpose == purpose and step.outcome == outcome]


def _last_word(steps: Sequence[LoadStep]) -> list[LoadStep]:
    """Without the loads that were run once more at the same rate for the same purpose."""
    last = {(step.purpose, step.rate_per_s): place for place, step in enumerate(steps)}
    return [step for place, step in enumerate(steps) if last[step.purpose, step.rate_per_s] == place]


def _longer(undecided: Sequence[LoadStep], option: str, plan: Plan) -> str:
    """How long the load of the highest of these rates would have to be. `option`: that gives its length."""
    step = max(undecided, key=lambda each: each.rate_per_s)
    open_ = [gate for gate in step.gates if gate.verdict == "inconclusive"]
    told = f"at {step.rate_per_s:g}/s {format_duration(1000 * step.seconds)} left "
    if not open_:
        return f"{told}it undecided: {step.reason}"
    lengths = [_length_s(gate, step, plan) for gate in open_]
    gates = ", ".join(f"`{gate.text}`{_share(gate)}" for gate in open_)
    if any(length is None for length in lengths):
        return f"{told}{gates} undecided, and no load of a day would decide it: its share is at the limit"
    longest_s = max(length for length in lengths if length is not None)
    rounded_s = ROUND_S * (int(longest_s // ROUND_S) + 1)
    length = duration_literal(1000.0 * rounded_s)
    return f"{told}{gates} undecided; {option} {length} would decide it{_if(open_)}"


def _length_s(gate: StepGate, step: LoadStep, plan: Plan) -> float | None:
    """Seconds of the load that decide the gate at its share so far; of a gate that no share decides, twice the load."""
    allowed = parse_gate(gate.text).allowed_share
    if allowed is None or gate.exceeded is None or not gate.n:
        return 2 * step.seconds
    share = gate.exceeded / gate.n
    alpha = step.alpha or round(1 - plan.verdict.confidence, 9)
    rule = Rule(
        p0=allowed,
        clump_s=plan.verdict.clump_ms / 1000,
        alpha=alpha,
        alpha_fail=alpha / max(len(step.gates), 1),
    )
    length_s = least_s(share, "pass" if share < allowed else "fail", gate.n / step.seconds, rule)
    return None if length_s is None else max(length_s, step.seconds)


def _share(gate: StepGate) -> str:
    if gate.exceeded is None or not gate.n:
        return ""
    return f" ({gate.exceeded:,} of {gate.n:,} requests count against it)"


def _if(gates: Sequence[StepGate]) -> str:
    """The assumption, where there is a share that could come in spells."""
    return " if that share goes on and comes evenly" if any(gate.exceeded for gate in gates) else ""
