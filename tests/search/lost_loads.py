"""Which of a real search's loads a busy machine took, and when so many that the search had to go another way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol


class Step(Protocol):
    @property
    def purpose(self) -> str: ...

    @property
    def outcome(self) -> str: ...


def lost_a_load(steps: Sequence[Step]) -> bool:
    """Whether the machine took a load and its one repetition too, or one that shows that the service came back. Then
    nothing is known at that rate or level, and the search says less than it would have."""
    returns = [step.outcome for step in steps if step.purpose == "return"]
    others = [step for step in steps if step.purpose != "return"]
    return "generator" in returns or any(one.outcome == two.outcome == "generator" for one, two in pairwise(others))
