"""A plan: everything that a run will do, decided before anything is started, and saved as plan.json.

Workers, supervisor and judge all read this file; none of them reads the scenario again. The arrivals themselves are not
stored: they follow from `load.streams` and `seed` by a pure function (`scenarios.load.planned_arrivals`). Times are
milliseconds from t = 0, the end of the warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.model.frozen import Frozen
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.command import PlannedCommand
from harness.rundir.planned.forwarding import ForwardSpec, StreamSpec, UrlParts
from harness.rundir.planned.login import PlannedLogin
from harness.rundir.planned.process_act import SERVICE_TARGET, ProcessAct
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.routes import PlannedProfile, RouteSource
from harness.rundir.planned.schedule import Schedule, Stream
from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork


class Endpoint(Frozen):
    host: str = "127.0.0.1"
    port: int

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class FakeSpec(Frozen):
    """The settings of a fake. `p50_ms` and `p99_ms` are right for any profile; without one they define a lognormal."""

    p50_ms: float
    p99_ms: float
    rows: int
    page: int
    provider: str
    profile: PlannedProfile | None = None
    capacity: int | None = None
    """How many calls it works on at once; more wait in a queue. None: there is no limit."""
    routes: RouteSource | None = None
    """What it answers, if the scenario says that; None: the catalog of the provider."""


class PlannedUpstream(Frozen):
    """One upstream: the listener whose address the service is given, and the origin behind it.

    `index` is its bit in a sample's `answered` and its number in a call's `upstream`. `kind` names its line in
    `harness.upstreams.UPSTREAMS`.
    """

    name: str
    known_as: tuple[str, ...] = ()
    """Other spellings that the service uses for it, in its log and in the labels of its alert."""
    index: int
    kind: str
    protocol: ProtocolName = "http"
    """How a canary asks a real server whether it lives. Fakes are asked by HTTP."""
    listener: Endpoint
    """Where the service and tailgate reach Toxiproxy's listener."""
    origin: Endpoint
    """Where Toxiproxy connects to, as we reach it."""
    borrowed: str | None = None
    """The name of the user's proxy on the user's Toxiproxy; None: the run creates a proxy of its own."""
    terminates_tls: bool = False
    """What is at the origin is in the fakes' process, and speaks TLS with a certificate of the run's authority."""
    fake: FakeSpec | None = None
    """Set if one of our fakes answers at the origin; None: something else does."""
    forward: ForwardSpec | None = None
    """Set if our forwarder is at the origin and passes calls on to a real one."""
    stream: StreamSpec | None = None
    """Set if the fakes' process is at the origin and carries bytes to a real server. Nothing records calls there."""
    command: PlannedCommand | None = None
    """Set if the supervisor starts what answers: at the origin, or behind the forwarder there."""
    url_parts: UrlParts = Field(default_factory=UrlParts)
    canary_bytes: int = 0
    """How many bytes a canary receives at least, as the plan assumes where a fault's proof depends on it. 0: it assumes
    nothing."""

    @property
    def url(self) -> str:
        """The URL that the service under test is given."""
        return self.url_parts.around(self.listener.host, self.listener.port)

    @property
    def answers_http(self) -> bool:
        """Whether a fake or the forwarder, both in the fakes' process, is at the origin."""
        return self.fake is not None or self.forward is not None

    @property
    def records_calls(self) -> bool:
        """Whether the calls that reach the origin are recorded. If not, it is unknown what became of a call."""
        return self.answers_http

    def asked_by(self, requests: Sequence[PlannedRequest]) -> tuple[bool, ...]:
        """For each request, whether it may ask this upstream. If nothing records the calls and no request names it in
        `asks`, each of them may."""
        named = tuple(self.name in request.asks for request in requests)
        if self.records_calls or any(named):
            return named
        return (True,) * len(named)

    @model_validator(mode="before")
    @classmethod
    def _of_older_builds(cls, raw: Any) -> Any:
        """Older plans were flat: `listen_port`, `backend_port` and the fake's settings were side by side."""
        if not isinstance(raw, dict) or "listen_port" not in raw:
            return raw
        rest = dict(raw)
        for new, old in (("listener", "listen"), ("origin", "backend")):
            rest[new] = {key: rest.pop(f"{old}_{key}") for key in Endpoint.model_fields if f"{old}_{key}" in rest}
        rest["fake"] = {key: rest.pop(key) for key in FakeSpec.model_fields if key in rest}
        return rest


