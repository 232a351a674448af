"""`status: 503` (+ `retry_after`): the backend answers with an error; with 429 it asks callers to wait."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, immediate
from harness.faults.fault import Effect, FaultContext
from harness.model.value_types import LongerDuration, refusal
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof
from harness.units import duration_literal

_CLASS: Final = re.compile("[45][xX]{2}")


def _one_status(value: Any) -> Any:
    """The value unchanged. Raises a refusal if it is a class of statuses, such as 5xx."""
    if isinstance(value, str) and _CLASS.fullmatch(value):
        written = "500 or 503" if value[0] == "5" else "400 or 429"
        raise refusal(f"`{value}` is many statuses, and this fault answers with one", f"write one, such as {written}")
    return value


class StatusFault(BackendFault):
    KIND: ClassVar = "status"

    status: Annotated[int, BeforeValidator(_one_status)] = Field(
        ge=400, le=599, description="The status of the answers: 500, 503, 429, 401 …"
    )
    retry_after_ms: LongerDuration | None = Field(
        None, alias="retry_after", description="Retry-After of that answer, in whole seconds; none by default"
    )

    @property
    def text(self) -> str:
        after = f", Retry-After {duration_literal(self.retry_after_ms)}" if self.retry_after_ms else ""
        return f"status {self.status}{after}"

    def compile(self, ctx: FaultContext) -> Effect:
        seconds = None if self.retry_after_ms is None else math.ceil(self.retry_after_ms / 1000)
        answer = behaviours.Status(status=self.status, retry_after_s=seconds)
        return immediate(answer, Proof(kind="answered", status=self.status))

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.retry_after_ms is not None and self.retry_after_ms % 1000:
            fix = f"write {math.ceil(self.retry_after_ms / 1000)}s"
            yield "retry_after", refusal("HTTP counts Retry-After in whole seconds", fix)
