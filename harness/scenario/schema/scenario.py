"""The models of a scenario, field for field the public contract. They validate each section by itself.

What must hold between sections (names that refer to each other, windows that must fit) is checked by
`harness.scenario.names` and `harness.scenario.checks`; `harness.scenario.source.diagnostics` adds positions in the
file. Attributes carry their unit (`for_ms`); their aliases are the keys in a scenario (`for`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from harness.faults import Fault, parse_fault
from harness.gates.parse import gate_text
from harness.model.command_line import Command
from harness.model.request_syntax import Environment, Ready, RequestLine, ready_parts
from harness.model.strict_model import StrictModel
from harness.model.value_types import Duration, LongerDuration, Name, Rate, Share, kind_of, refusal, written
from harness.scenario.schema.listed import by_name
from harness.scenario.schema.matrix import Matrix
from harness.scenario.schema.rungs import POLICIES_OF, Rung, cannot_add, unknown_policy
from harness.scenario.schema.toxiproxy_part import ToxiproxyPart
from harness.scenario.schema.value_syntax import (
    ALERTS_OF_A_RUNG,
    Alerts,
    BaseUrl,
    Headers,
    ScenarioName,
    Statuses,
    Text,
    alerts_parts,
)
from harness.text import is_sanitized, one_line
from harness.upstreams.kinds import Upstream, parse_upstream

NAME_MOST: Final = 200


class Service(StrictModel):
    """The service under test: a command, a URL, or one rung (a variant) of the reference aggregator."""

    ONE_OF: ClassVar = (("command", "rung", "url"),)

    rung: Rung | None = Field(None, description="The reference aggregator in one of its variants")
    command: Command | None = Field(None, description="Started without a shell; {port} is the port it must listen on")
    url: BaseUrl | None = Field(None, description="A service that runs already; outside loopback: --allow-target")
    without: tuple[str, ...] = Field((), description="Policies of the rung to switch off")
    also: tuple[str, ...] = Field((), alias="with", description="Policies to add that the rung lacks")
    client: Literal["aiohttp", "httpx"] | None = Field(
        None, description="For a rung: its HTTP client; httpx has one pool of 100 connections for all backends"
    )
    env: Environment = Field({}, description="Environment; {azure.url} is the address of upstream azure")
    cwd: Text = Field(".", description="Working directory, relative to this file")
    ready: Ready = Field("GET /healthz within 10s", description="METHOD PATH within DURATION")
    headers: Headers = Field({}, description="Sent with every request, the readiness probe included")
    alerts: Alerts | None = Field(
        None,
        description="GET PATH METRIC: an alert metric with the upstream's name as a label; "
        f"default for a rung: {ALERTS_OF_A_RUNG}",
    )

    @property
    def alerts_parts(self) -> tuple[str, str] | None:
        """Path and metric of the alert; None if the service has none."""
        spelled = self.alerts or (ALERTS_OF_A_RUNG if self.rung is not None else None)
        return alerts_parts(spelled) if spelled else None

    @property
    def ready_parts(self) -> tuple[str, str, float]:
        """Method, path and time limit (ms) of the readiness probe."""
        return ready_parts(self.ready)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        for key in ("without", "with") if self.rung is None else ():
            if self.without if key == "without" else self.also:
                yield key, refusal("only a rung of the aggregator has policies", f"remove `{key}`")
                return
        if self.client and self.rung is None:
            yield "client", refusal("only a rung of the aggregator has clients to choose from", "remove `client`")
            return
        if self.rung is None:
            return
        has = POLICIES_OF[self.rung]
        if self.client and "threads" in {*has, *self.also} - set(self.without):
            yield "client", refusal("the policy `threads` has a blocking client of its own", "remove `client`")
        for policy in self.without:
            if policy not in has:
                yield "without", unknown_policy(self.rung, policy)
        for policy in self.also:
            if problem := cannot_add(self.rung, policy):
                yield "with", problem


class Gateway(StrictModel):
    kind: Literal["auto", "nginx", "client", "external", "none"] = Field(
        "auto", description="auto: nginx where found, else a total deadline that the load generator enforces"
    )
    timeout_ms: LongerDuration = Field(written("30s"), alias="timeout", description="After how long it answers 504")

    @property
    def deadline_ms(self) -> float | None:
        return None if self.kind == "none" else self.timeout_ms


class StagePart(StrictModel):
    rate_per_s: Rate = Field(alias="rate")
    for_ms: LongerDuration = Field(alias="for")
    shape: Literal["step", "ramp"] = Field("step", description="ramp: linear from the stage before (0/s for the first)")


class Expect(StrictModel):
    status: Statuses | None = Field(None, description="Anything else is a bad answer")
    contains: Text | None = Field(None, description="A text that the body must contain")
    lacks: Text | None = Field(None, description="A text that the body must not contain")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.contains is not None and self.lacks is not None and self.lacks in self.contains:
            found = "no answer can contain the text of `contains` and lack this part of it"
            yield "lacks", refusal(found, "write a longer text here, or remove one of the two")


class Request(StrictModel):
    """A plain string is short for `request`."""

    SHORT_FOR: ClassVar = "request"
    AT_MOST_ONE: ClassVar = (("body", "json"),)

    given_name: Text | None = Field(None, alias="name", description="Its name in gates; default: METHOD PATH")
    request: RequestLine
    headers: Headers = {}
    body: str | None = None
    json_body: Any = Field(None, alias="json", description="Sent as application/json")
    weight: int = Field(1, ge=1, le=1_000_000, description="How often, relative to the others")
    asks: tuple[str, ...] | None = Field(None, description="Upstreams that a complete answer contains; default: all")
    expect: Expect | None = None

    @property
    def name(self) -> str:
        return self.given_name or self.request

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if any(char in self.name for char in '"\n\t') or not is_sanitized(self.name) or len(self.name) > NAME_MOST:
            found = f"a request's name is one line of up to {NAME_MOST} characters, without quotes or invisible ones"
            yield "name", refusal(found, "choose a simpler one, or give the request a `name`")
        method = self.request.split()[0]
        for key, value in (("body", self.body), ("json", self.json_body)):
            if value is not None and method in ("GET", "HEAD"):
                yield key, refusal(f"a {method} request has no body", "use POST, or remove it")


class JmesPath(StrictModel):
    jmespath: Annotated[Text, Field(max_length=500)] = Field(
        description="An expression that lists the upstreams in an answer"
    )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        import jmespath
        from jmespath.exceptions import JMESPathError

        try:
            with warnings.catch_warnings(action="ignore"):
                jmespath.compile(self.jmespath)
        except (JMESPathError, ValueError) as exc:
            reason = one_line(str(exc).partition("\n")[0])
            yield "jmespath", refusal(f"not a JMESPath expression: {reason}", "such as offers[].backend")
        except RecursionError:
            yield "jmespath", refusal("this JMESPath expression is nested too deeply", "such as offers[].backend")


def _complete(value: Any) -> str | JmesPath:
    if isinstance(value, dict | JmesPath):
        return JmesPath.model_validate(value)
    if value not in ("auto", "none"):
        raise refusal(f"expected auto, none or {{jmespath: …}}, not {kind_of(value)}")
    return str(value)


Complete = Annotated[
    Literal["auto", "none"] | JmesPath,
    PlainValidator(_complete, json_schema_input_type=Literal["auto", "none"] | JmesPath),
]


class Load(StrictModel):
    ONE_OF: ClassVar = (("rate", "users", "stages", "replay"), ("request", "requests", "locustfile"))

    rate_per_s: Rate | None = Field(
        None, alias="rate", description="Open model: arrivals per time, whether or not the service keeps up"
    )
    users: int | None = Field(None, ge=1, le=100_000, description="Closed model: each user waits for its answer")
    stages: Annotated[tuple[StagePart, ...], Field(min_length=1, max_length=1_000)] | None = None
    replay: Text | None = Field(None, description="Recorded arrivals: a file with one number per line, in seconds")
    arrivals: Literal["poisson", "constant"] = "poisson"
    request: Request | None = None
    requests: Annotated[tuple[Request, ...], Field(min_length=1, max_length=1_000)] | None = None
    locustfile: Text | None = Field(None, description="Your own user classes; tasks run at the planned times")
    data: Text | None = Field(None, description="A CSV file with a header line")
    headers: Headers = {}
    warmup_ms: Duration = Field(written("10s"), alias="warmup", description="Before t = 0; no gate counts it")
    baseline_ms: Duration | None = Field(
        None, alias="baseline", description="Before the first fault; default 30s, 60s if a gate needs it"
    )
    recovery_ms: Duration | None = Field(
        None, alias="recovery", description="After each fault; default 20s, or what a recovery gate needs"
    )
    duration_ms: LongerDuration | None = Field(
        None, alias="duration", description="From t = 0; default: what the faults need, 60s without faults"
    )
    drain_ms: Duration | None = Field(None, alias="drain", description="Time for requests that are open at the end")
    guard_ms: Duration | None = Field(
        None, alias="guard", description="Before each fault; default min(5s, gateway.timeout)"
    )
    timeout_ms: LongerDuration | None = Field(
        None, alias="timeout", description="When the load generator gives up; default gateway.timeout + 5s"
    )
    max_in_flight: int | None = Field(None, ge=1, le=1_000_000)
    ok: Statuses = Field(written("200-399"), description="Statuses that count as ok")
    complete: Complete | None = Field(None, description="How to find upstreams in an answer; auto finds fakes' rows")

    @property
    def written_requests(self) -> tuple[Request, ...]:
        """The requests of the scenario; empty with a locustfile."""
        return (self.request,) if self.request else self.requests or ()

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.rate_per_s == 0:
            yield "rate", refusal("a rate of 0/s sends nothing", "write at least 1/s")
        if self.stages and not any(stage.rate_per_s for stage in self.stages):
            yield "stages", refusal("every stage has a rate of 0/s, which sends nothing", "give one a rate")
        if self.duration_ms is not None and (self.stages or self.replay):
            own = "stages" if self.stages else "replay"
            yield "duration", refusal(f"`{own}` determines how long the load lasts", "remove `duration`")
        if self.users is not None and "max_in_flight" in self.model_fields_set:
            yield (
                "max_in_flight",
                refusal("`users` determines how many requests are in flight", "remove `max_in_flight`"),
            )


class Verdict(StrictModel):
    confidence: Share = Field(written("95%"), description="The confidence of each PASS")
    clump_ms: LongerDuration = Field(
        written("100ms"), alias="clump", description="Assumed mean length of slow spells (correlation time)"
    )
    inconclusive: Literal["fail", "warn"] = Field("fail", description="warn: an inconclusive run exits 0")
    runs: int = Field(1, ge=1, le=20, description="Runs that are pooled, each with its own seed")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if not 0.5 <= self.confidence <= 0.9999:
            yield "confidence", refusal("a confidence lies between 50% and 99.99%", "write 95%")


FaultField = Annotated[Fault, PlainValidator(parse_fault, json_schema_input_type=Any)]
UpstreamField = Annotated[Upstream, PlainValidator(parse_upstream, json_schema_input_type=Any)]


class Scenario(StrictModel):
    name: ScenarioName = Field(description="The name of the run's folder and in its reports")
    seed: int = Field(0, ge=0, lt=2**63, description="The seed of everything random")
    extends: Text | None = Field(
        None, description="Another scenario, relative to this file; mappings merge, lists replace"
    )
    tags: tuple[Text, ...] = ()
    service: Service
    upstreams: Annotated[dict[Name, UpstreamField], Field(max_length=64), BeforeValidator(by_name)] = {}
    gateway: Gateway = Field(written({}))
    load: Load
    faults: Annotated[tuple[FaultField, ...], Field(max_length=200)] = ()
    gates: (
        Annotated[tuple[Annotated[Text, BeforeValidator(gate_text)], ...], Field(min_length=1, max_length=200)] | None
    ) = Field(None, description="Default: p99 < gateway.timeout during each fault")
    verdict: Verdict = Field(written({}))
    toxiproxy: ToxiproxyPart = Field(written({}))
    matrix: Matrix | None = None
