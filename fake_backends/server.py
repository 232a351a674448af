"""The backends as one ASGI application: which one is asked, how long it takes, the row it leaves.

A call that meets no fault is answered from bytes that were made before; between arrival and answer there
is one timer and nothing else. What breaks a call is told by `fake_backends.control` and stands in
`fake_backends.active_faults`; it never refuses, retries or breaks anything by itself.

Rows (harness.rundir.rows.CALLS): `due_ns` is when the drawn latency (and what held the call) says the answer
goes out, `done_ns` when all of it had gone. A client that left first leaves a row with status 0 and the
moment it left; a call still waiting when the process is told to stop is answered 503 at once, and its row
says so. `GET /healthz` is the rig's own question and leaves no row; a wrong path or cursor is answered
without latency, leaves one, and is told by name in unmatched.ndjson.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from fake_backends.active_faults import ActiveFaults
from fake_backends.behaviours import CallContext
from fake_backends.call import Call
from fake_backends.concurrency_limit import ConcurrencyLimit, QueueFull
from fake_backends.control import PATH as CONTROL_PATH
from fake_backends.control import control
from fake_backends.draws import CallCounter, Draws
from fake_backends.providers import IncomingRequest, Response, provider_named
from fake_backends.response_writer import Message, Send, send_whole
from fake_backends.unmatched import UnmatchedCalls
from harness.correlation import CANARY_HEADER, CONTROL_HEADER, SEQ_HEADER, TRACE_HEADER, seq_of
from harness.rundir.plan import PlannedFault, PlannedUpstream
from harness.rundir.rows import FLAG_CANARY, NO_ROUTE, NO_SEQ, RowWriter
from harness.units import NS_PER_MS
from harness.upstreams.profiles import profile_of

Receive = Callable[[], Awaitable[Message]]
Address = tuple[str, int]

BODY_BYTES_MAX: Final = 1 << 20
"""More of a request's body is not looked at."""

_CANARY: Final = CANARY_HEADER.encode()
_SEQ: Final = SEQ_HEADER.encode()
_TRACE: Final = TRACE_HEADER.encode()
_CONTROL: Final = CONTROL_HEADER.encode()
_LIVE: Final = Response.of_json(200, b'{"status":"ok"}')
_STOPPING: Final = Response.of_error(503, "the fake backends are stopping")
_FULL: Final = Response.of_error(503, "the queue is full")


