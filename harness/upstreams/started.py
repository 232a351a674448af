"""An upstream that tailgate starts: a mock such as Prism or WireMock, a database, a cache, the service of another team.

HTTP goes through the forwarder, so that its calls are recorded and every fault works on it. Everything else stays a TCP
connection through Toxiproxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.command_line import Command
from harness.model.request_syntax import READY_WITHIN, Environment, check_ready, ready_parts
from harness.model.value_types import refusal
from harness.rundir.planned.command import PlannedCommand
from harness.rundir.planned.forwarding import ForwardSpec, UrlParts
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.upstreams.number_files import existing_folder
from harness.upstreams.protocols import PROTOCOLS
from harness.upstreams.upstream import Upstream, past_the_listener
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs, UpstreamReader

PORT: Final = "{port}"


def _ready(value: Any) -> str:
    """`GET /health within 10s`, or `within 30s` for a TCP connection. Raises a refusal for any other value."""
    if isinstance(value, str) and value.split()[:1] == ["within"]:
        return check_ready(f"GET / {value.strip()}").removeprefix("GET / ")
    return check_ready(value)


StartReady = Annotated[
    str,
    BeforeValidator(_ready),
    WithJsonSchema({"type": "string", "examples": ["GET /health within 10s", "within 30s"]}),
]


class CommandUpstream(Upstream):
    KIND: ClassVar = "command"
    CALLED: ClassVar = "an upstream with `command`"

    command: Command = Field(description="Started without a shell; {port} is the port that it must listen on")
    env: Environment = Field({}, description="Environment; {port} is the port that it must listen on")
    cwd: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Working directory, relative to this file; default: this file's folder"
    )
    ready: StartReady | None = Field(
        None, description=f"METHOD PATH within DURATION; default: a TCP connection within {READY_WITHIN}"
    )
    protocol_named: ProtocolName = Field(
        "http", alias="protocol", description="How it is asked whether it lives, and what calls to it are"
    )
    observe: bool = Field(True, description="false: no call is recorded, and only connections are seen")

    @property
    def argv(self) -> tuple[str, ...]:
        return self.command

    @property
    def environment(self) -> Mapping[str, str]:
        return self.env

    @property
    def protocol(self) -> ProtocolName:
        return self.protocol_named

    @property
    def is_forwarded(self) -> bool:
        """Whether its calls go through the forwarder."""
        return self.observe and self.protocol == "http"

    @property
    def records_calls(self) -> bool:
        return self.is_forwarded

    def recorded_if(self) -> str:
        return "remove `observe: false`" if self.protocol == "http" and not self.observe else ""

    def read_inputs(self, reader: UpstreamReader) -> UpstreamInputs:
        cwd = reader.use(("cwd",), self.cwd, existing_folder) if self.cwd else reader.folder(("command",))
        return UpstreamInputs(cwd=str((cwd or Path()).absolute()))

    def plan(
        self, name: str, index: int, ports: Callable[[], int], inputs: UpstreamInputs = NO_INPUTS
    ) -> PlannedUpstream:
        listener = Endpoint(port=self.port or ports())
        own_port = ports()
        method, path, within_ms = self._ready_parts
        forwarded = self.is_forwarded
        return PlannedUpstream(
            name=name,
            known_as=self.known_as,
            index=index,
            kind=self.KIND,
            protocol=self.protocol,
            listener=listener,
            origin=Endpoint(port=ports() if forwarded else own_port),
            forward=ForwardSpec(scheme="http", host="127.0.0.1", port=own_port) if forwarded else None,
            canary_bytes=0 if forwarded else self.canary.least,
            command=PlannedCommand(
                argv=self.command,
                env=self.env,
                cwd=inputs.cwd or ".",
                port=own_port,
                ready_method=method,
                ready_path=path,
                ready_within_ms=within_ms,
            ),
            url_parts=UrlParts(scheme=self.protocol),
        )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if not any(PORT in text for text in (*self.command, *self.env.values())):
            fix = f'put {PORT} into the command, or `PORT: "{PORT}"` into `env`'
            yield "command", refusal("nothing tells it the port that it must listen on", fix)
        title = PROTOCOLS[self.protocol].title
        if self.protocol != "http" and self._ready_parts[1] is not None:
            fix = "write only the time limit, such as `ready: within 30s`: it is ready when it can be connected to"
            yield "ready", refusal(f"`ready` asks by HTTP, and this upstream speaks {title}", fix)
        if self.protocol != "http" and not self.observe:
            yield "observe", refusal(f"the calls of {title} are not observed anyway", "remove `observe`", at_key=True)
        if self.protocol == "kafka" and self.port is None:
            yield "protocol", past_the_listener()

    @property
    def _ready_parts(self) -> tuple[str, str | None, float]:
        """Method, path and time limit (ms) of the readiness probe; without a path a TCP connection is enough."""
        if self.ready is None or self.ready.startswith("within"):
            method, _, within_ms = ready_parts(f"GET / {self.ready or ''}".strip())
            return method, None, within_ms
        return ready_parts(self.ready)
