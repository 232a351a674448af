"""The ladder: one rung per step from the bug to its remedies, each a set of policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aggregator.policies import POLICIES


@dataclass(frozen=True, slots=True)
class Rung:
    name: str
    policies: tuple[str, ...]
    tells: str


RUNGS: Final = (
    Rung("sequential", (), "one backend after the other, no timeout: the bug as the story tells it"),
    Rung("parallel", ("parallel",), "all at once, waits for the slowest"),
    Rung("timeout", ("parallel", "deadline"), "gives up on a backend at its deadline, returns the rest"),
    Rung("pushdown", ("parallel", "deadline", "pushdown"), "asks only the backends that the filter names"),
    Rung("isolated", POLICIES, "leaves a backend that fails alone, and answers in time whatever the others do"),
)
COMING: Final = ("threads",)
"""Named by the story, not built yet: blocking clients in a thread pool."""


def policies_of(rung_name: str, without: tuple[str, ...] = ()) -> frozenset[str]:
    """The rung's policies, less those switched off. Raises ValueError with a message for the user."""
    names = ", ".join(rung.name for rung in RUNGS)
    if rung_name in COMING:
        raise ValueError(f"the rung `{rung_name}` is not built yet; choose one of {names}")
    rung = next((rung for rung in RUNGS if rung.name == rung_name), None)
    if rung is None:
        raise ValueError(f"there is no rung `{rung_name}`; choose one of {names}")
    for policy in without:
        if policy not in POLICIES:
            raise ValueError(f"there is no policy `{policy}`; known: {', '.join(POLICIES)}")
        if policy not in rung.policies:
            raise ValueError(f"the rung `{rung_name}` has no policy `{policy}` that could be switched off")
    return frozenset(rung.policies) - frozenset(without)
