"""`empty: true`: a correct answer without a single offer, which looks like "nothing to sell"."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness import behaviour
from harness.faults.faked import Faked, at_once
from harness.faults.fault import Circumstances, Effect
from harness.plan import Proof


class Empty(Faked):
    KIND: ClassVar = "empty"

    empty: Literal[True] = Field(description="Answer correctly, without any offer")

    @property
    def text(self) -> str:
        return "empty catalog"

    def compile(self, met: Circumstances) -> Effect:
        return at_once(behaviour.Empty(), Proof(kind="answered", status=200, looks="no_offers"))
