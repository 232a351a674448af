"""Whether a failed gate was just as bad before any fault came: then the fault is not to blame, and nobody is.

The same gate is put to the baseline. Its outcome there must break the limit too, and what was seen under the fault must
not be worse than that beyond what chance allows (two standard errors, at the deflation of each). Of gates that compare
with the baseline, and of those that speak of a fault alone (`named`, `recovery` …), nothing is said.
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
"""In the baseline: of fewer nothing can be said."""
_STANDARD_ERRORS: Final = 2.0
_ALPHA_FAIL: Final = 0.05


@dataclass(frozen=True, slots=True)
class AsBefore:
    """`seen`: what the gate saw in the baseline, in words; `status`: the one status of every request there, or 0."""

    seen: str
    status: int


def as_before(pool: Pool, failed: GateVerdict) -> AsBefore | None:
    """None where the gate held in the baseline, where the fault made it worse, or where nobody can say."""
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
    assert finding.exceeded is not None
    share = finding.exceeded / finding.n
    return math.sqrt((finding.deflation or 1.0) * share * (1 - share) / finding.n)


def _only_status(pool: Pool) -> int:
    """The status above 399 of every request of the baseline; 0 where there are several, or none."""
    found = np.unique(np.concatenate([run.window("baseline").samples["status"] for run in pool.runs]))
    return int(found[0]) if len(found) == 1 and found[0] >= 400 else 0


def headline_of(failed: GateVerdict) -> str:
    """What happened, without a fault in it."""
    return f"`{failed.planned.text}` did not hold, and did not in the baseline either, before any fault"


def why_of(pool: Pool, found: AsBefore) -> str:
    """That it was so before; and how those requests ended, where that is one way."""
    everyone = f" Every request of it was answered with {found.status}." if found.status else ""
    lacking = f" {told}." if (told := _never_in_answers(pool)) and not found.status else ""
    return f"It was no better in the baseline, before any fault: {found.seen}.{everyone}{lacking}"


def next_of(gate: Gate, found: AsBefore) -> str:
    if found.status:
        return f"It answers {found.status} to everything: does it have the path of these requests, and may we ask it?"
    if gate.uses_complete:
        return "See which rows the answers lack without any fault, and whether `asks` of the request names too many."
    return "Mend first what fails without a fault; until then this scenario says nothing about one."


def _never_in_answers(pool: Pool) -> str:
    """The upstreams that were asked for and were in no answer of the baseline that was ok."""
    if pool.plan.load.complete == "none":
        return ""
    asked = {name for request in pool.plan.load.requests for name in request.asks}
    samples = [run.window("baseline").samples for run in pool.runs]
    answered = np.concatenate([rows["answered"][rows["outcome"] == Outcome.OK] for rows in samples])
    seen = int(np.bitwise_or.reduce(answered)) if len(answered) else 0
    lacking = [u.name for u in pool.plan.upstreams if u.name in asked and not seen >> u.index & 1]
    if not lacking or not len(answered):
        return ""
    verb = "was" if len(lacking) == 1 else "were"
    return f"{', '.join(lacking)} {verb} in none of its {format_things(len(answered), 'answer')}"
