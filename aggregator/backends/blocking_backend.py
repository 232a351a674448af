"""A backend spoken to by a blocking client, as most services that fan out do it: one thread a call.

This is the only module that uses urllib3 and translates its exceptions. By default it sets no read timeout, and that is
the bug it shows: the caller may stop waiting for the thread, but the thread goes on. urllib3 costs 0.3 ms of CPU a
call, with 256 threads as with 32; httpx's blocking client costs 0.5 ms and 3.7 ms (bench/blocking_call.py). With 40
requests a second to eight backends that would be more than one core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Final
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from aggregator.backends.pages import ASKED_WITH, BackendError, Page, Pages
from aggregator.policies.threads import THREADS_MAX, in_a_thread
from aggregator.query import Offer

PIECE_BYTES: Final = 2**16


class BlockingBackend:
    """As `aggregator.backends.backend.Backend`, but `offers` blocks the thread it is called in."""

    def __init__(self, name: str, url: str, client: urllib3.PoolManager) -> None:
        self.name = name
        self._url = f"{url}/offers"
        self._client = client

    def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        """All its offers; `headers` go with each call. Raises BackendError."""
        pages = Pages()
        while not pages.whole:
            pages.add(self._page(pages.cursor, headers))
        return pages.offers

    def _page(self, cursor: str | None, headers: Mapping[str, str]) -> Page:
        url = self._url if cursor is None else f"{self._url}?{urlencode({'cursor': cursor})}"
        with _translated():
            response = self._client.request(
                "GET", url, headers={**ASKED_WITH, **headers}, redirect=False, preload_content=False
            )
        with contextlib.closing(response):  # a connection whose answer was read to the end is back in its pool by then
            page = Page(response.status, response.headers)
            with _translated():
                for piece in response.stream(PIECE_BYTES, decode_content=False):
                    page.take(piece)
            return page


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Whatever a backend, or the way to it, can make a call end in, as a BackendError."""
    try:
        yield
    except ReadTimeoutError as error:
        raise BackendError("read_timeout", "no byte came for as long as a read may take") from error
    except (HTTPError, ValueError, OverflowError) as error:  # as urllib3 ends at the size of a chunk that is none
        raise BackendError("connection", str(error) or type(error).__name__) from error


class ThreadedBackend:
    """A blocking backend as the rest of the service wants it: a call that can be awaited."""

    def __init__(self, backend: BlockingBackend, threads: Executor) -> None:
        self.name = backend.name
        self._offers = in_a_thread(threads, backend.offers)

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        return await self._offers(headers)


def make_blocking_client(backends: int, read_timeout_s: float | None = None) -> urllib3.PoolManager:
    """A connection for every thread to every backend, so that connections are never what runs out.

    `read_timeout_s` as in `aggregator.backends.transport`; here it also gives the thread back. It keeps no cookies.
    """
    timeout = urllib3.Timeout(connect=None, read=read_timeout_s)
    return urllib3.PoolManager(num_pools=backends, maxsize=THREADS_MAX, timeout=timeout, retries=False)