class Backend:
    """One upstream's provider, latency, faults and call counts. Raises ValueError on an impossible one."""

    def __init__(
        self,
        planned: PlannedUpstream,
        *,
        seed: int,
        in_flight: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = planned.name
        self.index = planned.index
        self.provider = provider_named(planned.provider)(planned, seed)
        self.healthy = self.provider.respond(self.provider.health)
        if not self.healthy.matched:
            raise ValueError(f"the provider {planned.provider} has no answer to its own health request")
        self.standings = ActiveFaults(planned.name, seed, clock_ns)
        self.slots = ConcurrencyLimit(planned.capacity) if planned.capacity is not None else None
        self._profile = profile_of(planned)
        self._draws = Draws(seed, "latency", planned.name)
        # a service may hold more requests than the load has open: the gateway gave up on some of them
        self._calls = CallCounter(limit=max(4096, 4 * in_flight))

    def nth(self, seq: int) -> int:
        """Which call of its request the next one is."""
        return self._calls.nth(seq)

    def latency_ns(self, seq: int, nth: int) -> int:
        """How long the nth call of request `seq` takes in health."""
        return round(self._profile.latency_ms(self._draws.uniform(seq, nth)) * NS_PER_MS)


class FakeBackends:
    """The ASGI application. `run` is the run's hash, as `harness.correlation.run_hash` gives it."""

    def __init__(
        self,
        backends: Mapping[Address, Backend],
        rows: RowWriter,
        unmatched: UnmatchedCalls,
        run: str,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        faults: Sequence[PlannedFault] = (),
    ) -> None:
        self._backends = backends
        self._rows = rows
        self._run = run
        self._clock_ns = clock_ns
        self._faults = faults
        self.unmatched = unmatched
        self.broken: OSError | None = None
        """Set once a row could not be kept; the process ends on it."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        arrived_ns = self._clock_ns()
        path = scope["path"]
        if path == "/healthz":
            await send_whole(send, _LIVE)
            return
        backend = self._backends[scope["server"]]
        if path.startswith(CONTROL_PATH) and (_CONTROL, self._run.encode()) in scope["headers"]:
            await send_whole(send, control(backend.standings, backend.name, self._faults, scope["method"], path))
            return
        seq, canary = self._caller(scope["headers"])
        if canary:
            answer = backend.healthy
        else:
            body = await _body(receive)
            answer = backend.provider.respond(
                IncomingRequest(scope["method"], path, scope["query_string"], scope["headers"], body)
            )
            if not answer.matched:
                self.unmatched.note(backend.name, scope["method"], path, answer.status)
        call = self._begin(backend, scope, answer, arrived_ns, seq, canary=canary)
        try:
            stayed = await call.answer_to(receive, send)
        except QueueFull:
            call.first_ns = self._clock_ns()
            await send_whole(send, _FULL)
            stayed, call.status, call.sent_bytes = True, _FULL.status, len(_FULL.body)
        except asyncio.CancelledError:  # the process was told to stop: this is its top
            if not call.begun:
                call.first_ns = self._clock_ns()
                await send_whole(send, _STOPPING)
            stayed, call.status, call.sent_bytes = True, _STOPPING.status, len(_STOPPING.body)
        self._keep(backend, call, seq, stayed=stayed, canary=canary)

    def _begin(
        self, backend: Backend, scope: Message, answer: Response, arrived_ns: int, seq: int, *, canary: bool
    ) -> Call:
        """A canary takes no draw, no latency and no place in the backend's own queue."""
        nth = 0 if canary else backend.nth(seq)
        latency_ns = 0 if canary or not answer.matched else backend.latency_ns(seq, nth)
        slots = None if canary else backend.slots
        call = Call(arrived_ns, answer, self._clock_ns, latency_ns, [(slots, None)] if slots else [])
        if backend.standings:
            met = backend.standings.met_by_canary() if canary else backend.standings.met_by(seq, nth)
            call.meet(
                met, _asked(scope, backend), lambda standing: standing.delay_ms(arrived_ns, seq, nth, canary=canary)
            )
        return call

    def _keep(self, backend: Backend, call: Call, seq: int, *, stayed: bool, canary: bool) -> None:
        try:
            self._rows.append(
                seq,
                call.arrived_ns,
                call.due_ns,
                call.first_ns,
                self._clock_ns(),
                call.sent_bytes,
                call.faults,
                call.status if stayed else 0,
                0 if call.matched else NO_ROUTE,
                backend.index,
                call.behaviour,
                FLAG_CANARY if canary else 0,
            )
        except OSError as error:
            self.broken = self.broken or error

    def _caller(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, bool]:
        """The request's number, or NO_SEQ, and whether this is a canary. The plain header wins."""
        plain = traced = None
        canary = False
        for name, value in headers:
            if name == _SEQ and value.isdigit():
                plain = int(value)
            elif name == _TRACE:
                traced = seq_of(self._run, value.decode("latin-1"))
            elif name == _CANARY:
                canary = True
        seq = plain if plain is not None else traced
        if canary or seq is None or not 0 <= seq < NO_SEQ:
            return NO_SEQ, canary
        return seq, canary


def _asked(scope: Message, backend: Backend) -> CallContext:
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    return CallContext(path + (b"?" + query if query else b""), backend.provider.empty)


async def _body(receive: Receive) -> bytes:
    """The request's body, as far as it is looked at."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > BODY_BYTES_MAX:
            break
    return bytes(body)
