"""`malformed: true`: a 200 whose body is no JSON, as from a proxy, or after a crash in the middle of encoding."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.faked import BackendFault, immediate
from harness.faults.fault import Effect, FaultContext
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof


class MalformedFault(BackendFault):
    KIND: ClassVar = "malformed"

    malformed: Literal[True] = Field(description="Answer 200 with a body that is no JSON")

    @property
    def text(self) -> str:
        return "malformed JSON"

    def compile(self, ctx: FaultContext) -> Effect:
        return immediate(behaviours.Malformed(), Proof(kind="answered", status=200, looks="no_json"))
