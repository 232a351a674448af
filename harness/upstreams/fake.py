"""A fake backend: what fakes have in common, and the one with a seeded catalog in a provider's wire shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.model.value_types import LongerDuration, refusal, written
from harness.rundir.planned.forwarding import UrlParts
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, FakeSpec, PlannedUpstream
from harness.upstreams.latency_fields import latency_findings
from harness.upstreams.number_files import latency_points
from harness.upstreams.profile import LatencyProfile
from harness.upstreams.providers import PROVIDERS, ProviderName
from harness.upstreams.upstream import Upstream
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs, UpstreamReader


class Fake(Upstream):
    """A backend that tailgate plays: a latency in health, a capacity, and a record of every call."""

    KIND: ClassVar = "fake"

    p50_ms: LongerDuration = Field(written("200ms"), alias="p50", description="Median latency, in health")
    p99_ms: LongerDuration = Field(written("600ms"), alias="p99", description="99th percentile of latency, in health")
    profile: LatencyProfile | None = Field(
        None, description="Latency in health, where a lognormal by p50 and p99 is not it"
    )
    capacity: int | None = Field(
        None, ge=1, le=10_000, description="How many calls it works on at once; more wait in a queue"
    )

    tls: Literal["terminate"] | None = Field(
        None, description="terminate: it speaks HTTPS, with a certificate of an authority that exists for one run"
    )

    @property
    def terminates_tls(self) -> bool:
        return self.tls == "terminate"

    @property
    def records_calls(self) -> bool:
        return True

    @property
    def protocol(self) -> ProtocolName:
        return "http"

    def read_inputs(self, reader: UpstreamReader) -> UpstreamInputs:
        empirical = self.profile.empirical if self.profile else None
        return UpstreamInputs(recorded=reader.use(("profile", "empirical"), empirical, latency_points) or ())

    def plan(
        self, name: str, index: int, ports: Callable[[], int], inputs: UpstreamInputs = NO_INPUTS
    ) -> PlannedUpstream:
        return PlannedUpstream(
            name=name,
            known_as=self.known_as,
            index=index,
            kind=self.KIND,
            listener=Endpoint(port=self.port or ports()),
            origin=Endpoint(port=ports()),
            fake=self.spec(inputs),
            terminates_tls=self.terminates_tls,
            url_parts=UrlParts(scheme="https" if self.terminates_tls else "http"),
        )

    def spec(self, inputs: UpstreamInputs) -> FakeSpec:
        raise NotImplementedError

    def latency(self, inputs: UpstreamInputs) -> dict[str, Any]:
        """The fields of a FakeSpec that all fakes have."""
        p50_ms, p99_ms = self.p50_ms, self.p99_ms
        if self.profile:
            p50_ms, p99_ms = self.profile.percentiles_ms(inputs.recorded)
        return {
            "p50_ms": p50_ms,
            "p99_ms": p99_ms,
            "profile": self.profile.plan(inputs.recorded) if self.profile else None,
            "capacity": self.capacity,
        }

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from latency_findings(self)


class CatalogFake(Fake):
    """A fake with a seeded catalog, in the wire shape of a provider."""

    CALLED: ClassVar = "a fake with a catalog"
    ALSO_MEANT: ClassVar = ("routes", "har", "openapi", "wiremock", "url", "command", "proxy")

    provider: ProviderName = Field("generic", description="Wire shape it speaks")
    rows: int = Field(400, ge=1, le=5000, description="Offers in its catalog")
    page: int = Field(0, ge=0, le=5000, description="Offers on a page; 0: all at once")

    @property
    def wire_shape(self) -> str:
        return self.provider

    def carries_mark(self, inputs: UpstreamInputs) -> bool:
        return True

    def spec(self, inputs: UpstreamInputs) -> FakeSpec:
        return FakeSpec(rows=self.rows, page=self.page, provider=self.provider, **self.latency(inputs))

    def answer_bytes(self, inputs: UpstreamInputs = NO_INPUTS) -> tuple[int, int]:
        return PROVIDERS[self.provider].answer_bytes(self.rows, self.page)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.page and not PROVIDERS[self.provider].pages:
            found = f"{self.provider} has no pages: it answers with all rows at once"
            yield "page", refusal(found, "remove `page`", at_key=True)
