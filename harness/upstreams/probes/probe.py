"""What a canary sends to an upstream and what it makes of the answer. No I/O: the canary owns the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from harness.rundir.canaries import Looks

Outcome = Literal["ok", "held", "failed"]


class Probe(Protocol):
    """One exchange on a fresh connection through an upstream's listener. It carries no credential."""

    @property
    def request(self) -> bytes:
        """Sent as soon as the connection stands. Empty: nothing is sent."""

    @property
    def received(self) -> int:
        """Bytes fed so far."""

    def feed(self, data: bytes) -> None:
        """Take what was received next, in pieces of any size."""

    @property
    def is_over(self) -> bool:
        """Nothing more need be received. False: the canary reads on, to the end of file or to its deadline."""

    @property
    def fault(self) -> str:
        """What is wrong with an answer that ended with what was received; empty: it is whole, and the upstream well."""

    @property
    def status(self) -> int:
        """A status code as HTTP has it; 0 where none came, or the protocol has none."""

    def looks(self) -> Looks | None:
        """What a whole answer holds; None where the protocol does not say, or it is too large to be looked into."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one exchange came to. Times are nanoseconds of the monotonic clock; `first_ns` is 0 where no byte came.

    `ok`: a whole answer, however late. `held`: no end by the deadline. `failed`: refused, reset, cut short or not well.
    """

    outcome: Outcome
    sent_ns: int
    first_ns: int
    done_ns: int
    bytes: int
    status: int = 0
    looks: Looks | None = None
    detail: str = ""
