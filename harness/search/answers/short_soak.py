"""Whether the soak of a search is long enough for the certificate of a PASS at all, before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.errors import UsageError
from harness.gates.parse import parse_gate
from harness.rundir.plan import Plan, PlannedGate
from harness.units import duration_literal, format_duration

USUAL_SOAK_MS: Final = 120_000.0
"""Of a search that is given no `--soak`."""


def refuse_short_soak(plan: Plan, gates: Sequence[PlannedGate], soak_ms: float, rate_per_s: float | None) -> None:
    """Raises UsageError if one of the gates could not pass in a soak of this length, whatever the service does: it has
    too few independent moments in it. `rate_per_s`: of the soaks, where it is known before."""
    needed_ms, text = max((_needed_ms(plan, each, rate_per_s), each.text) for each in gates)
    if soak_ms < needed_ms:
        at_rate = "" if rate_per_s is None else f" at {rate_per_s:g}/s"
        or_nothing = f", or nothing ({duration_literal(USUAL_SOAK_MS)})" if needed_ms <= USUAL_SOAK_MS else ""
        raise UsageError(
            f"--soak {format_duration(soak_ms)} is too short: `{text}` needs {format_duration(needed_ms)}{at_rate}, "
            "with nothing slow, to pass",
            f"give --soak {duration_literal(needed_ms)} or longer{or_nothing}",
        )


def _needed_ms(plan: Plan, planned: PlannedGate, rate_per_s: float | None) -> float:
    gate = parse_gate(planned.text)
    moments = gate.moments(plan.verdict.confidence)
    arrive_ms = 0.0 if rate_per_s is None else 1000 * moments / rate_per_s
    return max(moments * plan.verdict.clump_ms, gate.window_needed_ms(), arrive_ms)
