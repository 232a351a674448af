"""`latency: 60s` (+ `jitter`): every answer comes that much later, as from a slow backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.fault import Effect, Fault, FaultContext, delayed_proof, whole_ms
from harness.model.value_types import Duration, LongerDuration, refusal, written
from harness.rundir.planned import behaviours
from harness.units import duration_literal


class LatencyFault(Fault):
    KIND: ClassVar = "latency"

    latency_ms: LongerDuration = Field(alias="latency", description="Added to every answer of the upstream")
    jitter_ms: Duration = Field(
        written("0s"), alias="jitter", description="Spread around `latency`, uniform, both ways"
    )

    @property
    def text(self) -> str:
        spread = f" ± {duration_literal(self.jitter_ms)}" if self.jitter_ms else ""
        return f"latency {duration_literal(self.latency_ms)}{spread}"

    @property
    def draws(self) -> Literal["connection", "request"]:
        chooses = self.share < 1 or self.by_call
        return "request" if chooses and self.stream == "downstream" else "connection"

    def compile(self, ctx: FaultContext) -> Effect:
        held_ms = min(self.latency_ms + self.jitter_ms, ctx.hold_ms)
        # a toxic delays each flight of a handshake too; a proof is content with one delay
        on_wire_ms = min(ctx.flights * (self.latency_ms + self.jitter_ms), ctx.hold_ms)
        # with a uniform jitter, three of four canaries are held at least this long
        proof = delayed_proof(ctx, delay_ms=self.latency_ms - self.jitter_ms / 2)
        if ctx.fakes and self.draws == "request":
            late = behaviours.Late(latency_ms=self.latency_ms, jitter_ms=self.jitter_ms)
            return Effect(held_ms=held_ms, proof=proof, behaviour=late)
        return Effect(
            held_ms=on_wire_ms,
            proof=proof,
            toxics=(self.toxic("latency", latency=whole_ms(self.latency_ms), jitter=whole_ms(self.jitter_ms)),),
            delay_ms=self.latency_ms,
        )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.jitter_ms > self.latency_ms:
            yield "jitter", refusal("`jitter` is larger than `latency`", "a delay cannot be negative; lower it")
