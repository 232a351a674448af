"""`toxic: {type, attributes}`: a toxic as Toxiproxy spells it, in Toxiproxy's own units.

Only its seven types, with exactly their attributes: the server ignores unknown ones in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.fault import CANARY_WAIT_MS, FAILED, Effect, Fault, FaultContext, UnobservableFault, delayed_proof
from harness.model.strict_model import StrictModel
from harness.model.value_types import did_you_mean, refusal
from harness.rundir.plan import Proof

ATTRIBUTES: Final = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
}
ToxicType = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]


class RawToxic(StrictModel):
    type: ToxicType
    attributes: dict[str, int] = Field({}, description="Whole numbers, in Toxiproxy's units")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        known = ATTRIBUTES[self.type]
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
        delay_ms = self._delay_ms()
        if self.raw.type == "limit_data":
            held_ms = 0.0
        elif delay_ms is None:
            held_ms = ctx.hold_ms
        else:
            held_ms = min(delay_ms + self._attribute("jitter"), ctx.hold_ms)
        return Effect(
            held_ms=held_ms,
            proof=self._proof(ctx, delay_ms),
            toxics=(self.toxic(self.raw.type, **self.raw.attributes),),
            delay_ms=delay_ms if self.raw.type in ("latency", "slow_close") else None,
        )

    def _attribute(self, name: str) -> int:
        return self.raw.attributes.get(name, 0)

    def _delay_ms(self) -> float | None:
        """How long it holds a caller, where that is one known time."""
        match self.raw.type:
            case "latency":
                return self._attribute("latency")
            case "slow_close":
                return self._attribute("delay")
            case "timeout" | "reset_peer":
                wait_ms = self._attribute("timeout")
                return None if self.raw.type == "timeout" and wait_ms == 0 else wait_ms
            case _:
                return None

    def _proof(self, ctx: FaultContext, delay_ms: float | None) -> Proof:
        carried = self.carried_bytes(ctx)
        match self.raw.type:
            case "timeout" | "reset_peer":
                early = delay_ms is not None and delay_ms < CANARY_WAIT_MS
                return FAILED if early else delayed_proof(ctx, delay_ms=delay_ms)
            case "bandwidth":
                rate = self._attribute("rate")
                return delayed_proof(ctx, delay_ms=carried / rate if rate else None)
            case "slicer":
                pauses = carried // max(1, self._attribute("average_size"))
                return delayed_proof(ctx, delay_ms=pauses * self._attribute("delay") / 1000)
            case "limit_data":
                if self._attribute("bytes") >= carried:
                    raise UnobservableFault(f"a whole canary ({carried} bytes) fits", f"write bytes: {carried // 2}")
                return FAILED
            case _:
                return delayed_proof(ctx, delay_ms=(delay_ms or 0) - self._attribute("jitter") / 2)
