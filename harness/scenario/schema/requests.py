"""What a scenario sends: its requests, what their answers must be, and rates that change in stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.model.request_syntax import RequestLine
from harness.model.strict_model import StrictModel
from harness.model.value_types import LongerDuration, Rate, refusal
from harness.scenario.schema.value_syntax import Headers, Statuses, Text
from harness.text import is_sanitized

NAME_MOST: Final = 200


class StagePart(StrictModel):
    rate_per_s: Rate = Field(alias="rate")
    for_ms: LongerDuration = Field(alias="for")
    shape: Literal["step", "ramp"] = Field("step", description="ramp: linear from the stage before (0/s for the first)")


Stages = Annotated[tuple[StagePart, ...], Field(min_length=1, max_length=1_000)]


def rateless(
    rate_per_s: float | None, stages: tuple[StagePart, ...] | None
) -> Iterator[tuple[str, PydanticCustomError]]:
    """What is wrong with a `rate` or `stages` that would send nothing."""
    if rate_per_s == 0:
        yield "rate", refusal("a rate of 0/s sends nothing", "write at least 1/s")
    if stages and not any(stage.rate_per_s for stage in stages):
        yield "stages", refusal("every stage has a rate of 0/s, which sends nothing", "give one a rate")


class Expect(StrictModel):
    status: Statuses | None = Field(None, description="Anything else is a bad answer")
    contains: Text | None = Field(None, description="A text that the body must contain")
    lacks: Text | None = Field(None, description="A text that the body must not contain")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.contains is not None and self.lacks is not None and self.lacks in self.contains:
            found = "no answer can contain the text of `contains` and lack this part of it"
            yield "lacks", refusal(found, "write a longer text here, or remove one of the two")


class SentRequest(StrictModel):
    """What is sent, and what must come back. A plain string is short for `request`."""

    SHORT_FOR: ClassVar = "request"
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("body", "json"),)

    request: RequestLine
    headers: Headers = {}
    body: str | None = None
    json_body: Any = Field(None, alias="json", description="Sent as application/json")
    expect: Expect | None = None

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        method = self.request.split()[0]
        for key, value in (("body", self.body), ("json", self.json_body)):
            if value is not None and method in ("GET", "HEAD"):
                yield key, refusal(f"a {method} request has no body", "use POST, or remove it")


class Request(SentRequest):
    """A plain string is short for `request`."""

    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (*SentRequest.AT_MOST_ONE, ("weight", "rate", "stages"))

    given_name: Text | None = Field(None, alias="name", description="Its name in gates; default: METHOD PATH")
    weight: int = Field(1, ge=1, le=1_000_000, description="How often, relative to the others")
    rate_per_s: Rate | None = Field(None, alias="rate", description="A rate of its own, whatever the others' rate is")
    stages: Stages | None = Field(None, description="As `rate`, which changes with time")
    asks: tuple[str, ...] | None = Field(None, description="Upstreams that a complete answer contains; default: all")

    @property
    def name(self) -> str:
        return self.given_name or self.request

    @property
    def has_own_rate(self) -> bool:
        """Whether it is a stream of its own, and does not share the rate of the load."""
        return self.rate_per_s is not None or self.stages is not None

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if any(char in self.name for char in '"\n\t') or not is_sanitized(self.name) or len(self.name) > NAME_MOST:
            found = f"a request's name is one line of up to {NAME_MOST} characters, without quotes or invisible ones"
            yield "name", refusal(found, "choose a simpler one, or give the request a `name`")
        yield from super().findings()
        yield from rateless(self.rate_per_s, self.stages)
