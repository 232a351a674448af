"""One arrival of the plan and the requests its task makes: what becomes rows of samples-<i>.bin.

Rows are held back until the task has ended, since an exception in it says that the last answer was
no good. Pure bookkeeping: the times come from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from harness.correlation import SEQ_HEADER, TRACE_HEADER, traceparent
from harness.rundir.rows import Outcome

PART_MOST: Final = 255
"""As high as a row counts the requests of one arrival."""
Row = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
"""In the order of harness.rundir.rows.SAMPLES."""


@dataclass(frozen=True, slots=True)
class RequestEnd:
    """How one request ended."""

    outcome: Outcome
    status: int = 0
    answered: int = 0
    """Bit i: upstream i's rows were in the answer."""
    size: int = 0
    """Bytes of the decoded body."""
    request: int = 0
    """Index into plan.load.requests."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request of an arrival. `part` 0 counts from the intended time, later ones from the one before."""

    arrival: Arrival
    part: int
    since_ns: int
    sent_ns: int
    first_ns: int = 0
    """When the first byte of the body came; 0: unknown, or none did."""
    done_ns: int | None = None
    ending: RequestEnd | None = None
    """None until the client has reported it."""
    streamed: bool = False
    """The body belongs to the task; reading it here would take it away."""


@dataclass(slots=True, eq=False)
class Arrival:
    """`intended_ns` is None in the closed model: the moment of the first request then."""

    seq: int
    intended_ns: int | None
    request: int = 0
    alone: bool = False
    """A single request that stands for itself: complete when it is reported."""
    exchanges: list[Exchange] = field(default_factory=list)
    closed: bool = False

    def begin(self, now_ns: int) -> Exchange:
        """A request goes out now."""
        if self.intended_ns is None:
            self.intended_ns = now_ns
        since_ns = self.intended_ns
        if self.exchanges:  # requests that overlap have no previous end to count from
            since_ns = self.exchanges[-1].done_ns or now_ns
        exchange = Exchange(self, len(self.exchanges), since_ns, now_ns)
        self.exchanges.append(exchange)
        return exchange

    def rows(self, now_ns: int, otherwise: RequestEnd) -> list[Row]:
        """Close it: a row for each request, and one at least.

        `otherwise` is how requests without an ending of their own ended; done is now for those that
        never came back.
        """
        self.closed = True
        if not self.exchanges:
            self.begin(now_ns)
        return [_row(exchange, exchange.ending or otherwise, now_ns) for exchange in self.exchanges]

    def spoil(self, outcome: Outcome) -> None:
        """The task failed on the last answer: what looked good was not."""
        if self.exchanges and (last := self.exchanges[-1]).ending is not None and last.ending.outcome is Outcome.OK:
            ending = last.ending
            last.ending = RequestEnd(outcome, ending.status, 0, ending.size, ending.request)


def _row(exchange: Exchange, ending: RequestEnd, now_ns: int) -> Row:
    done_ns = now_ns if exchange.done_ns is None else exchange.done_ns
    return (
        exchange.arrival.seq,
        exchange.since_ns,
        exchange.sent_ns,
        exchange.first_ns,
        done_ns,
        ending.answered,
        min(ending.size, 2**32 - 1),
        ending.status,
        ending.request,
        0,  # no arrival waits for a user instance yet: the pool makes as many as it needs
        ending.outcome,
        min(exchange.part, PART_MOST),
    )


def headers(run: str, seq: int) -> dict[str, str]:
    """What ties the calls of the service to this arrival; `run` is `correlation.run_hash`."""
    return {SEQ_HEADER: str(seq), TRACE_HEADER: traceparent(run, seq)}
