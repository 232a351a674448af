"""What a plan has of an upstream: the listener whose address the service is given, and what is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from harness.model.frozen import Frozen
from harness.rundir.planned.command import PlannedCommand
from harness.rundir.planned.forwarding import ForwardSpec, StreamSpec, UrlParts
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.routes import PlannedProfile, RouteSource

if TYPE_CHECKING:
    from harness.rundir.planned.load import PlannedRequest


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
    """The address behind the listener, as this machine reaches it. Toxiproxy may know it by another name if it runs in
    another network."""
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
    """The plan assumes that the answer to a canary has at least so many bytes, where the proof of a fault depends on
    that. 0: it assumes nothing."""

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
        """For each request, whether it may call this upstream. Requests say so in `asks`. If none of them names it,
        any may where calls are not recorded; where they are, the records show it."""
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
