"""Certificates and TLS servers for tests, on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path

from fake_backends.tls.run_ca import KEY_FOLDER, RunCertificates

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@cache
def certificates() -> RunCertificates:
    """One authority for all tests, with a certificate for pay.example besides."""
    return RunCertificates(["pay.example"])


def trusting(of: RunCertificates, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client's context that trusts that authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=of.ca_pem.decode())
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def ca_file(folder: Path, of: RunCertificates) -> Path:
    path = folder / "their-ca.pem"
    path.write_bytes(of.ca_pem)
    return path


def await_no_key_folder(within_s: float = 5.0) -> None:
    """Asserts that no folder with a key is left. Tests beside this one may have one for a moment."""
    end_s = time.monotonic() + within_s
    while left := list(Path(tempfile.gettempdir()).glob(f"{KEY_FOLDER}*")):
        assert time.monotonic() < end_s, left
        time.sleep(0.05)


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def served(handle: Handle, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server whose connections `handle` has; yields its port."""

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
