"""How canaries ask each kind of upstream, one probe per file. A new one needs its file, and its line in PROBES (by kind
of upstream) or SPOKEN (by protocol).

The supervisor imports this, so nothing here imports the models of scenarios.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.amqp import ask_amqp
from harness.upstreams.probes.fake import FakeProbe
from harness.upstreams.probes.grpc import ask_grpc
from harness.upstreams.probes.http import HttpProbe
from harness.upstreams.probes.kafka import ask_kafka
from harness.upstreams.probes.mysql import ask_mysql
from harness.upstreams.probes.postgres import ask_postgres
from harness.upstreams.probes.probe import Observation, Outcome, Probe
from harness.upstreams.probes.redis import ask_redis
from harness.upstreams.probes.talk import TalkProbe
from harness.upstreams.probes.tcp import TcpProbe
from harness.upstreams.probes.tls import ask_tls

__all__ = ["PROBES", "SPOKEN", "Observation", "Outcome", "Probe", "ProbeKind", "probe_of"]


class ProbeKind(Protocol):
    def __call__(self, upstream: PlannedUpstream, /, *, reads_to_end: bool) -> Probe:
        """`reads_to_end`: the canary waits for the end of the connection, if the origin can be asked to close it."""


PROBES: Final[dict[str, ProbeKind]] = {
    "fake": FakeProbe,
}
"""By the kind of the upstream, as in `harness.upstreams.kinds.UPSTREAMS`, for kinds with a probe of their own."""

SPOKEN: Final[Mapping[ProtocolName, ProbeKind]] = {
    "http": HttpProbe,
    "https": partial(TalkProbe, ask_tls),
    "tls": partial(TalkProbe, ask_tls),
    "grpc": partial(TalkProbe, ask_grpc),
    "postgres": partial(TalkProbe, ask_postgres),
    "mysql": partial(TalkProbe, ask_mysql),
    "redis": partial(TalkProbe, ask_redis),
    "kafka": partial(TalkProbe, ask_kafka),
    "amqp": partial(TalkProbe, ask_amqp),
    "tcp": TcpProbe,
}
"""By the protocol, for every server that is not ours."""


def probe_of(upstream: PlannedUpstream, *, reads_to_end: bool) -> Probe:
    """A probe for one exchange with the upstream. What is in the fakes' process knows a fake's canary."""
    if (own := PROBES.get(upstream.kind)) is not None:
        return own(upstream, reads_to_end=reads_to_end)
    kind = FakeProbe if upstream.records_calls else SPOKEN[upstream.protocol]
    return kind(upstream, reads_to_end=reads_to_end)
