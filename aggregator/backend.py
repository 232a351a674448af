"""One backend as seen from here: every page of its offers, or a BackendError that says why not.

The only module that speaks to httpx, so the only one that knows its exceptions. It sets no timeout:
how long a backend may take is a policy, and the client's own timeouts count per read.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from aggregator.pages import BackendError, Pages
from aggregator.query import Offer


class Backend:
    """`GET URL/offers?cursor=` → `{"offers": […], "next_cursor": … or null}`, until there is no next."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self._url = httpx.URL(f"{url}/offers")
        self._client = client

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        """All its offers; `headers` go with each call. Raises BackendError."""
        pages = Pages()
        while not pages.whole:
            response = await self._get(pages.cursor, headers)
            pages.add(response.status_code, response.content, response.headers)
        return pages.offers

    async def _get(self, cursor: str | None, headers: Mapping[str, str]) -> httpx.Response:
        url = self._url if cursor is None else self._url.copy_set_param("cursor", cursor)
        try:
            return await self._client.get(url, headers=headers)
        except httpx.PoolTimeout as error:
            # the backend was never asked: our own pool is full, most likely of another backend's calls
            raise BackendError("pool_timeout", "no connection of the client's pool was free") from error
        except httpx.HTTPError as error:
            # whatever its class: httpx-aiohttp calls a dropped connection a timeout, and none is set here
            raise BackendError("connection", str(error) or type(error).__name__) from error
