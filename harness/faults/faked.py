"""Faults that only a fake backend can do: what they share. They act on requests, one by one, and on answers only."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import PydanticCustomError

from harness.faults.fault import Effect, Fault, FaultContext
from harness.model.value_types import refusal
from harness.rundir.behaviours import Behaviour
from harness.rundir.plan import Proof


class BackendFault(Fault):
    """`share` is drawn for each request, from (seed, fault, upstream, request number): a run replays."""

    DRAWN = "request"

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.stream == "upstream":
            yield (
                "stream",
                refusal(f"`{self.KIND}` is something a backend does; it changes answers", "remove `stream`"),
            )


def immediate(behaviour: Behaviour, proof: Proof) -> Effect:
    """Of a kind that holds nobody."""
    return Effect(held_ms=0.0, proof=proof, behaviour=behaviour)


def delayed(behaviour: Behaviour, proof: Proof, ctx: FaultContext, *, at_most_ms: float | None = None) -> Effect:
    """Of a kind that holds a request for `at_most_ms` (None: as long as anybody waits)."""
    held_ms = ctx.hold_ms if at_most_ms is None else min(at_most_ms, ctx.hold_ms)
    return Effect(held_ms=held_ms, proof=proof, behaviour=behaviour)
