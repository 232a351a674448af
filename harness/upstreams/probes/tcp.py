"""The probe of a protocol that is not known: it connects, sends nothing, and waits a moment.

Toxiproxy accepts every connection and closes it at once if the origin cannot be reached, so a connection that stays
open shows that the origin accepts. A server that speaks first shows it sooner.
"""

from __future__ import annotations

from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.probe import Probe

QUIET_MS: Final = 250.0
"""A connection that stays open for so long is taken as accepted by the origin."""


class TcpProbe(Probe):
    def __init__(self, _upstream: PlannedUpstream, *, reads_to_end: bool) -> None:
        self._reads_to_end = reads_to_end
        self._lives = False
        self._received = 0

    @property
    def request(self) -> bytes:
        return b""

    @property
    def received(self) -> int:
        return self._received

    def feed(self, data: bytes) -> bytes:
        self._received += len(data)
        self._lives = True
        return b""

    @property
    def quiet_ms(self) -> float | None:
        return None if self._lives else QUIET_MS

    def fall_quiet(self) -> None:
        self._lives = True

    @property
    def is_over(self) -> bool:
        return self._lives and not self._reads_to_end

    @property
    def hangs_up(self) -> bool:
        return self._lives and self._reads_to_end

    @property
    def fault(self) -> str:
        return "" if self._lives else "closed at once"
