"""How a scenario writes a latency profile. Each profile as a distribution is in `harness.upstreams.profiles`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic_core import PydanticCustomError

from harness.model.strict_model import StrictModel
from harness.model.value_types import Duration, LongerDuration, refusal
from harness.rundir.planned.routes import PlannedProfile
from harness.units import duration_literal
from harness.upstreams.recording import Points

KINDS: Final = ("constant", "uniform", "normal", "lognormal", "pareto", "empirical")
_DIGITS: Final = 9
"""Digits of a percentile in a plan: few enough that a percentile that a scenario wrote is planned as it was written."""


class Shape(StrictModel):
    """The settings of one kind, named as `harness.upstreams.profiles` takes them."""

    KIND: ClassVar[str]


class UniformProfile(Shape):
    KIND: ClassVar = "uniform"

    low_ms: Duration = Field(alias="low")
    high_ms: Duration = Field(alias="high")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.high_ms < self.low_ms:
            yield "high", _below("high", self.high_ms, "low", self.low_ms)


class NormalProfile(Shape):
    KIND: ClassVar = "normal"

    mean_ms: LongerDuration = Field(alias="mean")
    deviation_ms: Duration = Field(alias="deviation", description="Standard deviation; below 0 ms becomes 0 ms")


class LognormalProfile(Shape):
    KIND: ClassVar = "lognormal"

    p50_ms: LongerDuration = Field(alias="p50")
    p99_ms: LongerDuration = Field(alias="p99")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.p99_ms < self.p50_ms:
            yield "p99", _below("p99", self.p99_ms, "p50", self.p50_ms)


class ParetoProfile(Shape):
    KIND: ClassVar = "pareto"

    least_ms: LongerDuration = Field(alias="least", description="No answer is faster")
    p99_ms: LongerDuration = Field(alias="p99")

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
        """p50 and p99 in milliseconds. `recorded`: the points of an empirical profile's file; without any, both are
        0."""
        from harness.upstreams.profiles import as_planned  # a late import, since most scenarios have no profile

        if self.empirical is not None and not recorded:
            return 0.0, 0.0
        latency_ms = as_planned(self.plan(recorded)).latency_ms
        return round(latency_ms(0.5), _DIGITS), round(latency_ms(0.99), _DIGITS)

    def plan(self, recorded: Points) -> PlannedProfile:
        if self.constant_ms is not None:
            return PlannedProfile(kind="constant", numbers_ms={"constant_ms": self.constant_ms})
        shape = self._shape
        if shape is None:
            return PlannedProfile(kind="empirical", points=recorded)
        return PlannedProfile(kind=shape.KIND, numbers_ms=shape.model_dump())

    @property
    def _shape(self) -> Shape | None:
        return next((value for _, value in self if isinstance(value, Shape)), None)


def _below(key: str, value_ms: float, other: str, other_ms: float) -> PydanticCustomError:
    return refusal(
        f"`{key}` ({duration_literal(value_ms)}) is below `{other}` ({duration_literal(other_ms)})",
        f"write at least {duration_literal(other_ms)}",
    )
