"""`wrong_schema: true`: valid JSON of another shape, as after a release that nobody announced."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness import behaviour
from harness.faults.faked import Faked, at_once
from harness.faults.fault import Circumstances, Effect
from harness.plan import Proof


class WrongSchema(Faked):
    KIND: ClassVar = "wrong_schema"

    wrong_schema: Literal[True] = Field(description="Answer valid JSON of another shape")

    @property
    def text(self) -> str:
        return "wrong schema"

    def compile(self, met: Circumstances) -> Effect:
        return at_once(behaviour.WrongSchema(), Proof(kind="answered", status=200, looks="no_offers"))
