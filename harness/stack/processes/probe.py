"""Is it ready? One small HTTP request on a fresh connection, repeated until it is answered or time is up.

It has no client library behind it: the supervisor starts in a fraction of a second and probes a dozen
children at once. It refuses to follow redirects and to believe an answer that is not HTTP.
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
from urllib.parse import urlsplit

from harness.stack.processes.process import ChildProcess

ATTEMPT_S: Final = 2.0
PAUSE_S: Final = 0.02
_MOST_BYTES: Final = 1 << 20
_MOST_FIELDS: Final = 200


class NotReady(Exception):
    """Time was up, or the child ended first. The message says what the last attempt met."""


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """`whole`: the body's end was seen; what is longer than a megabyte is cut there."""

    status: int
    body: bytes
    whole: bool


async def get(
    url: str, *, method: str = "GET", headers: Mapping[str, str] = MappingProxyType({}), timeout_s: float = ATTEMPT_S
) -> ProbeAnswer:
    """One request, one connection. Raises OSError (a timeout too) and ValueError for what is not HTTP."""
    async with asyncio.timeout(timeout_s):
        return await _exchange(url, method, headers)


async def until_answered(
    url: str,
    *,
    within_s: float,
    child: ChildProcess | None = None,
    method: str = "GET",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Probe until a status from 200 to 399 comes; returns the milliseconds it took. Raises NotReady."""
    begin = time.monotonic()
    last = ""
    while (left_s := begin + within_s - time.monotonic()) > 0:
        if child and not child.alive:
            raise NotReady(f"ended with exit code {child.code.result()}")
        attempt_s = min(ATTEMPT_S, left_s)
        try:
            answer = await get(url, method=method, headers=headers, timeout_s=attempt_s)
        except TimeoutError:
            if attempt_s == ATTEMPT_S or not last:  # one cut short by our own end says less than what came before it
                last = f"no answer within {attempt_s:.3g} s"
        except (OSError, ValueError) as exc:
            last = _why(exc)
        else:
            if 200 <= answer.status < 400:
                return (time.monotonic() - begin) * 1000
            last = f"answered {answer.status}"
        await _pause(child)
    raise NotReady(last or "no attempt was made")


async def _pause(child: ChildProcess | None) -> None:
    if child:  # the end of the child is news that cannot wait
        await asyncio.wait([child.code], timeout=PAUSE_S)
    else:
        await asyncio.sleep(PAUSE_S)


async def _exchange(url: str, method: str, headers: Mapping[str, str]) -> ProbeAnswer:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(
        parts.hostname, port, ssl=ssl.create_default_context() if secure else None
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "tailgate", "Accept": "*/*", **headers}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        await writer.drain()
        return await _read_answer(reader)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader) -> ProbeAnswer:
    words = (await reader.readline()).split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    fields: dict[bytes, bytes] = {}
    ended = False
    while line := await reader.readline():
        if ended := not line.strip():
            break
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
        if len(fields) > _MOST_FIELDS:
            raise ValueError("the answer has too many headers")
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        body, whole = await _read_chunks(reader)
    else:  # a server may keep the connection open, whatever it was asked
        length = fields.get(b"content-length", b"")
        expected = min(int(length), _MOST_BYTES + 1) if length.isdigit() else None
        body = await _read_most(reader, _MOST_BYTES if expected is None else min(expected, _MOST_BYTES))
        whole = len(body) < _MOST_BYTES if expected is None else len(body) == expected
    return ProbeAnswer(int(words[1]), body, ended and whole)


async def _read_most(reader: asyncio.StreamReader, most_bytes: int) -> bytes:
    body = b""
    while len(body) < most_bytes and (chunk := await reader.read(min(65_536, most_bytes - len(body)))):
        body += chunk
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """And whether the last chunk came."""
    body = b""
    while len(body) < _MOST_BYTES:
        try:
            size = int((await reader.readline()).partition(b";")[0], 16)
        except ValueError:
            break  # cut short: what came before is still an answer
        if size <= 0:
            return body, size == 0
        body += await _read_most(reader, min(size, _MOST_BYTES - len(body)))
        await reader.readline()
    return body, False


def _why(exc: OSError | ValueError) -> str:
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused"
    return str(exc) or type(exc).__name__
