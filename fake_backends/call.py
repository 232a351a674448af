"""One call, from its arrival to its last byte: it waits its turn, its latency and whatever holds it, then answers.

A call that nothing has hit takes the short way: one timer, one answer. It writes no row and draws nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fake_backends.active_faults import ActiveFault
from fake_backends.behaviours import CallContext
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.providers import Response
from fake_backends.response_writer import Message, ResponseWriter, Send, any_of, send_whole
from harness.units import NS_PER_MS, NS_PER_S

Receive = Callable[[], Awaitable[Message]]

_NEVER_NS: Final = 2**62


@dataclass(slots=True)
class Call:
    """`due_ns`, `first_ns`, `matched`, `behaviour`, `faults`, `status` and `sent_bytes` are what its row says of it."""

    arrived_ns: int
    answer: Response
    clock_ns: Callable[[], int]
    latency_ns: int = 0
    queues: list[tuple[ConcurrencyLimit, ActiveFault | None]] = field(default_factory=list)
    """The backend's own, then those of faults."""
    met: Sequence[ActiveFault] = ()
    holds: list[tuple[ActiveFault, float]] = field(default_factory=list)
    """What holds it, and for how many ns (infinite: until it is lifted)."""
    begun_ns: int = 0
    """When it was taken up: on its arrival, or when its turn came."""
    status: int = 0
    sent_bytes: int = 0
    first_ns: int = 0
    """When the first byte of its body was sent, or the headers where it has none; 0: neither was."""
    behaviour: int = 0
    faults: int = 0
    begun: bool = False
    """Whether its answer is on its way."""
    matched: bool = field(init=False)
    """Whether it asked for something that the fake has; a fault may break the answer all the same."""

    def __post_init__(self) -> None:
        self.matched = self.answer.matched
        self.begun_ns = self.arrived_ns

    def meet(self, met: Sequence[ActiveFault], asked: CallContext, delay_ms: Callable[[ActiveFault], float]) -> None:
        """Everything that these faults decide on its arrival."""
        self.met = met
        for standing in met:
            added_ms = delay_ms(standing)
            if added_ms > 0:
                self.holds.append((standing, added_ms * NS_PER_MS))
            if standing.behaviour.change:
                self.answer = standing.behaviour.change(self.answer, asked)
            if standing.slots is not None:
                self.queues.append((standing.slots, standing))
            elif added_ms > 0 or standing.behaviour.delay_ms is None:
                self._mark(standing)

    @property
    def due_ns(self) -> int:
        """When its answer is to go out, as things stand now."""
        held_ns = sum(delay_ns for standing, delay_ns in self.holds if not standing.lifted.is_set())
        return _NEVER_NS if math.isinf(held_ns) else self.begun_ns + self.latency_ns + round(held_ns)

    async def answer_to(self, receive: Receive, send: Send) -> bool:
        """False if the client left first. Raises Full where a queue takes nobody any more."""
        if not self.met and not self.queues:
            if not await self._wait_quickly(receive):
                return False
            await self._send_whole(send)
            return True
        gone = asyncio.ensure_future(_gone(receive))
        entered: list[ConcurrencyLimit] = []
        try:
            if not await self._take_turns(gone, entered) or not await self._wait(gone):
                return False
            if all(_leaves_body_alone(standing) for standing in self.met):
                await self._send_whole(send)
                return True
            self.begun, self.status = True, self.answer.status
            sending = ResponseWriter(self.answer, self.met, self.clock_ns)
            try:
                return await sending.to(send, gone)
            finally:
                self.sent_bytes, self.first_ns = sending.sent_bytes, sending.first_ns
        finally:
            gone.cancel()
            for slots in entered:
                slots.leave()

    def _mark(self, standing: ActiveFault) -> None:
        self.faults |= standing.bit
        self.behaviour = self.behaviour or standing.number

    async def _send_whole(self, send: Send) -> None:
        self.begun, self.status, self.sent_bytes = True, self.answer.status, len(self.answer.body)
        self.first_ns = self.clock_ns()
        await send_whole(send, self.answer)

    async def _take_turns(self, gone: asyncio.Future[bool], entered: list[ConcurrencyLimit]) -> bool:
        """Wait in each queue; a fault whose queue one had to wait in has hit. False: the client has gone."""
        for slots, standing in self.queues:
            turn = slots.enter()
            if turn is not None:
                if standing:
                    self._mark(standing)
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
        """Until it is due, which comes nearer when a fault is lifted."""
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
    """True, once the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    return True


def _leaves_body_alone(standing: ActiveFault) -> bool:
    behaviour = standing.behaviour
    return not behaviour.drip_ms and behaviour.keep >= 1 and not behaviour.pad_to
