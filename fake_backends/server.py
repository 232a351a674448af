"""The backends as one ASGI application: which backend is asked, how long its answer takes, and the row of the call.

A call that meets no fault is answered from bytes that were built before; between arrival and answer there is one timer
and nothing else. The faults that break a call come through `fake_backends.control` and are kept in
`fake_backends.active_faults`; a backend never refuses, retries or breaks anything by itself.

Rows (harness.rundir.rows.CALLS): `due_ns` is when the answer was due by the drawn latency and the faults that held the
call, `done_ns` when all of it was sent. If the client left first, the row has status 0 and the time at which it left. A
call that still waits when the process is stopped is answered 503 at once, and its row says so. `GET /-/ready` is the
harness's own request and leaves no row. A call with a wrong path or cursor is answered without latency, leaves a row,
and is listed in unmatched.ndjson.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from fake_backends.active_faults import ActiveFaults
from fake_backends.behaviours import CallContext
from fake_backends.call import Call
from fake_backends.concurrency_limit import ConcurrencyLimit, QueueFull
from fake_backends.control import control
from fake_backends.draws import CallCounter, Draws
from fake_backends.load_records import LoadRecords
from fake_backends.providers import IncomingRequest, Response, Routed, provider_named
from fake_backends.response_writer import Message, Send, send_whole
from harness.correlation import CONTROL_HEADER, LOAD_PATH, READY_PATH, RUN_DIR_HEADER
from harness.errors import TailgateError
from harness.rundir.plan import PlannedUpstream
from harness.rundir.rows import FLAG_CANARY, NO_ROUTE, NO_SEQ
from harness.units import NS_PER_MS
from harness.upstreams.profiles import as_planned, profile_of

Receive = Callable[[], Awaitable[Message]]

BODY_BYTES_MAX: Final = 1 << 20
"""A request's body is read up to about this size."""

CONTROL_PREFIX: Final = "/-/"
_RUN_DIR: Final = RUN_DIR_HEADER.encode()
_LIVE: Final = Response.of_json(200, b'{"status":"ok"}')
_STOPPING: Final = Response.of_error(503, "the fake backends are stopping")
_FULL: Final = Response.of_error(503, "the queue is full")


class Backend:
    """One upstream's provider, latency, faults and call counts. Raises ValueError if its settings are impossible."""

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
        spec = planned.fake
        if spec is None:
            raise ValueError("it is no fake")
        self.provider = (Routed if spec.routes else provider_named(spec.provider))(planned.name, spec, seed)
        self.healthy = self.provider.respond(self.provider.health)
        if not self.healthy.matched:
            raise ValueError(f"the provider {spec.provider} has no answer to its own health request")
        self.standings = ActiveFaults(planned.name, seed, clock_ns)
        routes = self.provider.routes if isinstance(self.provider, Routed) else ()
        self._slots = _limit(spec.capacity)
        self._route_slots = [_limit(route.capacity) for route in routes]
        profile = profile_of(spec)
        self._profiles = [as_planned(route.profile) if route.profile else profile for route in routes] or [profile]
        self._draws = Draws(seed, "latency", planned.name)
        # a service may work on more requests than the load has open, because the gateway gave up on some of them
        self._calls = CallCounter(limit=max(4096, 4 * in_flight))

    def drawn_by(self, seq: int, route: int) -> tuple[int, int]:
        """What all draws for the next call depend on: its request's number, and which call of that request it is.

        Calls without a number are counted for each route, so that routes do not disturb each other's draws.
        """
        request = seq if seq != NO_SEQ else NO_SEQ - route
        return request, self._calls.nth(request)

    def latency_ns(self, request: int, nth: int, route: int) -> int:
        """How long a call takes if no fault hits it; `request` and `nth` are from `drawn_by`."""
        return round(self._profiles[route].latency_ms(self._draws.uniform(request, nth)) * NS_PER_MS)

    def queues(self, route: int) -> list[ConcurrencyLimit]:
        """The queues in which a call for a route waits for its turn, one after the other."""
        of_route = self._route_slots[route] if self._route_slots else None
        return [slots for slots in (self._slots, of_route) if slots]

    def speaks(self) -> str:
        """For people: what it answers."""
        if isinstance(self.provider, Routed):
            return f"its routes are {self.provider.speaks}"
        return f"a fake of the provider {self.provider.name} speaks {self.provider.speaks}"

    def nearest(self, method: str, path: str) -> str:
        """The route that is most like a request without a route; empty for the catalog of a provider."""
        return self.provider.nearest(method, path) if isinstance(self.provider, Routed) else ""


def _limit(capacity: int | None) -> ConcurrencyLimit | None:
    return None if capacity is None else ConcurrencyLimit(capacity)


