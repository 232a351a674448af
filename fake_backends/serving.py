"""The event loop of the fakes' process: plain listeners, listeners that speak TLS, and the orderly end of both."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import uvicorn

from fake_backends.breaking import BreakableProtocol
from fake_backends.server import FakeBackends
from fake_backends.tls.stream_proxy import StreamProxy
from harness.errors import RigError

FLUSH_EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 3600
"""Longer than any run: to close an idle connection under a client would look like a fault."""
STOP_WITHIN_S: Final = 1.0
"""How long calls that are still open may take to answer once the server has stopped."""


Listeners = tuple[Sequence[socket.socket], ssl.SSLContext | None]
"""Listening sockets, and the TLS that they speak; None: plain HTTP."""


HANDSHAKE_S: Final = 3600.0
"""Longer than any run: a fault of a minute on the wire holds handshakes too, and to end them would break what it should
only hold. The event loop's own limit is a minute."""


class _Server(uvicorn.Server):
    """A server that leaves signals alone, because several share the process, that waits for slow handshakes, and that
    ends at once: uvicorn looks ten times a second whether it should end, and then waits for as long again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        loop, context = asyncio.get_running_loop(), self.config.ssl
        for sock in sockets or ():
            server = await loop.create_server(
                self._protocol,
                sock=sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S if context else None,
                backlog=self.config.backlog,
            )
            self.servers.append(server)

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers of all answers
        await self.ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # calls that were answered meanwhile end
        for task in self.server_state.tasks:
            task.cancel()

    def _protocol(self) -> asyncio.Protocol:
        return BreakableProtocol(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


StartStream = Callable[[], Awaitable[StreamProxy]]


def serve(app: FakeBackends, listeners: Sequence[Listeners], parent: int, streams: Sequence[StartStream] = ()) -> None:
    """Serve until SIGTERM or SIGINT, until `parent` is no longer the parent, or until rows cannot be kept.

    A server of uvicorn has one TLS context, so there is one server for each entry of `listeners` with any socket.
    `streams` start what carries the bytes of protocols that are not HTTP. Raises RigError if rows were lost.
    """
    served = [(sockets, context) for sockets, context in listeners if sockets] or [((), None)]
    servers = [(_Server(server_config(app, context)), list(sockets)) for sockets, context in served]
    with asyncio.Runner(loop_factory=servers[0][0].config.get_loop_factory()) as runner:
        runner.run(_until_stopped(servers, app, parent, streams))


def rows_lost(error: OSError) -> RigError:
    return RigError(f"call records cannot be written: {error.strerror}", "free some disk space and run again")


def server_config(app: FakeBackends, context: ssl.SSLContext | None = None) -> uvicorn.Config:
    """The settings of a server of uvicorn. `context`: its TLS; None: plain HTTP."""
    config = uvicorn.Config(
        app,
        loop="auto",
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=0,
    )
    config.load()
    config.ssl = context  # uvicorn takes files of keys otherwise, and ours are gone by now
    return config


async def _until_stopped(
    servers: Sequence[tuple[_Server, list[socket.socket]]],
    app: FakeBackends,
    parent: int,
    streams: Sequence[StartStream],
) -> None:
    def stop() -> None:
        for server, _ in servers:
            server.ending.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # what start-up created lives to the end; full collections that skip it cost next to nothing
    gc.collect()
    gc.freeze()
    carrying = [await start() for start in streams]
    stopped = asyncio.gather(*(server.serve(sockets=sockets) for server, sockets in servers))
    watch = asyncio.create_task(_flush_and_watch(app, parent, stop))
    try:
        await stopped
        open_calls = [task for server, _ in servers for task in server.server_state.tasks]
        if open_calls:
            # calls that are still open: when they are cancelled, they answer and leave their rows
            await asyncio.wait(open_calls, timeout=STOP_WITHIN_S)
    finally:
        for each in carrying:
            await each.close()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    if app.crashed:
        traceback.print_exception(app.crashed)
        found = f"a mistake in the fake backends: {type(app.crashed).__name__}: {app.crashed}"
        raise RigError(found, "report it, with the lines above") from app.crashed
    if app.broken:
        raise rows_lost(app.broken) from app.broken


async def _flush_and_watch(app: FakeBackends, parent: int, stop: Callable[[], None]) -> None:
    """Every second: flush, and stop the servers once rows cannot be kept or the parent has ended."""
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        try:
            app.load.flush()
        except OSError as error:
            app.broken = app.broken or error
        if app.broken or app.crashed or os.getppid() != parent:
            stop()
