"""Who is missing from the answers of a `complete` gate, in words: worst first, and what errors have to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.units import format_count, format_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Pool
    from harness.evidence.presence import Presence
    from harness.gates.deciding import Population

NAMED_MOST: Final = 3
"""Upstreams told by name; the others are counted."""


def who_is_missing(pool: Pool, population: Population) -> str:
    """` (gcp was in 41.2 % of the answers that should have held it, aws in 97.0 %)`; empty where nothing is missing.

    Where the load was stopped, of what had ended before the faults were taken back.
    """
    from harness.evidence.presence import presences

    windows = [(run, population.window(run)) for run in pool.runs]
    known = [(run, w if run.cutoff_ns is None else w.only(w.samples["done_ns"] <= run.cutoff_ns)) for run, w in windows]
    told = _told(sorted((p for p in presences(known) if p.missing), key=lambda p: p.expected_share))
    requests = sum(len(window.samples) for _, window in known)
    errors = requests - sum(int(window.ok.sum()) for _, window in known)
    if errors:
        were = "none of them was" if errors == requests else f"{format_count(errors)} {_were(errors)} not"
        told.append(f"{were} ok, and an error holds nobody")
    return f" ({'; '.join(told)})" if told else ""


def _told(missing: Sequence[Presence]) -> list[str]:
    if not missing:
        return []
    first, *others = missing[:NAMED_MOST]
    named = [f"{first.upstream} was in {format_share(first.expected_share)} of the answers that should have held it"]
    named += [f"{each.upstream} in {format_share(each.expected_share)}" for each in others]
    more = len(missing) - NAMED_MOST
    return [", ".join(named) + (f", and {more} more {_were(more)} missing less often" if more > 0 else "")]


def _were(n: int) -> str:
    return "was" if n == 1 else "were"
