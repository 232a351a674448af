"""One backend as seen from here: every page of its offers, or a BackendError that says why not.

The only module that speaks to httpx, so the only one that knows its exceptions, and those of what is below
it. It sets no timeout: how long a backend may take is a policy, and the client's own timeouts count per read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import aiohttp
import httpx

from aggregator.backends.pages import BackendError, Page, Pages, PoolFull
from aggregator.query import Offer


class Backend:
    """`GET URL/offers?cursor=` → `{"offers": […], "next_cursor": … or null}`, until there is no next."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self._url = httpx.URL(f"{url}/offers")
        self._client = client

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        """All its offers; `headers` go with each call. Raises BackendError, PoolFull."""
        pages = Pages()
        while not pages.whole:
            pages.add(await self._page(pages.cursor, headers))
        return pages.offers

    async def _page(self, cursor: str | None, headers: Mapping[str, str]) -> Page:
        url = self._url if cursor is None else self._url.copy_set_param("cursor", cursor)
        request = self._client.build_request("GET", url, headers=headers)
        with _translated():
            response = await self._client.send(request, stream=True)
        async with contextlib.aclosing(response):
            page = Page(response.status_code, response.headers)
            with _translated():
                async for piece in response.aiter_bytes():
                    page.take(piece)
            return page


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Whatever a backend, or the way to it, can make a call end in, as a BackendError or PoolFull."""
    try:
        yield
    except httpx.PoolTimeout as error:
        # most likely of another backend's calls
        raise PoolFull("no connection of the client's pool was free") from error
    except httpx.ReadTimeout as error:
        raise BackendError("read_timeout", "no byte came for as long as a read may take") from error
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, ValueError) as error:
        # other timeouts too: none is set, and httpx-aiohttp calls a dropped connection one. Some of aiohttp's own
        # errors it lets through. ValueError is a reason that is no text; that, or InvalidURL, a redirect to nowhere
        raise BackendError("connection", str(error) or type(error).__name__) from error
