"""A plan: everything a run will do, decided before anything is started, and saved as plan.json.

Workers, supervisor and judge all read the same file; none of them looks at the scenario again. The
arrivals themselves are not stored: they follow from `load.schedule` and `seed` by a pure function
(`scenarios.load.arrivals`). Times are milliseconds from t = 0, the end of the warm-up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from harness.rundir.behaviours import Behaviour


class Frozen(BaseModel):
    """A line or a file of a run. Its validator is built when it is first used: most commands use few of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PlannedProfile(Frozen):
    """How long a fake takes to answer, where p50 and p99 do not say all; `harness.upstreams.profiles` reads it."""

    kind: str
    numbers_ms: dict[str, float] = {}
    """What the kind is set by, under its own names: `{"least_ms": 50, "p99_ms": 2000}`."""
    points: tuple[tuple[float, float], ...] = ()
    """Of a recording: (share of answers, milliseconds that these take at most), both rising."""


class Endpoint(Frozen):
    host: str = "127.0.0.1"
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class FakeSpec(Frozen):
    """What a fake is. `p50_ms` and `p99_ms` hold whatever the profile; without one they make a lognormal."""

    p50_ms: float
    p99_ms: float
    rows: int
    page: int
    provider: str
    profile: PlannedProfile | None = None
    capacity: int | None = None
    """How many calls it works on at once; more wait in a queue. None: as many as come."""


class PlannedUpstream(Frozen):
    """One upstream: the listener that the service is told about, and the origin that stands behind it.

    `index` is its bit in a sample's `answered` and its number in a call's `upstream`. `kind` names its line in
    `harness.upstreams.UPSTREAMS`.
    """

    name: str
    known_as: tuple[str, ...] = ()
    """How the service spells it besides, in its log and in the labels of its alert."""
    index: int
    kind: str
    listener: Endpoint
    """Where Toxiproxy listens."""
    origin: Endpoint
    """Where Toxiproxy connects to."""
    fake: FakeSpec | None = None
    """What answers at the origin, where that is a fake of ours; None: whatever is there."""

    @property
    def url(self) -> str:
        """What the service under test is told."""
        return f"http://{self.listener.address}"

    @property
    def records_calls(self) -> bool:
        """Whether the calls that reach the origin are recorded. Where they are not, what became of one is unknown."""
        return self.fake is not None

    @model_validator(mode="before")
    @classmethod
    def _of_older_builds(cls, raw: Any) -> Any:
        """Plans were flat once: `listen_port`, `backend_port` and the fake's settings side by side."""
        if not isinstance(raw, dict) or "listen_port" not in raw:
            return raw
        rest = dict(raw)
        for new, old in (("listener", "listen"), ("origin", "backend")):
            rest[new] = {key: rest.pop(f"{old}_{key}") for key in Endpoint.model_fields if f"{old}_{key}" in rest}
        rest["fake"] = {key: rest.pop(key) for key in FakeSpec.model_fields if key in rest}
        return rest


class PlannedService(Frozen):
    """The service under test. `argv` is None for `url`. `env` has its templates filled in already.

    `secrets` are the values that came from `${VAR}`; they stand in no file and are redacted in logs
    and in `sut.env`, so plan.json holds `${VAR}` unexpanded and the supervisor expands at start.
    """

    kind: Literal["rung", "command", "url"]
    rung: str | None = None
    argv: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    cwd: str = "."
    url: str
    """Base URL the gateway (or, without one, the load) is pointed at; no trailing slash."""
    port: int | None = None
    ready_method: str = "GET"
    ready_path: str = "/healthz"
    ready_headers: dict[str, str] = {}
    ready_within_ms: float = 10_000
    alerts_path: str | None = None
    """Where the service's metrics are, asked by GET; None: it has no alert that we know of."""
    alerts_metric: str | None = None
    """Its samples with an upstream's name as a label's value: above zero, the upstream is said to be at fault."""


class PlannedGateway(Frozen):
    """`client`: a total deadline that the load generator keeps. `target` is the base URL for load."""

    kind: Literal["nginx", "client", "external", "none"]
    timeout_ms: float | None
    port: int | None = None
    binary: str | None = None
    target: str


class Stage(Frozen):
    """Arrival rate from `start_per_s` to `end_per_s`, linear over `duration_ms`."""

    start_per_s: float
    end_per_s: float
    duration_ms: float


class Schedule(Frozen):
    """When requests arrive. Stages include the warm-up, so the first begins at -warmup_ms.

    `start_ms`: where the first stage begins, -warmup_ms.
    `replay_ms`: arrivals of a recording (ms from t = 0), instead of stages.
    """

    start_ms: float
    arrivals: Literal["poisson", "constant"] = "poisson"
    stages: tuple[Stage, ...] = ()
    replay_ms: tuple[float, ...] | None = None


class PlannedRequest(Frozen):
    name: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    weight: int = 1
    asks: tuple[str, ...]
    """Upstreams whose rows a complete answer holds."""
    expect_status: tuple[tuple[int, int], ...] | None = None
    expect_contains: str | None = None


class PlannedLoad(Frozen):
    model: Literal["open", "closed"]
    schedule: Schedule | None = None
    """Open model only."""
    users: int | None = None
    """Closed model only."""
    workers: int = 1
    requests: tuple[PlannedRequest, ...]
    locustfile: str | None = None
    data: str | None = None
    warmup_ms: float
    duration_ms: float
    """From t = 0 to the last arrival's latest time."""
    drain_ms: float
    client_cap_ms: float
    max_in_flight: int
    first_seq: int = 0
    """The number that the first arrival carries on the wire: loads on one stack must not share numbers."""
    slots_cut: bool = False
    """The open-file limit allows fewer slots than a service that holds everything needs: a dropped arrival is ours."""
    ok: tuple[tuple[int, int], ...]
    """Inclusive ranges of status codes that count as ok."""
    complete: Literal["auto", "none", "jmespath"]
    complete_jmespath: str | None = None


