"""The section `toxiproxy` of a scenario: which server, and how it, the service and tailgate reach each other."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.strict_model import StrictModel
from harness.model.value_types import kind_of, refusal, shortened
from harness.rundir.planned.toxiproxy_network import LOOPBACK, ToxiproxyNetwork, is_loopback_literal, is_unspecified
from harness.scenario.schema.value_syntax import BaseUrl

HOST_MOST: Final = 253
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise refusal(f"expected an IP address, not {kind_of(value)}", "such as 0.0.0.0")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise refusal(
            f"`{shortened(value)}` is no IP address", "such as 0.0.0.0; a port is `port:` of an upstream"
        ) from None


def _host(value: Any) -> str:
    if not isinstance(value, str):
        raise refusal(f"expected a host, not {kind_of(value)}", "such as 127.0.0.1 or host.docker.internal")
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        if len(value) > HOST_MOST or not _HOST.fullmatch(value):
            found = f"`{shortened(value)}` is no host"
            raise refusal(found, "a name or an IP address, without scheme and port") from None
        return value
    if address.is_unspecified:
        raise refusal(f"{value} is where something listens, and cannot be connected to", "write the host's own address")
    return str(address)


Address = Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string", "examples": ["0.0.0.0"]})]
Host = Annotated[str, BeforeValidator(_host), WithJsonSchema({"type": "string", "examples": ["host.docker.internal"]})]


class ToxiproxyPart(StrictModel):
    url: BaseUrl | None = Field(None, description="A server that runs already; default: tailgate starts one")
    listen: Address | None = Field(
        None, description=f"The address on which it listens for the proxies of a run; default {LOOPBACK}"
    )
    reach: Host | None = Field(
        None, description="The host by which the service and tailgate reach its listeners; default: the host of `url`"
    )
    origin_host: Host | None = Field(
        None,
        description="The host by which it reaches what listens on this machine, such as host.docker.internal; an "
        "address: the fakes listen there",
    )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        for key in ("listen", "reach", "origin_host"):
            if self.url is None and getattr(self, key) is not None:
                found = f"`{key}` is for a Toxiproxy that runs already"
                yield key, refusal(found, "add its `url`: http://HOST:8474", at_key=True)

    def network(self, url: str | None) -> ToxiproxyNetwork:
        """How the parts of a run reach each other if Toxiproxy's admin API is at `url`; None: the run starts its own.

        Pure: a host is compared, and never resolved.
        """
        if url is None:
            return ToxiproxyNetwork()
        host = urlsplit(url).hostname or LOOPBACK
        reach = self.reach or (LOOPBACK if is_loopback_literal(host) else host)
        return ToxiproxyNetwork(listen=self.listen or LOOPBACK, reach=reach, origin_host=self.origin_host)


def unreachable(network: ToxiproxyNetwork, *, own_proxies: bool, own_origins: bool) -> Iterator[tuple[str, str, str]]:
    """What can surely not be reached: the key of the section, the problem, and what to do.

    `own_proxies`: the run creates proxies; `own_origins`: something of the run, such as a fake, is behind one of them.
    """
    if is_loopback_literal(network.reach):
        return
    if own_proxies and is_loopback_literal(network.listen):
        yield (
            "listen",
            f"Toxiproxy would listen on {network.listen}, which cannot be reached as {network.reach}",
            "write `listen: 0.0.0.0`; or `reach: 127.0.0.1`, if Toxiproxy is in the network of this machine",
        )
    elif own_proxies and not is_unspecified(network.listen) and network.listen != network.reach:
        return  # an address of another network may well be the one that a name stands for
    if own_origins and network.origin_host is None:
        yield (
            "origin_host",
            f"Toxiproxy is reached as {network.reach}, and cannot reach what listens on {LOOPBACK} here, such as fakes",
            "write `origin_host:` with the host by which Toxiproxy reaches this machine, such as host.docker.internal",
        )
