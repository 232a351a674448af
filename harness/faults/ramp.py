"""`ramp: 0ms → 5s over 60s`: a delay that changes linearly, then stays until the fault ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, delayed
from harness.faults.fault import Effect, FaultContext, intermittent_proof
from harness.model.value_types import LONGEST_MS, kind_of, refusal, shortened
from harness.rundir.planned import behaviours
from harness.units import duration_literal, parse_duration_ms

_RAMP: Final = re.compile(r"\s*(\S+)\s*(?:→|->)\s*(\S+)\s+over\s+(\S+)\s*")
_FIX: Final = "write it as `0ms → 5s over 60s`; the arrow may also be written as ->"


@dataclass(frozen=True, slots=True)
class LinearRamp:
    """A delay from `from_ms` to `to_ms`, linear over `over_ms`."""

    from_ms: float
    to_ms: float
    over_ms: float


def _linear_ramp(value: Any) -> LinearRamp:
    if isinstance(value, LinearRamp):
        return value
    if not isinstance(value, str):
        raise refusal(f"expected a ramp, not {kind_of(value)}", _FIX)
    match = _RAMP.fullmatch(value)
    if not match:
        raise refusal(f"`{shortened(value)}` is not a ramp", _FIX)
    try:
        slope = LinearRamp(*(parse_duration_ms(word) for word in match.groups()))
    except ValueError:
        raise refusal(f"`{shortened(value)}` is not a ramp: one of its three values is not a duration", _FIX) from None
    if slope.from_ms == slope.to_ms:
        raise refusal("this ramp begins and ends with the same delay", "use `latency`, which is a constant delay")
    if slope.over_ms < 1 or max(slope.from_ms, slope.to_ms, slope.over_ms) > LONGEST_MS:
        raise refusal(
            f"`{shortened(value)}` is out of bounds",
            "write delays of at most 24h, and between 1ms and 24h after `over`",
        )
    return slope


class RampFault(BackendFault):
    KIND: ClassVar = "ramp"

    slope: Annotated[
        LinearRamp,
        BeforeValidator(_linear_ramp),
        WithJsonSchema(
            {
                "type": "string",
                "description": "The delay at the beginning → the delay at the end, over the time between",
                "pattern": r"^\s*\S+\s*(→|->)\s*\S+\s+over\s+\S+\s*$",
                "examples": ["0ms → 5s over 60s", "0ms -> 5s over 60s"],
            }
        ),
    ] = Field(alias="ramp")

    @property
    def text(self) -> str:
        slope = self.slope
        begin, end = duration_literal(slope.from_ms), duration_literal(slope.to_ms)
        return f"latency {begin} → {end} over {duration_literal(slope.over_ms)}"

    def compile(self, ctx: FaultContext) -> Effect:
        slope = self.slope
        ramp = behaviours.Ramp(from_ms=slope.from_ms, to_ms=slope.to_ms, over_ms=slope.over_ms)
        top_ms = max(slope.from_ms, slope.to_ms)
        return delayed(ramp, intermittent_proof(ctx, delay_ms=top_ms / 2), ctx, at_most_ms=top_ms)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.slope.over_ms > self.for_ms:
            yield (
                "ramp",
                refusal(
                    f"the ramp takes {duration_literal(self.slope.over_ms)}, and the fault ends before it is over",
                    f"write `for: {duration_literal(self.slope.over_ms)}` or more, or a shorter time after `over`",
                ),
            )