class PlannedToxic(Frozen):
    """A toxic as Toxiproxy spells it. Attributes are integers in Toxiproxy's own units."""

    type: str
    stream: Literal["downstream", "upstream"]
    toxicity: float = 1.0
    attributes: dict[str, int] = {}


class Proof(Frozen):
    """What a canary must see for the fault to count as observed.

    `held`: an answer later than the canary's own baseline by `least_ms` (or none by then).
    `failed`: refused, reset or cut short.
    `answered`: an answer with this `status`, that `looks` so, of `least_bytes`; None asks nothing.
    `called`: no canary can see it; calls of the service must carry the fault in the fake's own records.
    """

    kind: Literal["held", "failed", "answered", "called"]
    least_ms: float = 0.0
    status: int | None = None
    looks: Literal["offers", "no_offers", "no_json"] | None = None
    least_bytes: int | None = None
    passing: bool = False
    """It acts during a part of its window only, so two canaries that saw it are enough."""


class FaultWindow(Frozen):
    apply_ms: float
    remove_ms: float


class PlannedFault(Frozen):
    name: str
    kind: str
    """The fault's field in the scenario: latency, hang, down …"""
    text: str
    """For people: `latency 60s`."""
    upstreams: tuple[str, ...]
    windows: tuple[FaultWindow, ...]
    toxics: tuple[PlannedToxic, ...] = ()
    disables_proxy: bool = False
    behaviour: Behaviour | None = None
    """What the fakes do themselves; there are no toxics then."""
    held_ms: float
    """H of the contract: how long a request can be held by this fault, gateway timeout applied."""
    delay_ms: float | None = None
    """The single known delay it injects; None where there is none or it is unbounded."""
    share: float = 1.0
    """Of the connections, or of the requests where there is a `behaviour`."""
    proof: Proof
    met: Literal["required", "optional"] = "required"
    """Whether a run counts in which the service never asked the upstream while the fault stood."""

    @property
    def acts_on_requests(self) -> bool:
        """A toxic on the upstream stream may keep requests from the backend, so its records need not show them."""
        return any(toxic.stream == "upstream" for toxic in self.toxics)

    @property
    def connection_share(self) -> float:
        """How many of the connections it hits: a canary meets whatever stands at a fake."""
        return self.share if self.behaviour is None else 1.0


class PlannedGate(Frozen):
    id: str
    text: str
    line: int
    """In the scenario file; 0 for the default gate."""


class PlannedVerdict(Frozen):
    confidence: float = 0.95
    clump_ms: float = 100.0
    inconclusive: Literal["fail", "warn"] = "fail"


class StackPlan(Frozen):
    """What is started once and may carry many loads: upstreams and their listeners, the service, the gateway.

    `most_in_flight`: requests that any load on it may hold open at once; the gateway's connections follow from it.
    """

    stack_id: str = ""
    """TAILGATE_RUN of every child, and part of the name of every proxy and toxic. The id of its first run."""
    upstreams: tuple[PlannedUpstream, ...] = ()
    service: PlannedService
    gateway: PlannedGateway
    toxiproxy_url: str | None = None
    """An existing server; None: one of our own."""
    logs_clients: bool = False
    """Our Toxiproxy writes down each client it accepts: a fault acts on requests, so fakes may never see its calls."""
    most_in_flight: int = 0

    @property
    def prefix(self) -> str:
        """Begins the name of every proxy and toxic of this stack."""
        return f"tailgate-{self.stack_id}-"

    def upstream(self, name: str) -> PlannedUpstream:
        return next(upstream for upstream in self.upstreams if upstream.name == name)

    def proxy_name(self, upstream: str) -> str:
        return f"{self.prefix}{upstream}"


class LoadPlan(Frozen):
    """One load on a started stack: its arrivals, the faults during it, and the gates that judge it."""

    run_id: str
    """`<yyyymmdd-hhmmss>-<4 hex>`: the run directory's name."""
    name: str
    cell: str | None = None
    """Cell of a matrix, values joined by `/`."""
    seed: int
    scenario_file: str
    scenario_sha256: str
    overrides: tuple[str, ...] = ()
    """`--set` of the command line, for the one that replays the run."""
    load: PlannedLoad
    guard_ms: float
    faults: tuple[PlannedFault, ...] = ()
    gates: tuple[PlannedGate, ...]
    default_gates: bool = False
    """No gate was written: the floor, not a service level. The run says so."""
    verdict: PlannedVerdict = PlannedVerdict()


class Plan(StackPlan, LoadPlan):
    """A stack and one load on it: what a run directory holds."""

    schema_version: Literal[1] = 1

    @model_validator(mode="before")
    @classmethod
    def _own_stack(cls, values: Any) -> Any:
        """A plan that names no stack is of a run that has its stack for itself, as every run of earlier versions."""
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
        (run_dir / "plan.json").write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, run_dir: Path) -> Plan:
        """Raises FileNotFoundError and pydantic.ValidationError; `Evidence.load` translates them."""
        return cls.model_validate_json((run_dir / "plan.json").read_bytes())


def _fields(model: Frozen, of: type[Frozen]) -> dict[str, Any]:
    return {name: getattr(model, name) for name in of.model_fields}
