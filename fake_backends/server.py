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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from fake_backends.backend import Backend
from fake_backends.behaviours import CallContext
from fake_backends.breaking import flights_before
from fake_backends.call import Call
from fake_backends.concurrency_limit import QueueFull
from fake_backends.control import control
from fake_backends.load_records import LoadRecords
from fake_backends.providers import Response
from fake_backends.response_writer import Message, Receive, Send, send_whole
from fake_backends.routing.fault_route import AskedRoute
from harness.correlation import CONTROL_HEADER, LOAD_PATH, READY_PATH, RUN_DIR_HEADER
from harness.errors import TailgateError
from harness.rundir.rows import FLAG_CANARY, FLAG_ORIGIN_FAILED, FLAG_SHAKEN_ONCE, FLAG_SHAKEN_TWICE, NO_ROUTE

CONTROL_PREFIX: Final = "/-/"
_RUN_DIR: Final = RUN_DIR_HEADER.encode()
_LIVE: Final = Response.of_json(200, b'{"status":"ok"}')
_STOPPING: Final = Response.of_error(503, "the fake backends are stopping")
_SHAKEN: Final = (0, FLAG_SHAKEN_ONCE, FLAG_SHAKEN_TWICE)
_FULL: Final = Response.of_error(503, "the queue is full")


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
        self.crashed: Exception | None = None
        """Set once a call met a mistake of ours; the process then ends, because the service would be blamed for it."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except Exception as error:
            self.crashed = self.crashed or error
            raise

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        arrived_ns = self._clock_ns()
        path = scope["path"]
        if path == READY_PATH:
            await send_whole(send, _LIVE)
            return
        load = self.load
        backend = load.backends[scope["server"][1]]
        if path.startswith(CONTROL_PREFIX) and self._control in scope["headers"]:
            if path == LOAD_PATH:
                await send_whole(send, self._switch(scope["headers"]))
            else:
                await send_whole(send, control(backend.standings, backend.name, load.faults, scope["method"], path))
            return
        seq, canary = load.caller(scope["headers"])
        if canary:
            call = Call(arrived_ns, backend.healthy, self._clock_ns)
        else:
            call = await backend.take(scope, receive, arrived_ns, seq, load)
        self._begin(backend, scope, call, seq, canary=canary)
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
        flags = _SHAKEN[flights_before(scope)] | (FLAG_CANARY if canary else 0)
        self._keep(load, backend, call, seq, stayed=stayed, flags=flags)

    def _begin(self, backend: Backend, scope: Message, call: Call, seq: int, *, canary: bool) -> None:
        """Draw its latency, and the faults that it meets. A canary takes no draw, no latency and no place in the
        backend's own queue."""
        route = call.answer.route
        request, nth = (seq, 0) if canary else backend.drawn_by(seq, route)
        if not canary:
            if call.answer.matched:
                call.latency_ns = backend.latency_ns(request, nth, route)
            call.queues += [(slots, None) for slots in backend.queues(route)]
        if backend.standings:
            if canary:
                met = backend.standings.met_by_canary()
            else:
                asked = _asked(scope, call) if backend.standings.choose_routes else None
                met = backend.standings.met_by(request, nth, asked)
            call.meet(
                met,
                _context(scope, backend),
                lambda active: active.delay_ms(call.arrived_ns, request, nth, canary=canary),
            )

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

    def _keep(self, load: LoadRecords, backend: Backend, call: Call, seq: int, *, stayed: bool, flags: int) -> None:
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
                flags | (FLAG_ORIGIN_FAILED if call.origin_failed else 0),
            )
        except OSError as error:
            self.broken = self.broken or error


def _asked(scope: Message, call: Call) -> AskedRoute:
    sent_path = scope.get("raw_path") or b""
    raw_path = sent_path.decode("latin-1") if b"%" in sent_path else ""
    return AskedRoute(scope["method"], scope["path"], raw_path, call.route if call.matched else None)


def _context(scope: Message, backend: Backend) -> CallContext:
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    return CallContext(path + (b"?" + query if query else b""), backend.empty)