class PlannedService(Frozen):
    """The service under test. `argv` is None for `url`. The templates in `env` are filled in already.

    Values that come from `${VAR}` are secrets: they are in no file, and they are redacted in logs and in `sut.env`. So
    plan.json has `${VAR}` unexpanded, and the supervisor expands it at the start.
    """

    kind: Literal["rung", "command", "url"]
    rung: str | None = None
    argv: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    cwd: str = "."
    url: str
    """Base URL to which the gateway (or, without one, the load) sends requests; no trailing slash."""
    port: int | None = None
    ready_method: str = "GET"
    ready_path: str = "/healthz"
    ready_headers: dict[str, str] = {}
    ready_within_ms: float = 10_000
    alerts_path: str | None = None
    """Where the service's metrics are, read by GET; None: it has no known alert."""
    alerts_metric: str | None = None
    """The metric of the alert. A sample above zero reports the upstream whose name is the value of a label."""


class PlannedGateway(Frozen):
    """`client`: a total deadline that the load generator keeps. `target` is the base URL for the load."""

    kind: Literal["nginx", "client", "external", "none"]
    timeout_ms: float | None
    port: int | None = None
    binary: str | None = None
    target: str


class PlannedRequest(Frozen):
    """One kind of request of the load. `expect_status` has inclusive ranges of status codes."""

    name: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    weight: int = 1
    """Its share of the arrivals, relative to the weights of the other requests that share the rate of the load."""
    schedule: Schedule | None = None
    """Its own arrivals. None: it shares those of the load."""
    asks: tuple[str, ...]
    """Upstreams whose rows a complete answer contains."""
    expect_status: tuple[tuple[int, int], ...] | None = None
    expect_contains: str | None = None
    expect_lacks: str | None = None


