"""One backend: pages followed to the end, and each way of not answering told apart."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from aggregator.backends.backend import Backend
from aggregator.backends.pages import PAGES_MAX, BackendError, PoolFull
from tests.aggregator.world import Mock, World, offer, page


def fetch(*answers: httpx.Response | Exception) -> list[dict[str, Any]]:
    """What a backend is that answers like this, one call after the other."""

    async def ask() -> list[dict[str, Any]]:
        router = respx.Router()
        router.get("http://azure.test/offers").mock(side_effect=list(answers))
        async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
            return await Backend("azure", "http://azure.test", client).offers({})

    return asyncio.run(ask())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_every_page_is_in_the_answer_once_and_in_order(sizes: list[int]) -> None:
    numbers = iter(range(sum(sizes)))
    pages = [[offer("azure", next(numbers)) for _ in range(size)] for size in sizes]
    world = World({"azure": Mock(pages=pages)})
    (reply,) = world.ask("/v1/offers")
    assert [row["price"] for row in reply.body["offers"]] == list(range(sum(sizes)))
    assert world.asked == ["azure"] * len(sizes)


def test_a_cursor_is_sent_back_as_it_came() -> None:
    async def ask() -> str:
        router = respx.Router()
        route = router.get("http://azure.test/offers").mock(side_effect=[page([], "a b&c=d/é"), page([])])
        async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
            await Backend("azure", "http://azure.test", client).offers({})
        return str(route.calls[1].request.url.params["cursor"])

    assert asyncio.run(ask()) == "a b&c=d/é"


def test_a_backend_whose_pages_never_end_is_given_up() -> None:
    with pytest.raises(BackendError, match=f"after {PAGES_MAX} pages") as caught:
        fetch(*[page([], "again")] * PAGES_MAX)
    assert caught.value.reason == "too_many_pages"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(503), "http_503"),
        (httpx.Response(204), "http_204"),
        (httpx.Response(302, headers={"location": "/elsewhere"}), "http_302"),
        (httpx.Response(200, content=b'{"offers": ['), "bad_answer"),
        (httpx.Response(200, content=b""), "bad_answer"),
        (httpx.Response(200, json=[]), "bad_answer"),
        (httpx.Response(200, json={"items": []}), "bad_answer"),
        (httpx.Response(200, json={"offers": {}}), "bad_answer"),
        (httpx.Response(200, json={"offers": [], "next_cursor": 40}), "bad_answer"),
        (httpx.Response(200, json={"offers": ["cheap"]}), "bad_answer"),
        (httpx.Response(200, json={"offers": [{"price": "1.2"}]}), "bad_answer"),
        (httpx.Response(200, json={"offers": [{"price": True}]}), "bad_answer"),
        (httpx.ConnectError("refused"), "connection"),
        (httpx.ReadError("reset"), "connection"),
        (httpx.ReadTimeout(""), "read_timeout"),
        (httpx.RemoteProtocolError("cut short"), "connection"),
        # what httpx-aiohttp makes of a connection that was dropped; no timeout is set, so it cannot be one
        (httpx.ConnectTimeout("Server disconnected"), "connection"),
    ],
)
def test_each_way_of_not_answering_has_its_reason(answer: httpx.Response | Exception, reason: str) -> None:
    with pytest.raises(BackendError) as caught:
        fetch(answer)
    assert caught.value.reason == reason
    assert str(caught.value)


def test_a_call_that_was_never_made_is_no_failure_of_the_backend() -> None:
    with pytest.raises(PoolFull, match="no connection of the client's pool was free"):
        fetch(httpx.PoolTimeout(""))


def test_a_mistake_of_our_own_is_not_the_backends() -> None:
    with pytest.raises(TypeError):
        fetch(TypeError("a bug"))


def test_a_failure_on_a_later_page_fails_the_whole() -> None:
    with pytest.raises(BackendError) as caught:
        fetch(page([offer("azure")], "1"), httpx.Response(500))
    assert caught.value.reason == "http_500"
