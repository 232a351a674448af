"""The ladder: one rung per step from the bug to its remedies, each a set of policies.

`threads` is a step aside: what is often taken for the remedy. The rungs above it do without threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.policies import POLICIES


@dataclass(frozen=True, slots=True)
class Rung:
    name: str
    policies: tuple[str, ...]
    summary: str


_TIMEOUT: Final = ("parallel", "deadline", "unavailable")
_ISOLATED: Final = tuple(policy for policy in POLICIES if policy != "threads")
RUNGS: Final = (
    Rung("sequential", (), "one backend after the other, no timeout: the bug as the story tells it"),
    Rung("parallel", ("parallel",), "all at once, waits for the slowest"),
    Rung(
        "threads", ("parallel", "threads", "deadline"), "blocking clients under a deadline: the obvious fix, it leaks"
    ),
    Rung("timeout", _TIMEOUT, "gives up on a backend at its deadline, returns the rest"),
    Rung("pushdown", (*_TIMEOUT, "pushdown"), "asks only the backends that the filter names"),
    Rung("isolated", _ISOLATED, "leaves a backend that fails alone, and answers in time whatever the others do"),
)


def policies_of(rung_name: str, without: Sequence[str] = (), also: Sequence[str] = ()) -> frozenset[str]:
    """The rung's policies, less those switched off, and those added. Raises ValueError with a message for the user."""
    names = ", ".join(rung.name for rung in RUNGS)
    rung = next((rung for rung in RUNGS if rung.name == rung_name), None)
    if rung is None:
        raise ValueError(f"there is no rung `{rung_name}`; choose one of {names}")
    for policy in (*without, *also):
        if policy not in POLICIES:
            raise ValueError(f"there is no policy `{policy}`; known: {', '.join(POLICIES)}")
    for policy in also:
        if policy in rung.policies:
            raise ValueError(f"the rung `{rung_name}` has the policy `{policy}` already")
    for policy in without:
        if policy not in rung.policies:
            whose = ", ".join(f"`{other.name}`" for other in RUNGS if policy in other.policies)
            raise ValueError(f"the rung `{rung_name}` has no policy `{policy}`: it belongs to {whose}")
    return (frozenset(rung.policies) - frozenset(without)) | frozenset(also)
