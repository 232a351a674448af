"""One arrival of the plan and the requests that its task sends, each of which becomes a row of samples-<i>.bin.

Rows are written when the task has ended, since an exception in it makes the last answer a bad one. Pure: the caller
passes the times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from harness.correlation import SEQ_HEADER, TRACE_HEADER, traceparent
from harness.rundir.rows import Outcome

PART_MOST: Final = 255
"""The highest number of a request within its arrival that a row can contain."""
WAITED_LEAST_US: Final = 1_000
"""A shorter time between an arrival's turn and its first request is not a wait."""
NS_PER_US: Final = 1_000
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
    """One request of an arrival. Latency counts from `since_ns`: the intended time for `part` 0, the time at which the
    task sends it for later parts, because what the task does between two requests is its user's think time."""

    arrival: Arrival
    part: int
    since_ns: int
    sent_ns: int
    first_ns: int = 0
    """When the first byte of the body arrived; 0: unknown, or none did."""
    done_ns: int | None = None
    ending: RequestEnd | None = None
    """None until the client has reported it."""
    name: str = ""
    """Of a locustfile's request: its name as far as it is known when it is sent."""
    streamed: bool = False
    """The task reads the body itself as a stream, so it must not be read here."""


@dataclass(slots=True, eq=False)
class Arrival:
    """`intended_ns` is None in the closed model until its first request is sent, and then that time."""

    seq: int
    intended_ns: int | None
    request: int = 0
    turn: int = 0
    """Its number within its stream, which chooses the row of the data file."""
    alone: bool = False
    """A request outside of a task: an arrival of its own that is complete when the request is reported."""
    began_ns: int | None = None
    """Of a locustfile's arrival: when its turn came. Until it sends it waits for a user, or its task does other things;
    that is no lag of ours, so its row has it as `waited_us`."""
    has_user: bool = False
    """A user instance runs its task, in the open model."""
    exchanges: list[Exchange] = field(default_factory=list)
    closed: bool = False

    @property
    def is_idle(self) -> bool:
        """Its task runs and waits for no answer."""
        return self.has_user and all(exchange.done_ns is not None for exchange in self.exchanges)

    @property
    def sent_nothing(self) -> bool:
        """Its task runs, or ran, and has sent no request."""
        return self.has_user and not self.exchanges

    def begin(self, now_ns: int) -> Exchange:
        """Starts a request that is sent now."""
        if self.intended_ns is None:
            self.intended_ns = now_ns
        since_ns = now_ns if self.exchanges else self.intended_ns
        exchange = Exchange(self, len(self.exchanges), since_ns, now_ns)
        self.exchanges.append(exchange)
        return exchange

    def rows(self, now_ns: int, otherwise: RequestEnd) -> list[Row]:
        """Closes the arrival: a row for each request, and at least one.

        `otherwise` is the end of requests that reported none; their done time is now.
        """
        self.closed = True
        if not self.exchanges:
            exchange = self.begin(now_ns)
            if otherwise.outcome is Outcome.NO_REQUEST:
                exchange.sent_ns = exchange.since_ns  # nothing was sent, so nothing was late
        return [_row(exchange, exchange.ending or otherwise, now_ns) for exchange in self.exchanges]

    def spoil(self, outcome: Outcome) -> None:
        """The task failed on the last answer, so an ok becomes `outcome`."""
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
        _waited_us(exchange),
        ending.outcome,
        min(exchange.part, PART_MOST),
    )


def _waited_us(exchange: Exchange) -> int:
    began_ns = exchange.arrival.began_ns
    if exchange.part or began_ns is None:
        return 0
    waited_us = (exchange.sent_ns - began_ns) // NS_PER_US
    return min(waited_us, 2**32 - 1) if waited_us >= WAITED_LEAST_US else 0


def headers(run: str, seq: int) -> dict[str, str]:
    """The headers that tie the service's calls to this arrival; `run` is from `correlation.run_hash`."""
    return {SEQ_HEADER: str(seq), TRACE_HEADER: traceparent(run, seq)}
