"""On what the answers of a search rest: which gates, how sure, in loads of what length. Pure.

A gate that is decided by a share of requests has a confidence; one that measures a time, such as a recovery, has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.rundir.searches.capacity import LoadStep, StepPurpose
from harness.units import format_duration


def certificates(curves: Sequence[tuple[str, Sequence[LoadStep]]], confidence: float) -> list[str]:
    """A line for all curves that were certified by the same gates in loads of the same lengths. `curves`: the name and
    the steps of each. Those without a certificate are left out."""
    alike: dict[str, list[str]] = {}
    for name, steps in curves:
        if told := _told(steps, confidence):
            alike.setdefault(told, []).append(name)
    if len(alike) == 1 and sum(map(len, alike.values())) == len(curves):
        return [*alike]
    return [f"{', '.join(names)}: {told}" for told, names in alike.items()]


def _told(steps: Sequence[LoadStep], confidence: float) -> str:
    loads = [("passed", _certified(steps, "soak", "held")), ("failed", _certified(steps, "refute", "broke"))]
    known = [(word, step) for word, step in loads if step is not None]
    if not known:
        return ""
    gates = known[0][1].gates
    sure = f", {100 * confidence:g} % sure" if any(gate.exceeded is not None for gate in gates) else ""
    lengths = " and ".join(f"{word} in {format_duration(1000 * step.seconds)}" for word, step in known)
    return f"judged by {', '.join(f'`{gate.text}`' for gate in gates)}{sure}; {lengths} of load"


def _certified(steps: Sequence[LoadStep], purpose: StepPurpose, outcome: str) -> LoadStep | None:
    return next(
        (step for step in reversed(steps) if step.purpose == purpose and step.outcome == outcome and step.n), None
    )
