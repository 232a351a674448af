"""Looks at proxies that a scenario wants to borrow: each must exist, be enabled, and carry no toxic of another run.

Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from harness.errors import RigError, UsageError
from harness.model.value_types import did_you_mean
from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork, is_loopback_literal, is_unspecified
from harness.rundir.planned.upstream import Endpoint
from harness.toxiproxy.state import Proxy
from harness.toxiproxy.sweep import run_of
from harness.upstreams.upstream_files import ProxyAddresses

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient

_OWN: Final = "tailgate-"


def addresses_of(
    client: ToxiproxyClient, wanted: Mapping[str, str], network: ToxiproxyNetwork
) -> dict[str, ProxyAddresses]:
    """Where each proxy listens and leads to, by upstream. `wanted`: names of proxies by upstream.

    Raises UsageError for a proxy that does not exist or cannot be reached, RigError for one that cannot be borrowed
    now, and if the server does not answer.
    """
    there = client.proxies()
    found: dict[str, ProxyAddresses] = {}
    for upstream, name in wanted.items():
        proxy = there.get(name)
        if proxy is None:
            known = [each for each in sorted(there) if not each.startswith(_OWN)]
            raise UsageError(
                f"upstream `{upstream}`: there is no proxy `{name}` on Toxiproxy at {client.url}",
                did_you_mean(name, known, otherwise="create it first: that server has no proxy"),
            )
        refuse_occupied(proxy, client.url)
        found[upstream] = ProxyAddresses(listener=_reached(proxy, network), origin=_endpoint(proxy, proxy.upstream))
    return found


def refuse_occupied(proxy: Proxy, url: str, own_prefix: str | None = None) -> None:
    """Raises RigError if the proxy is disabled, or carries a toxic of a run whose prefix is not `own_prefix`."""
    others = [t.name for t in proxy.toxics if run_of(t.name) and not (own_prefix and t.name.startswith(own_prefix))]
    if others:
        raise RigError(
            f"proxy {proxy.name} on Toxiproxy at {url} carries {', '.join(others)}: another run of tailgate breaks it",
            f"wait until that run has ended; if it was killed, run `tailgate toxiproxy sweep --url {url}"
            f" --run {run_of(others[0])}`",
        )
    if not proxy.enabled:
        raise RigError(
            f"proxy {proxy.name} on Toxiproxy at {url} is disabled, and it is not ours to enable",
            "enable it, or ask whoever disabled it",
        )


def _reached(proxy: Proxy, network: ToxiproxyNetwork) -> Endpoint:
    """Where the service and we reach its listener."""
    listens = _endpoint(proxy, proxy.listen)
    if is_unspecified(listens.host):
        return listens.model_copy(update={"host": network.reach})
    if is_loopback_literal(listens.host) and not is_loopback_literal(network.reach):
        raise UsageError(
            f"proxy {proxy.name} listens on {proxy.listen}, which cannot be reached as {network.reach}",
            "let it listen on 0.0.0.0; or write `toxiproxy: {reach: 127.0.0.1}`, if Toxiproxy is in this network",
        )
    return listens


def _endpoint(proxy: Proxy, address: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise RigError(f"proxy {proxy.name} has the address {address}, which is no HOST:PORT", "see its configuration")
    return Endpoint(host=host.strip("[]"), port=int(port))
