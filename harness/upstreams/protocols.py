"""What is known of each protocol that a real upstream may speak: its URLs, its canary, its TLS.

The supervisor imports this, so nothing here imports the models of scenarios.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import PlannedUpstream

TlsMode = Literal["terminate", "originate", "passthrough"]

OURS_PAUSE_S: Final = 0.5
"""The pause between two canaries to a fake or a forwarder, in seconds."""
BYTES_MOST: Final = 64 * 1024
"""No healthy answer of a real server to a canary is longer."""


@dataclass(frozen=True, slots=True)
class CanarySize:
    """Bytes of one canary: what it receives at least and at most, and what it sends at least."""

    least: int
    most: int
    sent: int


@dataclass(frozen=True, slots=True)
class ProtocolTraits:
    """One protocol.

    `title`: for people. `default_port`: None where a URL must name one. `size`: of a canary to a server that asks for
    no password. `size_denied`: the same for a server that refuses a canary without a password; None: it makes no
    difference. `fault_pause_s`, `idle_pause_s`: between two canaries to a real server, during a fault and otherwise.
    `tls_modes`: how tailgate may deal with TLS to it; the protocols without `terminate` and `originate` start TLS
    inside their own exchange or have none. `shows`: the faults on connections that a canary to a real server can show;
    empty: all of them. `why_passthrough`: why tailgate can neither add nor remove TLS, for people; empty: it can.
    """

    title: str
    default_port: int | None
    size: CanarySize
    size_denied: CanarySize | None = None
    fault_pause_s: float = 2.0
    idle_pause_s: float = 10.0
    tls_modes: tuple[TlsMode, ...] = ("passthrough",)
    shows: tuple[str, ...] = ()
    why_passthrough: str = ""


_INSIDE: Final = "it starts TLS inside its own protocol"
_SMALL: Final = ("latency", "hang", "reset", "down", "slow_close", "limit_data")
"""What a canary of a few bytes shows."""
_ALL_MODES: Final[tuple[TlsMode, ...]] = ("terminate", "originate", "passthrough")

PROTOCOLS: Final[Mapping[ProtocolName, ProtocolTraits]] = {
    # the head of the answer to `HEAD /`
    "http": ProtocolTraits("HTTP", 80, CanarySize(19, BYTES_MOST, 50), tls_modes=_ALL_MODES, shows=_SMALL),
    # a handshake with the smallest certificates; an alert alone is shorter and is found before the first fault
    "https": ProtocolTraits("HTTPS", 443, CanarySize(500, BYTES_MOST, 200), tls_modes=_ALL_MODES),
    "tls": ProtocolTraits("TLS", None, CanarySize(500, BYTES_MOST, 200), tls_modes=_ALL_MODES),
    # the server's SETTINGS frame without a setting
    "grpc": ProtocolTraits(
        "gRPC",
        None,
        CanarySize(9, BYTES_MOST, 33),
        shows=_SMALL,
        why_passthrough="tailgate's forwarder speaks HTTP/1.1, and gRPC is HTTP/2",
    ),
    # the server repeats the name of an option that it does not know
    "postgres": ProtocolTraits("PostgreSQL", 5432, CanarySize(1_000, BYTES_MOST, 1_000), why_passthrough=_INSIDE),
    # a greeting and a refusal
    "mysql": ProtocolTraits("MySQL", 3306, CanarySize(80, BYTES_MOST, 60), why_passthrough=_INSIDE),
    # the server repeats what PING carries, unless it wants a password first
    "redis": ProtocolTraits(
        "Redis",
        6379,
        CanarySize(4_096, BYTES_MOST, 4_096),
        size_denied=CanarySize(20, BYTES_MOST, 4_096),
        tls_modes=_ALL_MODES,
    ),
    # the versions of the eighteen kinds of request that the first servers with ApiVersions had
    "kafka": ProtocolTraits(
        "Kafka",
        9092,
        CanarySize(100, BYTES_MOST, 20),
        why_passthrough="its clients expect TLS, or none, of every broker that the first one names",
    ),
    # Connection.Start without any property
    "amqp": ProtocolTraits("AMQP", 5672, CanarySize(32, BYTES_MOST, 8), tls_modes=_ALL_MODES),
    # a connection; whatever the server may say is unknown
    "tcp": ProtocolTraits(
        "TCP",
        None,
        CanarySize(0, BYTES_MOST, 0),
        shows=("down", "slow_close"),
        why_passthrough="nothing says where TLS begins in a bare connection",
    ),
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the scheme of a URL says.

    `canary`: the protocol of the canary where TLS is passed through, and so of `PlannedUpstream.protocol`: behind TLS
    only the handshake can be seen. `default_port`: None where the URL must name a port.
    """

    protocol: ProtocolName
    default_port: int | None
    is_tls: bool = False

    @property
    def canary(self) -> ProtocolName:
        return "tls" if self.is_tls else self.protocol


def _plain(protocol: ProtocolName) -> Scheme:
    return Scheme(protocol, PROTOCOLS[protocol].default_port)


SCHEMES: Final[Mapping[str, Scheme]] = {
    "http": _plain("http"),
    "https": Scheme("https", 443, is_tls=True),
    "grpc": _plain("grpc"),
    "grpcs": Scheme("grpc", None, is_tls=True),
    "postgres": _plain("postgres"),
    "postgresql": _plain("postgres"),
    "mysql": _plain("mysql"),
    "mariadb": _plain("mysql"),
    "redis": _plain("redis"),
    "rediss": Scheme("redis", 6379, is_tls=True),
    "kafka": _plain("kafka"),
    "amqp": _plain("amqp"),
    "amqps": Scheme("amqp", 5671, is_tls=True),
    "tls": Scheme("tls", None, is_tls=True),
    "tcp": _plain("tcp"),
}
"""By the scheme of a URL, in lower case. PostgreSQL and MySQL start TLS inside their protocol, so their schemes do not
say whether it is used."""


def canary_size(protocol: ProtocolName, *, has_password: bool = False) -> CanarySize:
    """Bytes of a canary. `has_password`: the scenario has a password for the server, so that the server asks for one
    and refuses a canary, which has none."""
    traits = PROTOCOLS[protocol]
    return traits.size_denied if has_password and traits.size_denied else traits.size


def canary_pause_s(upstream: PlannedUpstream, *, in_fault: bool) -> float:
    """Seconds from one canary to the next. Ours are asked as often as helps; a real server is not to be troubled."""
    if upstream.records_calls:
        return OURS_PAUSE_S
    traits = PROTOCOLS[upstream.protocol]
    return traits.fault_pause_s if in_fault else traits.idle_pause_s
