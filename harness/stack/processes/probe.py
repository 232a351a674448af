"""Readiness probes: a small HTTP request on a new connection, repeated until it is answered or time is up.

It uses no HTTP client library but only a parser (`harness.http1`), so that the supervisor starts in a fraction of a
second and probes a dozen children at once. It follows no redirects, and an answer that is not HTTP is an error.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

from harness.http1 import HttpExchange
from harness.rundir.manifest import how_ended
from harness.stack.processes.process import ChildProcess

ATTEMPT_S: Final = 2.0
PAUSE_S: Final = 0.01
_MOST_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 64 * 1024


class NotReady(Exception):
    """Time was up, or the child ended first. The message says how the last attempt failed."""


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """An answer. `body` is cut at 1 MiB. `whole`: the end of the body was received and nothing was cut."""

    status: int
    body: bytes
    whole: bool


async def get(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = MappingProxyType({}),
    timeout_s: float = ATTEMPT_S,
    context: ssl.SSLContext | None = None,
) -> ProbeAnswer:
    """Send one request on one connection.

    `context`: for https; default: one that verifies by the authorities of the system. Raises OSError (also
    TimeoutError); ValueError if the answer is not HTTP.
    """
    async with asyncio.timeout(timeout_s):
        return await _exchange(url, method, headers, context)


async def until_answered(
    url: str,
    *,
    within_s: float,
    child: ChildProcess | None = None,
    method: str = "GET",
    headers: Mapping[str, str] = MappingProxyType({}),
    context: ssl.SSLContext | None = None,
) -> float:
    """Probe until a status from 200 to 399 comes. Returns the milliseconds that it took. Raises NotReady.

    `context`: as of `get`.
    """
    begin = time.monotonic()
    last = ""
    while (left_s := begin + within_s - time.monotonic()) > 0:
        if child and not child.alive:
            raise NotReady(how_ended(child.code.result()))
        attempt_s = min(ATTEMPT_S, left_s)
        try:
            answer = await get(url, method=method, headers=headers, timeout_s=attempt_s, context=context)
        except TimeoutError:
            if attempt_s == ATTEMPT_S or not last:  # a last attempt cut short explains less than the one before
                last = f"no answer within {attempt_s:.3g} s"
        except (OSError, ValueError) as exc:
            last = _why(exc)
        else:
            if 200 <= answer.status < 400:
                return (time.monotonic() - begin) * 1000
            last = f"answered {answer.status}"
        await _pause(child)
    raise NotReady(last or "no attempt was made")


async def until_connected(host: str, port: int, within_s: float, child: ChildProcess) -> float:
    """Milliseconds until a TCP connection was accepted. Raises NotReady."""
    begin = time.monotonic()
    while (left_s := begin + within_s - time.monotonic()) > 0:
        if not child.alive:
            raise NotReady(how_ended(child.code.result()))
        try:
            async with asyncio.timeout(min(ATTEMPT_S, left_s)):
                _, writer = await asyncio.open_connection(host, port)
        except OSError:  # TimeoutError too
            await _pause(child)
            continue
        writer.close()
        return (time.monotonic() - begin) * 1000
    raise NotReady(f"nothing accepts connections on {host}:{port}")


async def _pause(child: ChildProcess | None) -> None:
    if child:  # return at once if the child ends
        await asyncio.wait([child.code], timeout=PAUSE_S)
    else:
        await asyncio.sleep(PAUSE_S)


async def _exchange(url: str, method: str, headers: Mapping[str, str], context: ssl.SSLContext | None) -> ProbeAnswer:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    exchange = HttpExchange(method, _target(parts), _fields(parts.netloc.rpartition("@")[2], headers))
    tls = (context or ssl.create_default_context()) if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    try:
        writer.write(exchange.request)
        await writer.drain()
        # a server may keep the connection open in spite of `Connection: close`
        while exchange.is_http and not (exchange.ended or exchange.is_damaged) and len(exchange.body) <= _MOST_BYTES:
            chunk = await reader.read(_CHUNK_BYTES)
            exchange.feed(chunk)
            if not chunk:
                break
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if not exchange.status:
        raise ValueError("the answer is not HTTP")
    body = bytes(exchange.body[:_MOST_BYTES])
    return ProbeAnswer(exchange.status, body, whole=exchange.ended and len(exchange.body) == len(body))


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _fields(host: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Our own headers and `headers`, which win (names in any case). `Connection` is always `close`."""
    given = {name: value for name, value in headers.items() if name.lower() != "connection"}
    own = {"Host": host, "User-Agent": "tailgate", "Accept": "*/*"}
    given_names = {name.lower() for name in given}
    defaults = {name: value for name, value in own.items() if name.lower() not in given_names}
    return {**defaults, **given, "Connection": "close"}


def _why(exc: OSError | ValueError) -> str:
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused"
    return str(exc) or type(exc).__name__
