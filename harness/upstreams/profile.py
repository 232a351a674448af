"""How a scenario spells a latency profile. What each draws is `fake_backends.profiles`; nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic_core import PydanticCustomError

from harness.model.strict_model import StrictModel
from harness.model.value_types import Duration, LongerDuration, refusal
from harness.rundir.plan import PlannedProfile
from harness.units import duration_literal
from harness.upstreams.recording import Points, value_at

KINDS: Final = ("constant", "uniform", "normal", "lognormal", "pareto", "empirical")
Z99: Final = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


class Shape(StrictModel):
    """The settings of one kind, named as `fake_backends.profiles` takes them; `percentiles_ms` is p50 and p99."""

    KIND: ClassVar[str]

    @property
    def percentiles_ms(self) -> tuple[float, float]:
        raise NotImplementedError


class UniformProfile(Shape):
    KIND: ClassVar = "uniform"

    low_ms: Duration = Field(alias="low")
    high_ms: Duration = Field(alias="high")

    @property
    def percentiles_ms(self) -> tuple[float, float]:
        width_ms = self.high_ms - self.low_ms
        return self.low_ms + 0.5 * width_ms, self.low_ms + 0.99 * width_ms

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.high_ms < self.low_ms:
            yield "high", _below("high", self.high_ms, "low", self.low_ms)


class NormalProfile(Shape):
    KIND: ClassVar = "normal"

    mean_ms: LongerDuration = Field(alias="mean")
    deviation_ms: Duration = Field(alias="deviation", description="Standard deviation; below 0 ms becomes 0 ms")

    @property
    def percentiles_ms(self) -> tuple[float, float]:
        return self.mean_ms, self.mean_ms + Z99 * self.deviation_ms


class LognormalProfile(Shape):
    KIND: ClassVar = "lognormal"

    p50_ms: LongerDuration = Field(alias="p50")
    p99_ms: LongerDuration = Field(alias="p99")

    @property
    def percentiles_ms(self) -> tuple[float, float]:
        return self.p50_ms, self.p99_ms

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.p99_ms < self.p50_ms:
            yield "p99", _below("p99", self.p99_ms, "p50", self.p50_ms)


class ParetoProfile(Shape):
    KIND: ClassVar = "pareto"

    least_ms: LongerDuration = Field(alias="least", description="No answer is faster")
    p99_ms: LongerDuration = Field(alias="p99")

    @property
    def percentiles_ms(self) -> tuple[float, float]:
        return self.least_ms * (self.p99_ms / self.least_ms) ** math.log(2, 100), self.p99_ms

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.p99_ms < self.least_ms:
            yield "p99", _below("p99", self.p99_ms, "least", self.least_ms)


class LatencyProfile(StrictModel):
    """Exactly one kind."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in KINDS]})
    ONE_OF: ClassVar = (KINDS,)

    constant_ms: Duration | None = Field(None, alias="constant", description="Every answer takes as long")
    uniform: UniformProfile | None = Field(None, description="Anything from low to high, equally likely")
    normal: NormalProfile | None = Field(None, description="The bell curve")
    lognormal: LognormalProfile | None = Field(
        None, description="Skewed, as most response times are; p50 and p99 for short"
    )
    pareto: ParetoProfile | None = Field(None, description="A heavy tail: now and then one takes very long")
    empirical: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Recorded from the real thing: a file with one number of milliseconds a line"
    )

    def percentiles_ms(self, recorded: Points) -> tuple[float, float]:
        """p50 and p99. `recorded`: what the file of an empirical one came to."""
        if self.constant_ms is not None:
            return self.constant_ms, self.constant_ms
        shape = self._shape
        return shape.percentiles_ms if shape else (value_at(recorded, 0.5), value_at(recorded, 0.99))

    def plan(self, recorded: Points) -> PlannedProfile:
        if self.constant_ms is not None:
            return PlannedProfile(kind="constant", numbers_ms={"constant_ms": self.constant_ms})
        shape = self._shape
        if shape is None:
            return PlannedProfile(kind="empirical", points=recorded)
        return PlannedProfile(kind=shape.KIND, numbers_ms=shape.model_dump())

    @property
    def _shape(self) -> Shape | None:
        shapes: tuple[Shape | None, ...] = (self.uniform, self.normal, self.lognormal, self.pareto)
        return next((shape for shape in shapes if shape is not None), None)


def _below(key: str, value_ms: float, other: str, other_ms: float) -> PydanticCustomError:
    return refusal(
        f"`{key}` ({duration_literal(value_ms)}) is below `{other}` ({duration_literal(other_ms)})",
        f"write at least {duration_literal(other_ms)}",
    )
