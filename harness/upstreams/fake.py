"""A fake backend: a seeded catalog in a provider's wire shape, a latency profile, and a record of every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.model.value_types import LongerDuration, refusal, written
from harness.rundir.plan import Endpoint, FakeSpec, PlannedUpstream
from harness.units import duration_literal
from harness.upstreams.profile import LatencyProfile
from harness.upstreams.providers import PROVIDERS, ProviderName
from harness.upstreams.recording import Points
from harness.upstreams.upstream import Upstream


class Fake(Upstream):
    KIND: ClassVar = "fake"

    p50_ms: LongerDuration = Field(written("200ms"), alias="p50", description="Median latency, in health")
    p99_ms: LongerDuration = Field(written("600ms"), alias="p99", description="99th percentile of latency, in health")
    profile: LatencyProfile | None = Field(
        None, description="Latency in health, where a lognormal by p50 and p99 is not it"
    )
    provider: ProviderName = Field("generic", description="Wire shape it speaks")
    rows: int = Field(400, ge=1, le=5000, description="Offers in its catalog")
    page: int = Field(0, ge=0, le=5000, description="Offers on a page; 0: all at once")
    capacity: int | None = Field(
        None, ge=1, le=10_000, description="How many calls it works on at once; more wait in a queue"
    )

    @classmethod
    def reads(cls, raw: dict[str, Any]) -> bool:
        return True

    @property
    def wire_shape(self) -> str:
        return self.provider

    @property
    def recording(self) -> str | None:
        return self.profile.empirical if self.profile else None

    def plan(self, name: str, index: int, ports: Callable[[], int], recorded: Points = ()) -> PlannedUpstream:
        p50_ms, p99_ms = self.profile.percentiles_ms(recorded) if self.profile else (self.p50_ms, self.p99_ms)
        return PlannedUpstream(
            name=name,
            known_as=self.known_as,
            index=index,
            kind=self.KIND,
            listener=Endpoint(port=self.port or ports()),
            origin=Endpoint(port=ports()),
            fake=FakeSpec(
                p50_ms=p50_ms,
                p99_ms=p99_ms,
                rows=self.rows,
                page=self.page,
                provider=self.provider,
                profile=self.profile.plan(recorded) if self.profile else None,
                capacity=self.capacity,
            ),
        )

    @property
    def answer_bytes(self) -> int:
        return PROVIDERS[self.provider].answer_bytes(self.rows, self.page)[0]

    @property
    def answer_bytes_most(self) -> int:
        return PROVIDERS[self.provider].answer_bytes(self.rows, self.page)[1]

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.profile and self.model_fields_set & {"p50_ms", "p99_ms"}:
            fix = "keep one of them; p50 and p99 are short for profile: {lognormal: {p50: …, p99: …}}"
            yield "profile", refusal("`profile` and `p50`, `p99` both say how long it takes", fix, at_key=True)
        elif self.p99_ms < self.p50_ms:
            given = f"`p99` ({duration_literal(self.p99_ms)}) is below `p50` ({duration_literal(self.p50_ms)})"
            yield "p99", refusal(given, "p99 is the slow end; write both if one default does not fit")
        if self.page and not PROVIDERS[self.provider].pages:
            found = f"{self.provider} has no pages: it answers with all rows at once"
            yield "page", refusal(found, "remove `page`", at_key=True)
