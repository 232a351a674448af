"""A backend spoken to by a blocking client, as most services that fan out do it: one thread a call.

The only module that speaks to urllib3, so the only one that knows its exceptions. It sets no read
timeout, and that is the bug it is here to show: who waits for the thread may give up, the thread does
not. urllib3 costs 0.25 ms of CPU a call here, httpx's blocking client 1.3, which 40 requests a second
to eight backends would turn into half a core.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from aggregator.pages import BackendError, Pages
from aggregator.policies.threads import THREADS_MAX, in_a_thread
from aggregator.query import Offer


class BlockingBackend:
    """As `aggregator.backend.Backend`, but `offers` blocks the thread it is called in."""

    def __init__(self, name: str, url: str, client: urllib3.PoolManager) -> None:
        self.name = name
        self._url = f"{url}/offers"
        self._client = client

    def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        """All its offers; `headers` go with each call. Raises BackendError."""
        pages = Pages()
        while not pages.whole:
            response = self._get(pages.cursor, headers)
            pages.add(response.status, response.data, response.headers)
        return pages.offers

    def _get(self, cursor: str | None, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        url = self._url if cursor is None else f"{self._url}?{urlencode({'cursor': cursor})}"
        try:
            return self._client.request("GET", url, headers={"user-agent": "aggregator", **headers}, redirect=False)
        except HTTPError as error:
            raise BackendError("connection", str(error) or type(error).__name__) from error


class ThreadedBackend:
    """A blocking backend as the rest of the service wants it: a call that can be awaited."""

    def __init__(self, backend: BlockingBackend, threads: Executor) -> None:
        self.name = backend.name
        self._offers = in_a_thread(threads, backend.offers)

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        return await self._offers(headers)


def make_blocking_client(backends: int) -> urllib3.PoolManager:
    """A connection for every thread to every backend, so that connections are never what runs out."""
    return urllib3.PoolManager(num_pools=backends, maxsize=THREADS_MAX, timeout=None, retries=False)
