"""One backend as seen from here: every page of its offers, or a BackendError that says why not.

The only module that speaks to the HTTP client, so the only one that knows its exceptions. It sets no
timeout: how long a backend may take is a policy, and the client's own timeouts count per read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
import orjson

from aggregator.query import Offer

PAGES_MAX: Final = 1000


class BackendError(Exception):
    """A backend gave no usable answer. `reason` is short and stable: `connection`, `http_503`,
    `bad_answer`, `too_many_pages`; the message tells a person more.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Backend:
    """`GET URL/offers?cursor=` → `{"offers": […], "next_cursor": … or null}`, until there is no next."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self._url = httpx.URL(f"{url}/offers")
        self._client = client

    async def offers(self, headers: Mapping[str, str]) -> list[Offer]:
        """All its offers; `headers` go with each call. Raises BackendError."""
        offers: list[Offer] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page, cursor = _parse(await self._get(cursor, headers))
            offers += page
            if cursor is None:
                return offers
        raise BackendError("too_many_pages", f"still not at the end after {PAGES_MAX} pages")

    async def _get(self, cursor: str | None, headers: Mapping[str, str]) -> bytes:
        url = self._url if cursor is None else self._url.copy_set_param("cursor", cursor)
        try:
            response = await self._client.get(url, headers=headers)
        except httpx.HTTPError as error:
            # whatever its class: httpx-aiohttp calls a dropped connection a timeout, and none is set here
            raise BackendError("connection", str(error) or type(error).__name__) from error
        if response.status_code != 200:
            raise BackendError(f"http_{response.status_code}", f"answered {response.status_code}")
        return response.content


def _parse(body: bytes) -> tuple[list[Offer], str | None]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BackendError("bad_answer", f"not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("offers"), list):
        raise BackendError("bad_answer", "no list of offers in it")
    cursor = document.get("next_cursor")
    if not (cursor is None or isinstance(cursor, str)):
        raise BackendError("bad_answer", "next_cursor is neither text nor null")
    offers: list[Offer] = document["offers"]
    for offer in offers:
        if type(offer) is not dict or type(offer.get("price")) not in (float, int):
            raise BackendError("bad_answer", "an offer without a price")
    return offers, cursor
