"""A plan: everything that a run will do, decided before anything is started, and saved as plan.json.

Workers, supervisor and judge all read this file; none of them reads the scenario again. The arrivals themselves are not
stored: they follow from `load.streams` and `seed` by a pure function (`scenarios.load.planned_arrivals`). Times are
milliseconds from t = 0, the end of the warm-up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.model.frozen import Frozen
from harness.rundir.ndjson import replace_file
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.load import PlannedLoad
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork
from harness.rundir.planned.upstream import PlannedUpstream


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

    @property
    def has_fakes_process(self) -> bool:
        """Whether the process of the fakes stands at the origin of any upstream, as a fake or in front of a server."""
        return any(upstream.answers_http or upstream.stream for upstream in self.upstreams)


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
    metrics: tuple[str, ...] = ()
    """The series of the service's metrics that gates are about, which the run records."""
    times_first_byte: bool = False
    """A gate is about the first byte of answers, so no gateway of the stack may collect them."""
    abort_if: tuple[str, ...] = ()
    """Safety stops, as the scenario writes them: the load ends when one of them holds."""
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
        """Write plan.json in one step, since whoever waits for it reads it at once. Raises OSError."""
        replace_file(run_dir / "plan.json", self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, run_dir: Path) -> Plan:
        """Raises FileNotFoundError and pydantic.ValidationError; `Evidence.load` translates them."""
        return cls.model_validate_json((run_dir / "plan.json").read_bytes())


def _fields(model: Frozen, of: type[Frozen]) -> dict[str, Any]:
    return {name: getattr(model, name) for name in of.model_fields}
