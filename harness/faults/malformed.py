"""`malformed: true`: a 200 whose body is no JSON, as of a proxy or a crash in the middle of encoding."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness import behaviour
from harness.faults.faked import Faked, at_once
from harness.faults.fault import Circumstances, Effect
from harness.plan import Proof


class Malformed(Faked):
    KIND: ClassVar = "malformed"

    malformed: Literal[True] = Field(description="Answer 200 with a body that is no JSON")

    @property
    def text(self) -> str:
        return "malformed JSON"

    def compile(self, met: Circumstances) -> Effect:
        return at_once(behaviour.Malformed(), Proof(kind="answered", status=200, looks="no_json"))
