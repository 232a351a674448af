"""Whether a failed gate was just as bad before any fault came. Then the fault did not cause the failure.

The same gate is judged on the baseline. There it must be beyond its limit too, and the figure under the fault must not
be worse than that by more than chance allows: two standard errors of the difference of two shares, each at its
design effect (`deflation`). Gates that compare with the baseline and gates that exist only for a fault (`named`,
`recovery` …) cannot be judged on the baseline, so this says nothing about them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.evidence import Pool
from harness.gates import Finding, Gate
from harness.rundir.rows import Outcome
from harness.units import format_things
from harness.verdict.gates import GateVerdict

LEAST_ARRIVALS: Final = 20
"""A baseline with fewer arrivals is too short to compare with."""
_STANDARD_ERRORS: Final = 2.0
_ALPHA_FAIL: Final = 0.05


@dataclass(frozen=True, slots=True)
class AsBefore:
    """How a failed gate looked in the baseline. `seen`: its figures there, in words. `status`: the HTTP status of 400
    or above that every request there was answered with; 0 if there were several, or none."""

    seen: str
    status: int


def as_before(pool: Pool, failed: GateVerdict) -> AsBefore | None:
    """How the gate looked in the baseline; None if it held there, if the fault made it worse, or if that is unknown."""
    gate, under_fault = failed.gate, failed.finding
    before = _in_baseline(pool, gate)
    if before is None or before.n < LEAST_ARRIVALS or not gate.breaks(before) or _is_worse(under_fault, before):
        return None
    return AsBefore(before.seen, _only_status(pool))


def _in_baseline(pool: Pool, gate: Gate) -> Finding | None:
    same = gate.in_baseline() if pool.plan.faults and gate.phase != "baseline" else None
    return same.judge(pool, alpha_fail=_ALPHA_FAIL) if same else None


def _is_worse(under_fault: Finding, before: Finding) -> bool:
    if under_fault.exceeded is not None and before.exceeded is not None and under_fault.n:
        rise = under_fault.exceeded / under_fault.n - before.exceeded / before.n
        return rise > _STANDARD_ERRORS * math.hypot(_standard_error(under_fault), _standard_error(before))
    if under_fault.observed is None or before.observed is None or before.low is None or before.high is None:
        return True
    return under_fault.observed > before.high if before.op == "<" else under_fault.observed < before.low


def _standard_error(finding: Finding) -> float:
    """Of the share p of exceedances: √(design effect · p (1 − p) / n)."""
    assert finding.exceeded is not None
    share = finding.exceeded / finding.n
    return math.sqrt((finding.deflation or 1.0) * share * (1 - share) / finding.n)


def _only_status(pool: Pool) -> int:
    """The status of 400 or above that every request of the baseline got; 0 if there are several, or none."""
    statuses = np.unique(np.concatenate([run.window("baseline").samples["status"] for run in pool.runs]))
    return int(statuses[0]) if len(statuses) == 1 and statuses[0] >= 400 else 0


def headline_of(failed: GateVerdict) -> str:
    """What happened, with no fault mentioned as its cause. Without a full stop at its end."""
    return f"`{failed.planned.text}` did not hold, and did not in the baseline either, before any fault"


def why_of(pool: Pool, in_baseline: AsBefore) -> str:
    """The figures of the baseline, and how its requests ended if all ended alike."""
    everyone = f" Every request of the baseline was answered with {in_baseline.status}." if in_baseline.status else ""
    lacking = f" {sentence}." if (sentence := _never_in_answers(pool)) and not in_baseline.status else ""
    return f"It was no better in the baseline, before any fault: {in_baseline.seen}.{everyone}{lacking}"


def next_of(gate: Gate, in_baseline: AsBefore) -> str:
    """What to do about a gate that fails without a fault."""
    if in_baseline.status:
        return (
            f"It answers {in_baseline.status} to everything: does it have this path, and does it accept these "
            "requests (authentication)?"
        )
    if gate.uses_complete:
        return "See which rows the answers lack without any fault, and whether `asks` of the request names too many."
    return "First repair what fails without a fault; until then this scenario says nothing about one."


def _never_in_answers(pool: Pool) -> str:
    """Which upstreams the requests ask, and no ok answer of the baseline held rows of; empty if there are none."""
    if pool.plan.load.complete == "none":
        return ""
    asked = {name for request in pool.plan.load.requests for name in request.asks}
    samples = [run.window("baseline").samples for run in pool.runs]
    answered = np.concatenate([rows["answered"][rows["outcome"] == Outcome.OK] for rows in samples])
    present = int(np.bitwise_or.reduce(answered)) if len(answered) else 0
    lacking = [u.name for u in pool.plan.upstreams if u.name in asked and not present >> u.index & 1]
    if not lacking or not len(answered):
        return ""
    verb = "was" if len(lacking) == 1 else "were"
    return f"{', '.join(lacking)} {verb} in none of its {format_things(len(answered), 'answer')}"
