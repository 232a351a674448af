"""`hang: true`: connections stay open and nothing comes, until the fault is removed; then they close."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.fault import Circumstances, Effect, Fault, held


class Hang(Fault):
    KIND: ClassVar = "hang"

    hang: Literal[True] = Field(description="Accept and never answer")

    @property
    def text(self) -> str:
        return "hang"

    def compile(self, met: Circumstances) -> Effect:
        # a timeout toxic of 0 holds for ever
        return Effect(held_ms=met.hold_ms, proof=held(met), toxics=(self.toxic("timeout", timeout=0),))
