"""`truncate: 50%`: the head promises the whole body, half of it comes, the connection closes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness import behaviour
from harness.faults.faked import Faked, at_once
from harness.faults.fault import FAILED, Circumstances, Effect
from harness.fields import Share, refusal
from harness.units import format_share


class Truncate(Faked):
    KIND: ClassVar = "truncate"

    keep: Share = Field(alias="truncate", description="How much of the body still comes; less than 100%")

    @property
    def text(self) -> str:
        return f"body cut after {format_share(self.keep)}"

    def compile(self, met: Circumstances) -> Effect:
        return at_once(behaviour.Truncate(keep=self.keep), FAILED)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.keep >= 1:
            yield "truncate", refusal("a body of which 100% comes is whole", "write less, such as 50%")
