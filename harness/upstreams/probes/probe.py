"""The interface of a probe: what a canary sends to an upstream, and how the answer is read. No I/O: the canary owns the
connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from harness.rundir.canaries import Looks

Outcome = Literal["ok", "held", "failed"]


class Probe(Protocol):
    """One exchange on a fresh connection through an upstream's listener. It carries no credential.

    A class that names this one as its base gets the usual answers for `hangs_up`, `quiet_ms`, `fall_quiet`, `status`
    and `looks`.
    """

    @property
    def request(self) -> bytes:
        """Sent as soon as the connection is established. Empty: nothing is sent."""

    @property
    def received(self) -> int:
        """Bytes fed so far."""

    def feed(self, data: bytes) -> bytes:
        """Take what was received next, in pieces of any size. Returns what is to be sent next; empty: nothing."""

    @property
    def is_over(self) -> bool:
        """True: nothing more needs to be received. False: the canary reads on, to the end of file or its deadline."""

    @property
    def hangs_up(self) -> bool:
        """True: the answer is whole, so the canary closes its half of the connection and reads on to the end of file.
        Toxiproxy then closes the connection to the origin."""
        return False

    @property
    def quiet_ms(self) -> float | None:
        """If nothing is received for so many milliseconds, `fall_quiet` is called. None: silence says nothing."""
        return None

    def fall_quiet(self) -> None:
        """Take it that nothing was received for `quiet_ms`."""
        assert self.quiet_ms is not None, "a probe that waits for silence says what silence means"

    @property
    def fault(self) -> str:
        """What is wrong with an answer that ended after what was received; empty: it is whole, and the upstream
        healthy."""

    @property
    def status(self) -> int:
        """A status code as in HTTP; 0 if none came, or if the protocol has none."""
        return 0

    def looks(self) -> Looks | None:
        """What a whole answer contains; None if the protocol does not say, or if it is too large to be parsed."""
        return None


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one exchange. Times are nanoseconds of the monotonic clock; `first_ns` is 0 if no byte came.

    `ok`: a whole answer, however late. `held`: no end by the deadline. `failed`: refused, reset, cut short or
    unhealthy.
    """

    outcome: Outcome
    sent_ns: int
    first_ns: int
    done_ns: int
    bytes: int
    status: int = 0
    looks: Looks | None = None
    detail: str = ""
    sent_bytes: int = 0
