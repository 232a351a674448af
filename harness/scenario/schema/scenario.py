"""The models of a scenario, field for field the public contract. They validate each section by itself.

What must hold between sections (names that refer to each other, windows that must fit) is checked by
`harness.scenario.names` and `harness.scenario.checks`; `harness.scenario.source.diagnostics` adds positions in the
file. Attributes carry their unit (`for_ms`); their aliases are the keys in a scenario (`for`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from harness.faults import Fault, parse_fault
from harness.gates.parse import gate_text
from harness.model.command_line import Command
from harness.model.request_syntax import Environment, Ready, ready_parts
from harness.model.strict_model import StrictModel
from harness.model.value_types import Duration, LongerDuration, Name, Rate, Share, kind_of, refusal, written
from harness.scenario.schema.jmespath_syntax import jmespath_refusal
from harness.scenario.schema.listed import by_name
from harness.scenario.schema.locust_options import LocustOptions
from harness.scenario.schema.login import Login
from harness.scenario.schema.matrix import Matrix
from harness.scenario.schema.requests import Request, Stages, rateless
from harness.scenario.schema.rungs import POLICIES_OF, Rung, cannot_add, unknown_policy
from harness.scenario.schema.toxiproxy_part import ToxiproxyPart
from harness.scenario.schema.value_syntax import (
    ALERTS_OF_A_RUNG,
    METRICS_OF_A_RUNG,
    Alerts,
    BaseUrl,
    Headers,
    Metrics,
    ScenarioName,
    Statuses,
    Text,
    alerts_parts,
)
from harness.upstreams.kinds import Upstream, parse_upstream

MODELS: Final = ("rate", "users", "stages", "replay")
"""The keys of a load of which one says when its requests are sent."""


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

    metrics: Metrics | None = Field(
        None, description=f"GET PATH: where gates on `metric` read them; default for a rung: {METRICS_OF_A_RUNG}"
    )

    @property
    def metrics_path(self) -> str | None:
        """The path of the service's metrics; None if it is not known."""
        spelled = self.metrics or (METRICS_OF_A_RUNG if self.rung is not None else None)
        return spelled.split()[1] if spelled else None

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


class JmesPath(StrictModel):
    jmespath: Annotated[Text, Field(max_length=500)] = Field(
        description="An expression that lists the upstreams in an answer"
    )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if found := jmespath_refusal(self.jmespath, "such as offers[].backend"):
            yield "jmespath", found


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


def _asks_by_name(value: Any) -> Any:
    if isinstance(value, list | tuple):
        raise refusal("`asks` of `load` names the requests of a locustfile", "`asks` belongs to a request")
    return value


def _abort_text(value: Any) -> Any:
    from harness.gates.abort_rule import abort_text  # a late import, since most loads have no safety stop

    return abort_text(value)


