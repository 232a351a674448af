"""What a plan has of a fault: its windows, what it does, and what a canary must see of it. Times are ms from t = 0."""

from __future__ import annotations

from typing import Literal

from harness.model.frozen import Frozen
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.process_act import SERVICE_TARGET, ProcessAct
from harness.rundir.planned.upstream import PlannedUpstream


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
