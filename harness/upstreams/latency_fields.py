"""What must hold between `p50`, `p99` and `profile`, which fakes and their routes have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pydantic_core import PydanticCustomError

from harness.model.value_types import refusal
from harness.units import duration_literal


class HasLatency(Protocol):
    @property
    def p50_ms(self) -> float | None: ...
    @property
    def p99_ms(self) -> float | None: ...
    @property
    def profile(self) -> Any: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def latency_findings(part: HasLatency) -> Iterator[tuple[str, PydanticCustomError]]:
    """As `StrictModel.findings`."""
    if part.profile and part.model_fields_set & {"p50_ms", "p99_ms"}:
        fix = "keep one of them; p50 and p99 are short for profile: {lognormal: {p50: …, p99: …}}"
        yield "profile", refusal("`profile` and `p50`, `p99` both say how long it takes", fix, at_key=True)
    elif part.p50_ms is not None and part.p99_ms is not None and part.p99_ms < part.p50_ms:
        p50, p99 = duration_literal(part.p50_ms), duration_literal(part.p99_ms)
        fix = f"p99 is the slow end: write `p99: {p50}` or more, or `p50: {p99}` or less"
        yield "p99", refusal(f"`p99` ({p99}) is below `p50` ({p50})", fix)
