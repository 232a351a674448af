"""A borrowed upstream: a proxy that exists already on the user's Toxiproxy. Naming it is the consent to break it.

The proxy stays the user's: it is never created, deleted or changed, except that it carries toxics of the run while a
fault is active, and is disabled while a fault refuses connections and for the moment in which a delay is lifted. Its
addresses are read from the server when a run begins. Its calls are not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.model.value_types import kind_of, refusal, shortened
from harness.rundir.planned.forwarding import UrlParts
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.upstreams.upstream import Upstream
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs

PROXY_NAME_MOST: Final = 200
_OF_A_RUN: Final = re.compile(r"tailgate-\d{8}-\d{6}-[0-9a-f]{4}-")
_NOT_YET_KNOWN: Final = Endpoint(port=0)
"""`validate` asks no server, so it plans with this address."""


def proxy_name(value: Any) -> str:
    """The name. Raises pydantic's error with a fix if no run could borrow a proxy with this name."""
    if not isinstance(value, str):
        raise refusal(f"expected the name of a proxy, not {kind_of(value)}", "as the server's GET /proxies has it")
    if not value or len(value) > PROXY_NAME_MOST or "/" in value or value in (".", "..") or not value.isprintable():
        found = f"`{shortened(value)}` cannot be the name of a proxy on Toxiproxy"
        raise refusal(found, "as the server's GET /proxies has it: one line, without slashes")
    if _OF_A_RUN.match(value):
        raise refusal(f"`{shortened(value)}` is the proxy of a run of tailgate", "name a proxy of your own")
    return value


class BorrowedUpstream(Upstream):
    KIND: ClassVar = "borrowed"
    CALLED: ClassVar = "a borrowed proxy"

    proxy: Annotated[
        str,
        BeforeValidator(proxy_name),
        WithJsonSchema({"type": "string", "minLength": 1, "examples": ["legacy_api"]}),
    ] = Field(description="Its name on the Toxiproxy at `toxiproxy.url`; naming it is the consent to break it")
    protocol_named: ProtocolName = Field("http", alias="protocol", description="How it is asked whether it lives")

    @property
    def borrowed_proxy(self) -> str:
        return self.proxy

    @property
    def has_known_address(self) -> bool:
        return True

    @property
    def has_password(self) -> bool:
        """This is unknown, so the smaller answer is assumed."""
        return True

    @property
    def protocol(self) -> ProtocolName:
        return self.protocol_named

    def plan(
        self, name: str, index: int, ports: Callable[[], int], inputs: UpstreamInputs = NO_INPUTS
    ) -> PlannedUpstream:
        found = inputs.proxy
        listener = found.listener if found else _NOT_YET_KNOWN
        return PlannedUpstream(
            name=name,
            known_as=self.known_as,
            index=index,
            kind=self.KIND,
            protocol=self.protocol,
            # a published port of a container is another one than that on which Toxiproxy listens
            listener=listener.model_copy(update={"port": self.port}) if self.port else listener,
            origin=found.origin if found else _NOT_YET_KNOWN,
            borrowed=self.proxy,
            canary_bytes=self.canary.least,
            url_parts=UrlParts(scheme=self.protocol),
        )
