"""How Toxiproxy, the service and tailgate reach each other; Toxiproxy may be in another network namespace."""

from __future__ import annotations

import ipaddress
from typing import Final

from harness.model.frozen import Frozen

LOOPBACK: Final = "127.0.0.1"
_EVERY_ADDRESS: Final = "0.0.0.0"


def is_loopback_literal(host: str) -> bool:
    """Whether a host is a loopback address, or a name that always is one. Nothing is resolved."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_unspecified(host: str) -> bool:
    """Whether a listener at this host takes connections at every address (0.0.0.0, ::, or nothing)."""
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


class ToxiproxyNetwork(Frozen):
    """The defaults are those of a Toxiproxy in the same network namespace as tailgate and the service.

    `listen`: the address on which Toxiproxy listens for the proxies of the run. `reach`: the host by which the service
    and tailgate reach these listeners. `origin_host`: the host by which Toxiproxy reaches what listens on this machine;
    None: by its own address, such as 127.0.0.1.
    """

    listen: str = LOOPBACK
    reach: str = LOOPBACK
    origin_host: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether Toxiproxy is in our network namespace, so that its listeners are in our socket tables and its
        ports are ours to watch."""
        return self.origin_host is None and is_loopback_literal(self.listen) and is_loopback_literal(self.reach)

    @property
    def bind_host(self) -> str | None:
        """The address on which the fakes' process listens; None: on the address of each origin.

        A name may stand for any address of this machine, so the process then listens on all of them.
        """
        if self.origin_host is None or self.own_address is not None:
            return None
        return _EVERY_ADDRESS

    @property
    def own_address(self) -> str | None:
        """The address of this machine that `origin_host` says; None: it is a name, or there is none."""
        if self.origin_host is None:
            return None
        try:
            return str(ipaddress.ip_address(self.origin_host))
        except ValueError:
            return None

    def origin_as_reached(self, host: str) -> str:
        """The host by which Toxiproxy reaches an origin that we reach at `host`."""
        return self.origin_host if self.origin_host is not None and is_loopback_literal(host) else host
