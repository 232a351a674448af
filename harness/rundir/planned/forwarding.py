"""What a plan has of an upstream that runs already: where it is, and how its address is written for the service."""

from __future__ import annotations

from typing import Final, Literal

from harness.model.frozen import Frozen

CANARY_BODY_BYTES: Final = 32_768
"""The forwarder answers canaries itself, because a real origin shall see none; the answer's body has this size."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ForwardSpec(Frozen):
    """The real HTTP origin to which the forwarder in the fakes' process passes the calls of the service on."""

    scheme: Literal["http", "https"]
    host: str
    """A name or an address; an IPv6 address without brackets."""
    port: int
    ca: str | None = None
    """Absolute path of the certificate authorities that are trusted for it; None: those of the system."""

    @property
    def address(self) -> str:
        """For people: `https://sandbox.pay.example`."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """As in the Host header: without the port if it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class StreamSpec(Frozen):
    """A real server of a protocol that is not HTTP, to which the fakes' process carries the bytes of the service, with
    TLS added or taken away."""

    host: str
    port: int
    originates: bool
    """Whether the server is spoken to in TLS. Whether the service speaks TLS is `PlannedUpstream.terminates_tls`."""
    ca: str | None = None
    """As of `ForwardSpec`."""


class UrlParts(Frozen):
    """What stands around host and port in the URL that the service is given. Variables are not expanded, because their
    values may be secrets."""

    scheme: str = "http"
    user: str = ""
    """`app:${PG_PASS}@`, or empty."""
    host: str | None = None
    """A host that the service must use although it connects to the listener; None: the listener's."""
    rest: str = ""
    """Path and query, such as `/app?connect_timeout=3`."""
    adds_hostaddr: bool = False
    """Whether the listener's address stands in the query, as `hostaddr`; there is a query then."""

    def around(self, listener_host: str, port: int) -> str:
        """The URL with the listener in it."""
        hostaddr = f"&hostaddr={listener_host}" if self.adds_hostaddr else ""
        return f"{self.scheme}://{self.user}{self.host or listener_host}:{port}{self.rest}{hostaddr}"