class Load(StrictModel):
    ONE_OF: ClassVar = (MODELS, ("request", "requests", "locustfile"))

    rate_per_s: Rate | None = Field(
        None, alias="rate", description="Open model: arrivals per time, whether or not the service keeps up"
    )
    users: int | None = Field(None, ge=1, le=100_000, description="Closed model: each user waits for its answer")
    stages: Stages | None = None
    replay: Text | None = Field(None, description="Recorded arrivals: a file with one number per line, in seconds")
    arrivals: Literal["poisson", "constant"] = "poisson"
    request: Request | None = None
    requests: Annotated[tuple[Request, ...], Field(min_length=1, max_length=1_000)] | None = None
    locustfile: Text | None = Field(None, description="Your own user classes; tasks run at the planned times")
    max_users: int | None = Field(
        None, ge=1, le=100_000, description="Of a locustfile: no more user instances than that; arrivals wait for one"
    )
    locust_options: LocustOptions = Field({}, description="Options that the locustfile reads, without their dashes")
    asks: Annotated[dict[Text, tuple[str, ...]], BeforeValidator(_asks_by_name)] | None = Field(
        None, description="Of a locustfile: which upstreams its requests ask, by name; default: each asks all"
    )
    login: Login | None = Field(None, description="Sessions that sign in before the load; requests use what is saved")
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
    abort_if: Annotated[tuple[Annotated[Text, BeforeValidator(_abort_text)], ...], Field(max_length=20)] = Field(
        (), description="Safety stops, such as errors > 20% for 10s: they end the load, and the run cannot pass"
    )
    ok: Statuses = Field(written("200-399"), description="Statuses that count as ok")
    complete: Complete | None = Field(None, description="How to find upstreams in an answer; auto finds fakes' rows")

    @property
    def written_requests(self) -> tuple[Request, ...]:
        """The requests of the scenario; empty with a locustfile."""
        return (self.request,) if self.request else self.requests or ()

    def path_of(self, index: int) -> tuple[str | int, ...]:
        """Where the request of this place in `written_requests` stands in a scenario."""
        return ("load", "request") if self.request else ("load", "requests", index)

    @property
    def shares_no_rate(self) -> bool:
        """Whether each request has a rate of its own, so that the load needs none."""
        return bool(self.written_requests) and all(request.has_own_rate for request in self.written_requests)

    @property
    def is_staged(self) -> bool:
        """Whether stages determine how long it lasts: its own, or those of its requests, if each has some."""
        return bool(self.stages) or (
            self.shares_no_rate and all(request.stages is not None for request in self.written_requests)
        )

    @classmethod
    def may_lack(cls, group: tuple[str, ...], raw: dict[str, Any]) -> bool:
        """A load needs no rate if each of its requests has one."""
        one, several = raw.get("request"), raw.get("requests")
        requests = (one,) if one is not None else several if isinstance(several, tuple) else ()
        own = (
            isinstance(each, dict) and (each.get("rate") is not None or each.get("stages") is not None)
            for each in requests
        )
        return group == MODELS and bool(requests) and all(own)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from self._locustfile_findings()
        yield from rateless(self.rate_per_s, self.stages)
        yield from self._own_rates()
        if self.login is not None and self.locustfile is not None:
            yield (
                "login",
                refusal("a locustfile signs in itself", "do it in `on_start` of its users, or remove `login`"),
            )
        if self.duration_ms is not None and (self.is_staged or self.replay):
            own = "stages" if self.is_staged else "replay"
            yield "duration", refusal(f"`{own}` determines how long the load lasts", "remove `duration`")
        if self.users is not None and "max_in_flight" in self.model_fields_set:
            yield (
                "max_in_flight",
                refusal("`users` determines how many requests are in flight", "remove `max_in_flight`"),
            )

    def _locustfile_findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.locustfile is None:
            for key in ("max_users", "locust_options", "asks"):
                if key in self.model_fields_set:
                    yield key, refusal(f"`{key}` is for a `locustfile`, and there is none", f"remove `{key}`")
            return
        if self.data is not None:
            yield "data", refusal("a locustfile reads its own data, so `data` would not be used", "remove `data`")
        if self.max_users is not None and self.users is not None:
            yield "max_users", refusal("`users` says how many users there are", "remove `max_users`")

    def _own_rates(self) -> Iterator[tuple[str, PydanticCustomError]]:
        """What the load says of a rate that its requests have themselves."""
        own = [request.name for request in self.written_requests if request.has_own_rate]
        given = {"rate": self.rate_per_s, "users": self.users, "stages": self.stages, "replay": self.replay}
        written = next((key for key, value in given.items() if value is not None), None)
        if not own or written is None:
            return
        if self.users is not None:
            found = f"users wait for their answers, so `{own[0]}` cannot have a rate of its own beside them"
            yield "users", refusal(found, "write `rate` or `stages` in place of `users`, or `weight` for the request")
        elif self.shares_no_rate:
            found = f"each request has a rate of its own, so no request is left for `{written}`"
            yield written, refusal(found, f"remove `{written}`, or `rate` and `stages` of a request")


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
