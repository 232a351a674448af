"""`slow_spells: {latency: 2s, every: 10s, last: 2s}`: at random times, every answer is slow for a while.

Real backends are slow in such spells. Latencies drawn independently average out over the calls of a request; those of a
spell do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, delayed
from harness.faults.fault import Effect, FaultContext, intermittent_proof
from harness.model.strict_model import StrictModel
from harness.model.value_types import LongerDuration, refusal
from harness.rundir.planned import behaviours
from harness.units import duration_literal


class Spells(StrictModel):
    """The spells of a fault. Each length is drawn between 0.5 and 1.5 times `last`, each distance between two starts
    between 0.75 and 1.25 times `every`."""

    latency_ms: LongerDuration = Field(alias="latency", description="Added to every answer during a spell")
    every_ms: LongerDuration = Field(alias="every", description="From one spell's start to the next, on average")
    last_ms: LongerDuration = Field(alias="last", description="How long a spell lasts, on average")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.every_ms < 2 * self.last_ms:
            yield "every", refusal("spells would run into each other", "make it at least twice `last`")


class SlowSpellsFault(BackendFault):
    KIND: ClassVar = "slow_spells"

    spells: Spells = Field(alias="slow_spells", description="Spells in which every answer is late")

    @property
    def text(self) -> str:
        spells = self.spells
        every, last = duration_literal(spells.every_ms), duration_literal(spells.last_ms)
        return f"spells of {duration_literal(spells.latency_ms)}, {last} long, every {every}"

    def compile(self, ctx: FaultContext) -> Effect:
        spells = behaviours.SlowSpells(latency_ms=self.spells.latency_ms, spells_ms=tuple(self._drawn(ctx.seed)))
        proof = intermittent_proof(ctx, delay_ms=self.spells.latency_ms)
        return delayed(spells, proof, ctx, at_most_ms=self.spells.latency_ms)

    def _drawn(self, seed: int) -> Iterator[tuple[float, float]]:
        """Start and end of every spell, in ms from the beginning of a window. The first begins within a quarter of
        `every`, so that every window has a spell."""
        random = Random(f"{seed}/spells/{self.name}")
        start_ms = self.spells.every_ms * random.uniform(0.05, 0.25)
        while start_ms < self.for_ms:
            yield start_ms, start_ms + self.spells.last_ms * random.uniform(0.5, 1.5)
            start_ms += self.spells.every_ms * random.uniform(0.75, 1.25)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.spells.every_ms + self.spells.last_ms > self.for_ms:
            yield (
                "slow_spells",
                refusal("no two spells fit into the window", "let `for` last longer than `every` + `last`"),
            )
        if self.spells.last_ms < 2000:
            yield (
                "slow_spells",
                refusal("two canaries a second could miss such short spells", "write `last: 2s` or more"),
            )