class FakeBackends:
    """The ASGI application. `stack` is the hash of the stack's id; a request without it is no control request.

    `open_load` opens the records of the load in a run directory; it may raise TailgateError.
    """

    def __init__(
        self,
        load: LoadRecords,
        stack: str,
        *,
        open_load: Callable[[Path], LoadRecords] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.load = load
        self._control = (CONTROL_HEADER.encode(), stack.encode())
        self._open_load = open_load
        self._clock_ns = clock_ns
        self.broken: OSError | None = None
        """Set once a row could not be kept; the process then ends."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        arrived_ns = self._clock_ns()
        path = scope["path"]
        if path == READY_PATH:
            await send_whole(send, _LIVE)
            return
        load = self.load
        backend = load.backends[scope["server"]]
        if path.startswith(CONTROL_PREFIX) and self._control in scope["headers"]:
            if path == LOAD_PATH:
                await send_whole(send, self._switch(scope["headers"]))
            else:
                await send_whole(send, control(backend.standings, backend.name, load.faults, scope["method"], path))
            return
        seq, canary = load.caller(scope["headers"])
        if canary:
            answer = backend.healthy
        else:
            body = await _body(receive)
            sent_path = scope.get("raw_path") or b""
            raw_path = sent_path.decode("latin-1") if b"%" in sent_path else ""
            answer = backend.provider.respond(
                IncomingRequest(
                    scope["method"],
                    path,
                    scope["query_string"],
                    scope["headers"],
                    body,
                    raw_path,
                    None if seq == NO_SEQ else seq,
                )
            )
            if not answer.matched:
                load.unmatched.note(backend.name, scope["method"], path, answer.status)
        call = self._begin(backend, scope, answer, arrived_ns, seq, canary=canary)
        try:
            stayed = await call.answer_to(scope, receive, send)
        except QueueFull:
            call.first_ns = self._clock_ns()
            await send_whole(send, _FULL)
            stayed, call.status, call.sent_bytes = True, _FULL.status, len(_FULL.body)
        except asyncio.CancelledError:  # the process is being stopped, and this is the top of the task
            if not call.begun:
                call.first_ns = self._clock_ns()
                await send_whole(send, _STOPPING)
            stayed, call.status, call.sent_bytes = True, _STOPPING.status, len(_STOPPING.body)
        self._keep(load, backend, call, seq, stayed=stayed, canary=canary)

    def _begin(
        self, backend: Backend, scope: Message, answer: Response, arrived_ns: int, seq: int, *, canary: bool
    ) -> Call:
        """A canary takes no draw, no latency and no place in the backend's own queue."""
        request, nth = (seq, 0) if canary else backend.drawn_by(seq, answer.route)
        latency_ns = 0 if canary or not answer.matched else backend.latency_ns(request, nth, answer.route)
        call = Call(arrived_ns, answer, self._clock_ns, latency_ns)
        if not canary:
            call.queues += [(slots, None) for slots in backend.queues(answer.route)]
        if backend.standings:
            met = backend.standings.met_by_canary() if canary else backend.standings.met_by(request, nth)
            call.meet(
                met, _context(scope, backend), lambda active: active.delay_ms(arrived_ns, request, nth, canary=canary)
            )
        return call

    def _switch(self, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """Close the records of the load. If the headers name a run directory, open the records of the load in it.

        The faults of the load have been lifted by then. A call that is under way leaves no record in either.
        """
        named = dict(headers).get(_RUN_DIR)
        try:
            self.load.close()
            if named and self._open_load:
                self.load = self._open_load(Path(unquote(named.decode("ascii", "replace"))))
        except OSError as error:
            self.broken = self.broken or error
            return Response.of_error(500, f"call records cannot be written: {error.strerror}")
        except TailgateError as error:
            return Response.of_error(500, error.message)
        return Response.of_json(200, b"{}")

    def _keep(self, load: LoadRecords, backend: Backend, call: Call, seq: int, *, stayed: bool, canary: bool) -> None:
        if load.is_closed:
            return
        try:
            load.rows.append(
                seq,
                call.arrived_ns,
                call.due_ns,
                call.first_ns,
                self._clock_ns(),
                call.sent_bytes,
                call.faults,
                call.status if stayed else 0,
                call.route if call.matched else NO_ROUTE,
                backend.index,
                call.behaviour,
                FLAG_CANARY if canary else 0,
            )
        except OSError as error:
            self.broken = self.broken or error


def _context(scope: Message, backend: Backend) -> CallContext:
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    return CallContext(path + (b"?" + query if query else b""), backend.provider.empty)


async def _body(receive: Receive) -> bytes:
    """The request's body, as far as it is read."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > BODY_BYTES_MAX:
            break
    return bytes(body)
