"""Who the service named while a fault stood, in words: `named by its log after 1.20 s`. Decides nothing."""

from __future__ import annotations

from typing import Final

from harness.results import FaultResult
from harness.units import format_duration

WRONG_MOST: Final = 3
"""Healthy upstreams told of; the others are counted."""


def who_was_named(fault: FaultResult) -> list[str]:
    """One text for the faulted upstream, and one for each healthy one that was named; empty where nobody was."""
    told = [
        f"named by its {named.source} after {format_duration(named.after_ms)}{_cleared(named.cleared_after_ms)}"
        for named in fault.named
        if not named.healthy
    ]
    wrong = [
        f"{named.upstream}, healthy, was named by the service's {named.source} after "
        f"{format_duration(named.after_ms)}: {named.text}"
        for named in fault.named
        if named.healthy
    ]
    more = [f"and {len(wrong) - WRONG_MOST} more healthy ones"] if len(wrong) > WRONG_MOST else []
    return [*(["; ".join(told)] if told else []), *wrong[:WRONG_MOST], *more]


def _cleared(after_ms: float | None) -> str:
    if after_ms is None:
        return ""
    return f", cleared {format_duration(after_ms)} after the fault" if after_ms else ", cleared with the fault"
