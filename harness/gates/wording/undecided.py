"""The advice on an inconclusive gate: what would decide it, by the kind of its finding. It fits every kind of gate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from harness.rundir.finding_kind import FindingKind
from harness.units import duration_literal

if TYPE_CHECKING:
    from harness.gates.gate import AdviceContext, Gate

_POOL: Final = "Repeat the fault or pool several runs (`verdict: {runs: 3}`, or `tailgate judge RUN RUN RUN`)."
_ADVICE: Final = {
    FindingKind.STOPPED: "Let the run go on to its end.",
    FindingKind.NAME_NEVER_CAME: "Write the name as Locust reports it: the `name` of the request, else its path.",
    FindingKind.NAME_IN_ON_START: "Write that request as a task, or leave out the gate: each user instance runs "
    "`on_start` once, before its tasks, so its requests do not come at the planned rate.",
    FindingKind.GUARD_TOO_SHORT: "Lengthen `load.guard` beyond the longest healthy request.",
    FindingKind.CLOCKS_UNSURE: "Use workers with a better network to this machine, or write a longer `load.guard`.",
    FindingKind.ONE_WITNESS: "Start that Toxiproxy with -proxy-metrics, or let the fault last longer than the service "
    "caches answers; `met: optional` on the fault says that it need not be met.",
    FindingKind.NO_MAIN: "Run it with --baseline FILE, the baseline.json of a run of the main branch.",
}
_TOO_LITTLE: Final = (FindingKind.WINDOW_TOO_SHORT, FindingKind.TOO_FEW)


def what_would_decide(gate: Gate, kind: FindingKind, ctx: AdviceContext) -> str:
    """The advice on `gate`, whose finding has this `kind`."""
    if kind in _TOO_LITTLE and (needed_ms := _needed_ms(gate, ctx)):
        return (
            f"Let the phase `{gate.phase}` last longer: {duration_literal(needed_ms)} decide where nothing is "
            "slow, half as much again is safer; or pool several runs (`verdict: {runs: 3}`)."
        )
    return _ADVICE.get(kind, _POOL)


def _needed_ms(gate: Gate, ctx: AdviceContext) -> float:
    """How long in ms a phase must be to hold the independent moments that the gate needs; 0 if it needs none."""
    per_moment_ms = max(ctx.clump_ms, 1000 / ctx.rate_per_s if ctx.rate_per_s else 0.0)
    return math.ceil(gate.moments(ctx.confidence) * per_moment_ms / 1000) * 1000.0