class PlannedLoad(Frozen):
    """The load: its model, its requests, its times and its limits."""

    model: Literal["open", "closed"]
    schedule: Schedule | None = None
    """Open model only: the arrivals of the requests that have no schedule of their own. None: each has one."""
    users: int | None = None
    """Closed model only."""
    workers: int = 1
    requests: tuple[PlannedRequest, ...]
    locustfile: str | None = None
    login: PlannedLogin | None = None
    data: str | None = None
    warmup_ms: float
    duration_ms: float
    """From t = 0 to the last arrival's latest time."""
    drain_ms: float
    client_cap_ms: float
    """How long the load generator waits for an answer."""
    max_in_flight: int
    """How many requests may be open at once (slots); an arrival beyond that is dropped."""
    first_seq: int = 0
    """The number that the first arrival carries on the wire: loads on one stack must not share numbers."""
    slots_cut: bool = False
    """The open-file limit allows fewer slots than a service that never answers would need, so a dropped arrival is the
    harness's fault."""
    ok: tuple[tuple[int, int], ...]
    """Inclusive ranges of status codes that count as ok."""
    complete: Literal["auto", "none", "jmespath"]
    complete_jmespath: str | None = None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of arrivals, first the one that shares the rate of the load; none in the closed model."""
        if self.model == "closed":
            return ()
        shared = tuple(place for place, request in enumerate(self.requests) if request.schedule is None)
        if self.locustfile is not None:  # what an arrival sends is not planned: the first request stands for all
            shared = (0,)
        streams = []
        if self.schedule is not None and shared:
            streams.append(Stream("", self.schedule, shared, tuple(self.requests[place].weight for place in shared)))
        for place, request in enumerate(self.requests):
            if request.schedule is not None:
                streams.append(Stream(request.name, request.schedule, (place,), (1,)))
        return tuple(streams)

    def places(self, names: Sequence[str]) -> frozenset[int]:
        """The places of the requests of these names; of all requests if none is named."""
        return frozenset(place for place, each in enumerate(self.requests) if not names or each.name in names)


class PlannedToxic(Frozen):
    """A toxic as Toxiproxy's API has it. Attributes are integers in Toxiproxy's own units."""

    type: str
    stream: Literal["downstream", "upstream"]
    toxicity: float = 1.0
    attributes: dict[str, int] = {}


class Proof(Frozen):
    """What a canary must see for the fault to count as observed.

    `held`: an answer later than the canary's own baseline by `least_ms`, or none by then. `failed`: refused, reset or
    cut short. `answered`: an answer with this `status`, that `looks` so, of at least `least_bytes`; what is None is not
    checked. `called`: no canary can see the fault; calls of the service must carry it in the fake's own records.
    `process`: no canary can see the fault; the state of the process, which the journal has, shows it.
    """

    kind: Literal["held", "failed", "answered", "called", "process"]
    least_ms: float = 0.0
    status: int | None = None
    looks: Literal["offers", "no_offers", "no_json"] | None = None
    least_bytes: int | None = None
    passing: bool = False
    """It acts only during a part of its window, so two canaries that saw it are enough."""


class FaultWindow(Frozen):
    """When a fault is applied and removed, in ms from t = 0."""

    apply_ms: float
    remove_ms: float


class PlannedFault(Frozen):
    """One fault: the upstreams it breaks, its windows, what it does there, and how it is proven.

    A fault on the service under test has SERVICE_TARGET in place of the upstreams.
    """

    name: str
    kind: str
    """The fault's field in the scenario: latency, hang, down …"""
    text: str
    """For people: `latency 60s`."""
    upstreams: tuple[str, ...]
    windows: tuple[FaultWindow, ...]
    toxics: tuple[PlannedToxic, ...] = ()
    disables_proxy: bool = False
    drops_connections: bool = False
    """The proxy's port is taken while it is disabled, so that attempts to connect are neither accepted nor refused."""
    process: ProcessAct | None = None
    """What is done to the process of the upstream, or of the service."""
    behaviour: Behaviour | None = None
    """What the fakes do themselves; there are no toxics then."""
    route: str | None = None
    """Only calls for this route are hit: the name of a fake's route, or METHOD PATH with `{param}`. None: every call.
    Canaries are hit whatever they ask."""
    first: int | None = None
    """Only so many calls of each window are hit, the first ones after the draw of `share`. None: there is no limit."""
    held_ms: float
    """H: how long a request can be held by this fault, with the gateway timeout applied."""
    delay_ms: float | None = None
    """The single known delay that it injects; None if there is none, or if it is unbounded."""
    share: float = 1.0
    """The share of connections that it hits, or of requests if there is a `behaviour`."""
    proof: Proof
    met: Literal["required", "optional"] = "required"
    """`optional`: a run counts even if the service never asked the upstream while the fault was active."""

    @property
    def on_service(self) -> bool:
        """Whether it acts on the service under test, and on no upstream."""
        return self.upstreams == (SERVICE_TARGET,)

    @property
    def acts_on_requests(self) -> bool:
        """Whether it has a toxic on the upstream stream. That may keep requests from the backend, whose records then
        need not show them."""
        return any(toxic.stream == "upstream" for toxic in self.toxics)

    def may_keep_calls_from(self, upstream: PlannedUpstream) -> bool:
        """Whether calls that meet the fault may never reach the upstream's records, so that these need not show them.

        In TLS any toxic does that to a new connection: its handshake is held or broken before a call is sent.
        """
        return self.acts_on_requests or not upstream.records_calls or (bool(self.toxics) and upstream.terminates_tls)

    @property
    def connection_share(self) -> float:
        """The share of connections that it hits. A canary meets every fault of a fake, so that is 1 there."""
        return self.share if self.behaviour is None else 1.0


class PlannedGate(Frozen):
    id: str
    text: str
    line: int
    """Its line in the scenario file; 0 for the default gate."""


class PlannedVerdict(Frozen):
    """The settings of the verdict. `clump_ms`: assumed correlation time of slow requests. `inconclusive`: with `warn`
    an inconclusive run exits 0."""

    confidence: float = 0.95
    clump_ms: float = 100.0
    inconclusive: Literal["fail", "warn"] = "fail"


