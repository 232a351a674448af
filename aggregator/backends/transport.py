"""The HTTP clients to the backends: httpx's interface, on aiohttp's transport without limits or on its own.

Measured for a fan-out to eight: 11 to 81 ms of CPU a request on httpx's own transport, 3 on aiohttp's.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from aggregator.backends.pages import ASKED_WITH

KEEP_ALIVE_S: Final = 30.0
POOL_TIMEOUT_S: Final = 5.0
"""httpx's own default: how long a call waits for a connection to be free."""


class _NoCookies(CookieJar):
    """Keeps none. httpx's own jar has one shelf for all ports of a host: what one backend sets, others are sent."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Not even read: one that is not ASCII would break every call that follows."""


def make_client(backend_urls: Iterable[str], read_timeout_s: float | None = None) -> httpx.AsyncClient:
    """To be called inside a running event loop, and closed there.

    `read_timeout_s` looks like a deadline and is none: each byte begins it anew. It ends a call to a backend
    that hangs, and never one to a backend that drips, so it is a habit here (aggregator.antipatterns), and off.

    No timeouts else: how long a backend may take is a policy. No limit on connections: 40 requests a second
    to a backend that hangs for a minute hold 2,400 of them, and a pool that is smaller, filled by the
    broken backend's calls, would fail the healthy ones' too. What bounds them is the deadline.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_tls(backend_urls), keepalive_timeout=KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )
    transport = AiohttpTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), client=session)
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(None, read=read_timeout_s),
        trust_env=False,
        headers=ASKED_WITH,
        cookies=_NoCookies(),
    )


def make_pooled_client(backend_urls: Iterable[str], read_timeout_s: float | None = None) -> httpx.AsyncClient:
    """Plain httpx with its default pool: a hundred connections, shared by all backends.

    Kept to show what that costs: with a backend that hangs, its calls hold every one of them after
    some seconds, and calls to the healthy ones fail with PoolTimeout without ever being made.
    """
    return httpx.AsyncClient(
        verify=_tls(backend_urls),
        timeout=httpx.Timeout(None, pool=POOL_TIMEOUT_S, read=read_timeout_s),
        trust_env=False,
        headers=ASKED_WITH,
        cookies=_NoCookies(),
    )


def _tls(backend_urls: Iterable[str]) -> ssl.SSLContext:
    """Loading the system's certificates takes longer than all other set-up, so only where needed."""
    if any(url.startswith("https:") for url in backend_urls):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
