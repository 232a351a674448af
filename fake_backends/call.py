"""One call, from its arrival to its last byte: it waits its turn, its latency and the faults that hold it, then
answers.

A call that meets no fault takes the short way: one timer, one answer. This module writes no row and makes no draw.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fake_backends.active_faults import ActiveFault
from fake_backends.behaviours import CallContext
from fake_backends.breaking import break_connection
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.providers import Response
from fake_backends.response_writer import Message, Receive, ResponseWriter, Send, any_of, send_whole
from harness.units import NS_PER_MS, NS_PER_S

_NEVER_NS: Final = 2**62


@dataclass(slots=True)
class Call:
    """Its row has `due_ns`, `first_ns`, `matched`, `behaviour`, `faults`, `status` and `sent_bytes` from here."""

    arrived_ns: int
    answer: Response
    clock_ns: Callable[[], int]
    latency_ns: int = 0
    queues: list[tuple[ConcurrencyLimit, ActiveFault | None]] = field(default_factory=list)
    """The backend's own queue, then those of faults."""
    met: Sequence[ActiveFault] = ()
    holds: list[tuple[ActiveFault, float]] = field(default_factory=list)
    """The faults that hold it, and for how many ns (infinite: until the fault is lifted)."""
    begun_ns: int = 0
    """When the work on it began: on its arrival, or when its turn came."""
    status: int = 0
    sent_bytes: int = 0
    first_ns: int = 0
    """When the first byte of its body was sent, or the headers if it has no body; 0: neither was."""
    behaviour: int = 0
    faults: int = 0
    begun: bool = False
    """Whether its answer is being sent."""
    origin_failed: bool = False
    """Whether a real origin was asked and gave no whole answer."""
    matched: bool = field(init=False)
    """Whether the fake has what was asked for. A fault may break the answer all the same."""
    route: int = field(init=False)
    """The number of the route that answers."""

    def __post_init__(self) -> None:
        self.matched, self.route = self.answer.matched, self.answer.route
        self.begun_ns = self.arrived_ns

    def meet(self, met: Sequence[ActiveFault], context: CallContext, delay_ms: Callable[[ActiveFault], float]) -> None:
        """Apply everything that these faults decide when the call arrives."""
        self.met = met
        for active in met:
            added_ms = delay_ms(active)
            if added_ms > 0:
                self.holds.append((active, added_ms * NS_PER_MS))
            if active.behaviour.change:
                self.answer = active.behaviour.change(self.answer, context)
            if active.slots is not None:
                self.queues.append((active.slots, active))
            elif added_ms > 0 or active.behaviour.delay_ms is None:
                self.mark(active)

    @property
    def due_ns(self) -> int:
        """When its answer is due, given the faults that are active now."""
        held_ns = sum(delay_ns for active, delay_ns in self.holds if not active.lifted.is_set())
        return _NEVER_NS if math.isinf(held_ns) else self.begun_ns + self.latency_ns + round(held_ns)

    async def answer_to(self, scope: Message, receive: Receive, send: Send) -> bool:
        """False if the client left first, or the answer of a route is to break the connection. Raises QueueFull if a
        queue takes no more calls."""
        if not self.met and not self.queues:
            if not await self._wait_quickly(receive):
                return False
            return await self._send_whole(scope, receive, send)
        gone = asyncio.ensure_future(_gone(receive))
        entered: list[ConcurrencyLimit] = []
        try:
            if not await self._take_turns(gone, entered) or not await self._wait(gone):
                return False
            if self.answer.broken or all(leaves_body_alone(active) for active in self.met):
                gone.cancel()  # it must not receive the end of the connection in place of `_send_whole`
                return await self._send_whole(scope, receive, send)
            self.begun, self.status = True, self.answer.status
            writer = ResponseWriter(self.answer, self.met, self.clock_ns)
            try:
                return await writer.to(send, gone)
            finally:
                self.sent_bytes, self.first_ns = writer.sent_bytes, writer.first_ns
        finally:
            gone.cancel()
            for slots in entered:
                slots.leave()

    def mark(self, active: ActiveFault) -> None:
        """The fault has hit the call."""
        self.faults |= active.bit
        self.behaviour = self.behaviour or active.number

    async def _send_whole(self, scope: Message, receive: Receive, send: Send) -> bool:
        """False if the answer is none, and the connection was broken in its place."""
        self.begun = True
        self.first_ns = self.clock_ns()
        if self.answer.broken:
            self.sent_bytes = break_connection(scope, self.answer.broken)
            return not await _gone(receive)  # the server would answer a request that ends without an answer
        self.status, self.sent_bytes = self.answer.status, len(self.answer.body)
        await send_whole(send, self.answer)
        return True

    async def _take_turns(self, gone: asyncio.Future[bool], entered: list[ConcurrencyLimit]) -> bool:
        """Wait in each queue. A fault has hit the call if the call had to wait in its queue. False: the client has
        left."""
        for slots, active in self.queues:
            turn = slots.enter()
            if turn is not None:
                if active:
                    self.mark(active)
                try:
                    await asyncio.wait(any_of(turn, gone), return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    slots.withdraw(turn)
                    raise
                if gone.done():
                    slots.withdraw(turn)
                    return False
            entered.append(slots)
            self.begun_ns = self.clock_ns()
        return True

    async def _wait_quickly(self, receive: Receive) -> bool:
        delay_ns = self.due_ns - self.clock_ns()
        if delay_ns <= 0:
            return True
        try:
            async with asyncio.timeout(delay_ns / NS_PER_S):
                return not await _gone(receive)
        except TimeoutError:
            return True

    async def _wait(self, gone: asyncio.Future[bool]) -> bool:
        """Wait until it is due, which is sooner if a fault is lifted. False: the client has left."""
        while (left_ns := self.due_ns - self.clock_ns()) > 0:
            lifts = [asyncio.ensure_future(s.lifted.wait()) for s, _ in self.holds if not s.lifted.is_set()]
            timeout_s = None if self.due_ns == _NEVER_NS else left_ns / NS_PER_S
            try:
                await asyncio.wait(any_of(gone, *lifts), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for lift in lifts:
                    lift.cancel()
            if gone.done():
                return False
        return True


async def _gone(receive: Receive) -> bool:
    """Returns True once the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    return True


def leaves_body_alone(active: ActiveFault) -> bool:
    """Whether the fault changes nothing of how the body is sent."""
    behaviour = active.behaviour
    return not behaviour.drip_ms and behaviour.keep >= 1 and not behaviour.pad_to
