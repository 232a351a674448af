"""Who is missing from the answers of a `complete` gate, in words: worst first, and what errors have to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.units import format_count, format_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Pool
    from harness.evidence.presence import Presence
    from harness.gates.exceedance import Population

_HELD: Final = "of the answers that should have held it"
NAMED_MOST: Final = 3
"""Upstreams of one share, and shares, told; the others are counted."""


@dataclass(frozen=True, slots=True)
class MissingRows:
    """`text`: a bracket behind a reason, empty where nothing is missing."""

    text: str
    names_an_upstream: bool


def who_is_missing(pool: Pool, population: Population) -> MissingRows:
    """Whose rows the answers lack: ` (gcp was in 41.2 % of the answers that should have held it, aws in 97.0 %)`.

    Where the load was stopped, of what had ended before the faults were taken back.
    """
    from harness.evidence.presence import presences

    windows = [(run, population.window(run)) for run in pool.runs]
    known = [(run, w if run.cutoff_ns is None else w.only(w.samples["done_ns"] <= run.cutoff_ns)) for run, w in windows]
    told = _told(sorted((p for p in presences(known) if p.missing), key=lambda p: p.expected_share))
    names_an_upstream = bool(told)
    requests = sum(len(window.samples) for _, window in known)
    errors = requests - sum(int(window.ok.sum()) for _, window in known)
    if errors:
        were = "none of them was" if errors == requests else f"{format_count(errors)} {_were(errors)} not"
        told.append(f"{were} ok, and an error holds nobody")
    return MissingRows(f" ({'; '.join(told)})" if told else "", names_an_upstream)


def alike(missing: Sequence[tuple[str, float]]) -> list[tuple[str, int, str]]:
    """(names, how many, share) of upstreams whose shares read the same, worst first: `(gcp and aws, 2, 41.2 %)`.

    `missing`: name and share, sorted. At most NAMED_MOST groups; those left out are the caller's to count.
    """
    groups: dict[str, list[str]] = {}
    for name, share in missing:
        groups.setdefault(format_share(share), []).append(name)
    return [(some(names), len(names), share) for share, names in groups.items()][:NAMED_MOST]


def some(names: Sequence[str]) -> str:
    """`gcp and aws`, `gcp, aws, oci and 5 more`."""
    if len(names) > NAMED_MOST:
        return f"{', '.join(names[:NAMED_MOST])} and {len(names) - NAMED_MOST} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _told(missing: Sequence[Presence]) -> list[str]:
    if not missing:
        return []
    groups = alike([(each.upstream, each.expected_share) for each in missing])
    names, several, share = groups[0]
    first = f"{names} {'was' if several == 1 else 'were each'} in {share} {_HELD}"
    told = ", ".join([first, *(f"{names} in {share}" for names, _, share in groups[1:])])
    more = len(missing) - sum(several for _, several, _ in groups)
    return [told + (f", and {more} more {_were(more)} missing" if more else "")]


def _were(n: int) -> str:
    return "was" if n == 1 else "were"
