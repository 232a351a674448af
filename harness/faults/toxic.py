"""`toxic: {type, attributes}`: a toxic as in Toxiproxy's API, with its names and units.

Only its seven types and their attributes are accepted, because the server silently ignores unknown attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.fault import CANARY_WAIT_MS, FAILED, Effect, Fault, FaultContext, UnobservableFault, delayed_proof
from harness.model.strict_model import StrictModel
from harness.model.value_types import did_you_mean, refusal
from harness.rundir.planned.fault import Proof
from harness.rundir.toxics import TOXICS

ToxicName = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]


class RawToxic(StrictModel):
    """A toxic's type and attributes, as Toxiproxy's API takes them."""

    type: ToxicName
    attributes: dict[str, int] = Field({}, description="Whole numbers, in Toxiproxy's units")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        known = TOXICS[self.type].attributes
        for name, value in self.attributes.items():
            if name not in known:
                yield "attributes", refusal(f"`{self.type}` has no attribute `{name}`", did_you_mean(name, known))
            elif not 0 <= value < 2**31:
                yield "attributes", refusal(f"`{name}: {value}` is out of range", "write a whole number from 0 up")


class ToxicFault(Fault):
    KIND: ClassVar = "toxic"

    raw: RawToxic = Field(alias="toxic")

    @property
    def text(self) -> str:
        written = ", ".join(f"{name} {value}" for name, value in self.raw.attributes.items())
        return f"toxic {self.raw.type}" + (f" ({written})" if written else "")

    def compile(self, ctx: FaultContext) -> Effect:
        toxic = TOXICS[self.raw.type]
        delay_ms = toxic.caller_delay_ms(self.raw.attributes)
        flights = ctx.flights if self.raw.type == "latency" else 1
        longest_ms = None if delay_ms is None else flights * (delay_ms + self._attribute("jitter"))
        held_ms = ctx.hold_ms if longest_ms is None else min(longest_ms, ctx.hold_ms)
        return Effect(
            held_ms=held_ms,
            proof=self._proof(ctx, delay_ms),
            toxics=(self.toxic(self.raw.type, **self.raw.attributes),),
            delay_ms=delay_ms if toxic.is_delay else None,
        )

    def _attribute(self, name: str) -> int:
        return self.raw.attributes.get(name, 0)

    def _proof(self, ctx: FaultContext, delay_ms: float | None) -> Proof:
        toxic, carried = TOXICS[self.raw.type], self.carried_bytes(ctx)
        if toxic.ends:
            if self._attribute("bytes") >= carried:
                raise UnobservableFault(f"a whole canary ({carried} bytes) fits", f"write bytes: {carried // 2}")
            early = delay_ms is not None and delay_ms < CANARY_WAIT_MS
            return FAILED if early else delayed_proof(ctx, delay_ms=delay_ms)
        if delay_ms is not None:
            return delayed_proof(ctx, delay_ms=delay_ms - self._attribute("jitter") / 2)
        # a toxic without a rate has no known delay
        known = all(self._attribute(name) for name in toxic.attributes[:1])
        return delayed_proof(ctx, delay_ms=toxic.delay_ms(self.raw.attributes, carried) if known else None)
