"""How canaries ask each kind of upstream, one probe per file. A new one needs its file and its line in PROBES.

The supervisor imports this, so nothing here imports the models of scenarios.
"""

from __future__ import annotations

from typing import Final, Protocol

from harness.rundir.plan import PlannedUpstream
from harness.upstreams.probes.fake import FakeProbe
from harness.upstreams.probes.probe import Observation, Outcome, Probe

__all__ = ["PROBES", "Observation", "Outcome", "Probe", "ProbeKind", "probe_of"]


class ProbeKind(Protocol):
    def __call__(self, upstream: PlannedUpstream, *, reads_to_end: bool) -> Probe:
        """`reads_to_end`: the canary waits for the end of the connection, if the origin can be asked to close it."""


PROBES: Final[dict[str, ProbeKind]] = {
    "fake": FakeProbe,
    "real": FakeProbe,
}
"""By the kind of the upstream, as in `harness.upstreams.kinds.UPSTREAMS`."""


def probe_of(upstream: PlannedUpstream, *, reads_to_end: bool) -> Probe:
    """A probe for one exchange with the upstream."""
    return PROBES[upstream.kind](upstream, reads_to_end=reads_to_end)
