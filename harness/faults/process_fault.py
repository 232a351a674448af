"""What the faults share that act on a whole process: an upstream that tailgate starts, or the service under test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic_core import PydanticCustomError

from harness.faults.fault import ALL, Effect, Fault
from harness.model.value_types import refusal
from harness.rundir.planned.fault import Proof
from harness.rundir.planned.process_act import ProcessAct

IN_PROC: Proof = Proof(kind="process")
"""The state of the process in /proc proves the fault, and requests or calls show that it was met."""


class ProcessFault(Fault):
    ACTS_ON: ClassVar = "process"
    ON_SERVICE: ClassVar = True
    ACT: ClassVar[ProcessAct]

    @property
    def text(self) -> str:
        return self.KIND

    def service_effect(self) -> Effect:
        return Effect(held_ms=0.0, proof=IN_PROC, process=self.ACT)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if 0 < self.share < 1:
            yield "share", refusal(f"`{self.KIND}` acts on a process, so on every request", "remove `share`")
        if self.stream == "upstream":
            yield "stream", refusal(f"`{self.KIND}` acts on a process, so in both directions", "remove `stream`")
        if self.on_service and (len(self.targets) > 1 or ALL in self.targets):
            fix = "write a fault of its own for the service"
            yield "upstream", refusal("the service and upstreams cannot be in one fault", fix)
