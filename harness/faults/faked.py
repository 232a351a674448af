"""What the faults share that a fake backend executes itself. They act on single requests, and change answers only."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import PydanticCustomError

from harness.faults.fault import Effect, Fault, FaultContext
from harness.model.value_types import refusal
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.fault import Proof


class BackendFault(Fault):
    """A fault that a fake backend executes. `share` is drawn for each request from (seed, fault, upstream, request
    number), so that a run with the same seed draws the same requests."""

    DRAWN = "request"

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.stream == "upstream":
            yield (
                "stream",
                refusal(f"`{self.KIND}` changes a backend's answers and not its requests", "remove `stream`"),
            )


def immediate(behaviour: Behaviour, proof: Proof) -> Effect:
    """The effect of a kind that delays no request."""
    return Effect(held_ms=0.0, proof=proof, behaviour=behaviour)


def delayed(behaviour: Behaviour, proof: Proof, ctx: FaultContext, *, at_most_ms: float | None = None) -> Effect:
    """The effect of a kind that holds a request for at most `at_most_ms`; None: as long as its caller waits."""
    held_ms = ctx.hold_ms if at_most_ms is None else min(at_most_ms, ctx.hold_ms)
    return Effect(held_ms=held_ms, proof=proof, behaviour=behaviour)