class StackPlan(Frozen):
    """What is started once and may carry many loads: upstreams and their listeners, the service, the gateway.

    `most_in_flight`: how many requests any load on it may have open at once; the number of the gateway's connections
    follows from it.
    """

    stack_id: str = ""
    """TAILGATE_RUN of every child, and part of the name of every proxy and toxic. It is the id of the stack's first
    run."""
    upstreams: tuple[PlannedUpstream, ...] = ()
    service: PlannedService
    gateway: PlannedGateway
    toxiproxy_url: str | None = None
    """The server that exists already; None: the run starts one."""
    network: ToxiproxyNetwork = Field(default_factory=ToxiproxyNetwork)
    ca_file: str | None = None
    """Absolute path of the bundle with the run's certificate authority, which the fakes' process writes; None if no
    upstream terminates TLS."""
    logs_clients: bool = False
    """Our Toxiproxy logs each client that it accepts, because a fault acts on requests and the fakes may never see its
    calls."""
    most_in_flight: int = 0

    @property
    def prefix(self) -> str:
        """The beginning of the name of every proxy and toxic of this stack."""
        return f"tailgate-{self.stack_id}-"

    def upstream(self, name: str) -> PlannedUpstream:
        """Raises StopIteration if the plan has no such upstream."""
        return next(upstream for upstream in self.upstreams if upstream.name == name)

    def proxy_name(self, upstream: str) -> str:
        """The name of the upstream's proxy on Toxiproxy."""
        borrowed = next((each.borrowed for each in self.upstreams if each.name == upstream), None)
        return borrowed if borrowed is not None else f"{self.prefix}{upstream}"

    @property
    def sees_every_connection(self) -> bool:
        """Whether the socket tables of this machine show every connection to the listeners. Those of a Toxiproxy that
        the run did not start may be in another network namespace, although its admin API is reached on loopback."""
        return self.toxiproxy_url is None


class LoadPlan(Frozen):
    """One load on a started stack: its arrivals, the faults during it, and the gates that judge it."""

    run_id: str
    """`<yyyymmdd-hhmmss>-<4 hex>`: the run directory's name."""
    name: str
    cell: str | None = None
    """Cell of a matrix, its values joined by `/`."""
    seed: int
    scenario_file: str
    scenario_sha256: str
    overrides: tuple[str, ...] = ()
    """`--set` arguments of the command line, from which the command that replays the run is built."""
    load: PlannedLoad
    guard_ms: float
    faults: tuple[PlannedFault, ...] = ()
    gates: tuple[PlannedGate, ...]
    default_gates: bool = False
    """No gate was written, so the default gate applies: a floor, not a service level. The run says so."""
    verdict: PlannedVerdict = Field(default_factory=PlannedVerdict)


class Plan(StackPlan, LoadPlan):
    """A stack and one load on it: the content of plan.json."""

    schema_version: Literal[1] = 1

    @model_validator(mode="before")
    @classmethod
    def _own_stack(cls, values: Any) -> Any:
        """A plan that names no stack belongs to a run with a stack of its own, as in every run of earlier versions."""
        if isinstance(values, dict) and not values.get("stack_id"):
            return {**values, "stack_id": values.get("run_id", "")}
        return values

    @classmethod
    def of(cls, stack: StackPlan, load: LoadPlan) -> Plan:
        fields = {**_fields(stack, StackPlan), **_fields(load, LoadPlan)}
        return cls(**fields)

    @property
    def stack(self) -> StackPlan:
        return StackPlan(**_fields(self, StackPlan))

    def write(self, run_dir: Path) -> None:
        """Write plan.json. Raises OSError."""
        (run_dir / "plan.json").write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, run_dir: Path) -> Plan:
        """Raises FileNotFoundError and pydantic.ValidationError; `Evidence.load` translates them."""
        return cls.model_validate_json((run_dir / "plan.json").read_bytes())


def _fields(model: Frozen, of: type[Frozen]) -> dict[str, Any]:
    return {name: getattr(model, name) for name in of.model_fields}
