"""The backends as one ASGI application: which one is asked, how long it takes, the row it leaves.

A call is answered from bytes that were made before; between arrival and answer there is one timer
and nothing else. It never refuses, retries or breaks anything by itself.

Rows (harness.records.CALLS): `due_ns` is when the drawn latency says the answer goes out, `done_ns`
when it went. A client that left first leaves a row with status 0, 0 bytes and the moment it left; a
call still waiting when the process is told to stop is answered 503 at once, and its row says so.
`GET /healthz` is the rig's own question and leaves no row; a wrong path or cursor is answered without
latency and leaves one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from fake_backends.catalog import make_catalog
from fake_backends.draws import CallCounter, Draws
from fake_backends.profiles import Lognormal
from fake_backends.providers import Answer, provider
from harness.correlation import CANARY_HEADER, SEQ_HEADER, TRACE_HEADER, seq_of
from harness.plan import PlannedUpstream
from harness.records import FLAG_CANARY, NO_SEQ, RowWriter
from harness.units import NS_PER_MS, NS_PER_S

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Address = tuple[str, int]

_CANARY: Final = CANARY_HEADER.encode()
_SEQ: Final = SEQ_HEADER.encode()
_TRACE: Final = TRACE_HEADER.encode()
_LIVE: Final = Answer.of_json(200, b'{"status":"ok"}')
_STOPPING: Final = Answer.of_error(503, "the fake backends are stopping")


class Backend:
    """One upstream's catalog, latency and call counts. Raises ValueError on an impossible one."""

    def __init__(self, planned: PlannedUpstream, *, seed: int, in_flight: int) -> None:
        self.index = planned.index
        rows = make_catalog(seed, planned.name, planned.rows)
        self.wire = provider(planned.provider).compile(rows, planned.page)
        self._profile = Lognormal.from_percentiles(planned.p50_ms, planned.p99_ms)
        self._draws = Draws(seed, "latency", planned.name)
        # a service may hold more requests than the load has open: the gateway gave up on some of them
        self._calls = CallCounter(limit=max(4096, 4 * in_flight))

    def latency_ns(self, seq: int) -> int:
        """How long the next call of request `seq` takes."""
        uniform = self._draws.uniform(seq, self._calls.nth(seq))
        return round(self._profile.latency_ms(uniform) * NS_PER_MS)


class FakeBackends:
    """The ASGI application. `run` is the run's hash, as `harness.correlation.run_hash` gives it."""

    def __init__(
        self,
        backends: Mapping[Address, Backend],
        rows: RowWriter,
        run: str,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._backends = backends
        self._rows = rows
        self._run = run
        self._clock_ns = clock_ns
        self.broken: OSError | None = None
        """Set once a row could not be kept; the process ends on it."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        arrived_ns = self._clock_ns()
        if scope["path"] == "/healthz":
            await _send(send, _LIVE)
            return
        backend = self._backends[scope["server"]]
        seq, canary = self._caller(scope["headers"])
        if canary:
            answer = backend.wire.first()
        else:
            answer = backend.wire.answer(scope["method"], scope["path"], scope["query_string"])
        due_ns = arrived_ns
        if answer.status == 200 and not canary:
            due_ns += backend.latency_ns(seq)
        try:
            stayed = await self._wait(due_ns, receive)
        except asyncio.CancelledError:  # the process was told to stop: this is its top
            stayed, answer = True, _STOPPING
        if stayed:
            await _send(send, answer)
        status, size = (answer.status, len(answer.body)) if stayed else (0, 0)
        flags = FLAG_CANARY if canary else 0
        try:
            self._rows.append(seq, arrived_ns, due_ns, self._clock_ns(), size, status, backend.index, 0, flags)
        except OSError as error:
            self.broken = self.broken or error

    async def _wait(self, due_ns: int, receive: Receive) -> bool:
        """Wait until `due_ns`; False as soon as the client has gone."""
        delay_ns = due_ns - self._clock_ns()
        if delay_ns <= 0:
            return True
        try:
            async with asyncio.timeout(delay_ns / NS_PER_S):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return True
        return False

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


async def _send(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})
