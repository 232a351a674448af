"""`latency: 60s` (+ `jitter`): every answer leaves that much later. What "a slow backend" means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness import behaviour
from harness.faults.fault import Circumstances, Effect, Fault, held, whole_ms
from harness.fields import Duration, LongerDuration, refusal, written
from harness.units import spell_duration


class Latency(Fault):
    KIND: ClassVar = "latency"

    latency_ms: LongerDuration = Field(alias="latency", description="Added to every answer of the upstream")
    jitter_ms: Duration = Field(
        written("0s"), alias="jitter", description="Spread around `latency`, uniform, both ways"
    )

    @property
    def text(self) -> str:
        spread = f" ± {spell_duration(self.jitter_ms)}" if self.jitter_ms else ""
        return f"latency {spell_duration(self.latency_ms)}{spread}"

    @property
    def draws(self) -> Literal["connection", "request"]:
        return "request" if self.share < 1 and self.stream == "downstream" else "connection"

    def compile(self, met: Circumstances) -> Effect:
        held_ms = min(self.latency_ms + self.jitter_ms, met.hold_ms)
        # three of four canaries are held at least this long, whatever the jitter
        proof = held(met, delay_ms=self.latency_ms - self.jitter_ms / 2)
        if met.fakes and self.draws == "request":
            late = behaviour.Late(latency_ms=self.latency_ms, jitter_ms=self.jitter_ms)
            return Effect(held_ms=held_ms, proof=proof, behaviour=late)
        return Effect(
            held_ms=held_ms,
            proof=proof,
            toxics=(self.toxic("latency", latency=whole_ms(self.latency_ms), jitter=whole_ms(self.jitter_ms)),),
            delay_ms=self.latency_ms,
        )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.jitter_ms > self.latency_ms:
            yield "jitter", refusal("`jitter` is larger than `latency`", "a delay cannot be negative; lower it")
