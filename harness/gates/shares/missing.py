"""Words for a `complete` gate that did not pass: whose rows the answers lack, worst first, and how many were errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.units import format_count, format_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Pool
    from harness.gates.exceedance import Population

_HELD: Final = "of the answers that should have held it"
_OF_ALL: Final = "of the answers"
NAMED_MOST: Final = 3
"""At most this many upstreams of one share, and this many different shares, are listed; the others are counted."""


@dataclass(frozen=True, slots=True)
class MissingRows:
    """`text`: a bracket to append to a reason; empty if nothing is missing."""

    text: str
    names_an_upstream: bool


@dataclass(frozen=True, slots=True)
class _Lacked:
    """How many answers lacked an upstream, and the share of those that should have held it which did."""

    upstream: str
    times: int
    share: float


def who_is_missing(
    pool: Pool, population: Population, *, upstream: str | None = None, faulted: bool = False
) -> MissingRows:
    """Whose rows the answers lack: ` (gcp was in 41.2 % of the answers that should have held it, aws in 97.0 %)`.

    `upstream`: only that one is of interest. `faulted`: an answer should hold an upstream under a fault as well.
    If the load was stopped, only answers count that had ended before the faults were removed.
    """
    from harness.evidence.presence import presences

    windows = [(run, population.window(run)) for run in pool.runs]
    known = [(run, w if run.cutoff_ns is None else w.only(w.samples["done_ns"] <= run.cutoff_ns)) for run, w in windows]
    lacked = [
        _Lacked(p.upstream, p.answers - p.held, p.share or 0.0)
        if faulted
        else _Lacked(p.upstream, p.missing, p.expected_share)
        for p in presences(known)
        if upstream in (None, p.upstream)
    ]
    clauses = _upstream_clauses(sorted((each for each in lacked if each.times), key=lambda each: each.share), faulted)
    names_an_upstream = bool(clauses)
    requests = sum(len(window.samples) for _, window in known)
    errors = requests - sum(int(window.ok.sum()) for _, window in known)
    if errors:
        were = "none of them was" if errors == requests else f"{format_count(errors)} {_were(errors)} not"
        clauses.append(f"{were} ok, and an error holds no rows")
    return MissingRows(f" ({'; '.join(clauses)})" if clauses else "", names_an_upstream)


def alike(missing: Sequence[tuple[str, float]]) -> list[tuple[str, int, str]]:
    """Groups of upstreams whose formatted shares are equal, as (names, number, share): `(gcp and aws, 2, 41.2 %)`.

    `missing`: name and share of each upstream, the worst first. At most NAMED_MOST groups are returned; the caller
    counts those that are left out.
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


def _upstream_clauses(missing: Sequence[_Lacked], faulted: bool) -> list[str]:
    """The clause on the missing upstreams, the worst first; none if no upstream is missing."""
    if not missing:
        return []
    groups = alike([(each.upstream, each.share) for each in missing])
    names, several, share = groups[0]
    first = f"{names} {'was' if several == 1 else 'were each'} in {share} {_OF_ALL if faulted else _HELD}"
    clause = ", ".join([first, *(f"{names} in {share}" for names, _, share in groups[1:])])
    more = len(missing) - sum(several for _, several, _ in groups)
    return [clause + (f", and {more} more {_were(more)} missing" if more else "")]


def _were(n: int) -> str:
    return "was" if n == 1 else "were"
