"""A fake backend: seeded catalog, lognormal latency from its p50 and p99, every call recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Final, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.fields import LongerDuration, refusal, written
from harness.plan import PlannedUpstream
from harness.units import spell_duration
from harness.upstreams.upstream import Upstream

ROW_BYTES_LEAST: Final = 200
"""A catalog row as JSON is never shorter."""


class Fake(Upstream):
    KIND: ClassVar = "fake"

    p50_ms: LongerDuration = Field(written("200ms"), alias="p50", description="Median latency, in health")
    p99_ms: LongerDuration = Field(written("600ms"), alias="p99", description="99th percentile of latency, in health")
    provider: Literal["generic"] = Field("generic", description="Wire shape it speaks")
    rows: int = Field(400, ge=1, le=5000, description="Offers in its catalog")
    page: int = Field(0, ge=0, le=5000, description="Offers on a page; 0: all at once")

    def plan(self, name: str, index: int, ports: Callable[[], int]) -> PlannedUpstream:
        return PlannedUpstream(
            name=name,
            index=index,
            kind="fake",
            listen_port=self.port or ports(),
            backend_port=ports(),
            p50_ms=self.p50_ms,
            p99_ms=self.p99_ms,
            rows=self.rows,
            page=self.page,
            provider=self.provider,
        )

    @property
    def answer_bytes(self) -> int:
        return ROW_BYTES_LEAST * min(self.rows, self.page or self.rows)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.p99_ms < self.p50_ms:
            given = f"`p99` ({spell_duration(self.p99_ms)}) is below `p50` ({spell_duration(self.p50_ms)})"
            yield "p99", refusal(given, "p99 is the slow end; write both if one default does not fit")
