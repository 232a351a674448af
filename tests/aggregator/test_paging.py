"""Pages: together the whole answer, each offer once, also while backends change what they say."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.paging import BadCursor, Cursor, decoded, encoded, page_of, rest_of
from tests.aggregator.world import Mock, World, offer

PRICES = st.lists(st.integers(0, 3) | st.sampled_from([0.5, 1.0]), max_size=8)
CATALOGS = st.dictionaries(st.sampled_from(["aws", "azure", "gcp", "oci"]), PRICES, max_size=4)


def rows(catalogs: dict[str, list[float]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: sorted(
            ({"price": price, "id": f"{name}-{number}"} for number, price in enumerate(prices)),
            key=lambda row: row["price"],
        )
        for name, prices in catalogs.items()
    }


def turned(offers: dict[str, list[dict[str, Any]]], limit: int, after: Cursor | None) -> Any:
    return page_of({name: rest_of(name, its, after) for name, its in offers.items()}, limit, after)


@given(CATALOGS, st.lists(st.integers(1, 5), min_size=40, max_size=40))
def test_pages_of_any_size_are_the_whole_once_and_in_order(catalogs: dict[str, list[float]], sizes: list[int]) -> None:
    offers = rows(catalogs)
    whole, nothing_more = page_of(offers, None, None)
    assert nothing_more is None
    seen: list[dict[str, Any]] = []
    after: Cursor | None = None
    for limit in sizes:
        page, after = turned(offers, limit, after)
        seen += page
        if after is None:
            break
        assert len(page) == limit
    assert after is None
    assert seen == whole


@given(CATALOGS, CATALOGS, st.integers(1, 6))
def test_what_a_backend_adds_behind_the_page_is_seen_and_what_went_before_is_not_seen_again(
    catalogs: dict[str, list[float]], dearer: dict[str, list[float]], limit: int
) -> None:
    first, after = turned(rows(catalogs), limit, None)
    if after is None:
        return
    later = {name: catalogs.get(name, []) + [price + 10 for price in dearer.get(name, [])] for name in catalogs}
    rest, _ = turned(rows(later), 1000, after)
    ids = [row["id"] for row in first + rest]
    assert len(set(ids)) == len(ids) == sum(map(len, later.values()))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**53), st.integers(1, 10_000), st.binary())
def test_a_cursor_comes_back_as_it_was(price: float, nth: int, filters: bytes) -> None:
    cursor = Cursor(price, "azure", nth)
    text = encoded(cursor, filters)
    assert text.replace("-", "").replace("_", "").isalnum(), "fit for a query string as it is"
    assert decoded(text, filters) == cursor


def spelt(document: object) -> str:
    return urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    ["", "x", "40", "é", "A" * 513, "A" * 100_000, "%00", spelt([]), spelt(None), spelt({"price": 1})]
    + [spelt(["0" * 12, price, "gcp", nth]) for price, nth in ((True, 1), ("1", 1), (1.0, 0), (1.0, True), (1.0, 1.5))],
)
def test_a_cursor_that_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="none that was given out"):
        decoded(text, b"")


@given(st.text(max_size=80))
def test_no_text_does_anything_but_decode_or_be_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decoded(text, b"no cursor of these filters")


CLOUDS = {
    "gcp": Mock(pages=[[offer("gcp", price) for price in (3, 1, 2)]]),
    "azure": Mock(pages=[[offer("azure", price) for price in (2, 2, 5)]]),
}


def test_a_client_that_follows_the_cursor_gets_everything_cheapest_first() -> None:
    whole = World(CLOUDS).ask("/v1/offers")[0].body
    assert whole["next_cursor"] is None
    seen, cursor = [], ""
    for expected in ([1, 2], [2, 2], [3, 5]):
        page = World(CLOUDS).ask(f"/v1/offers?limit=2{cursor}")[0].body  # another process, for all that it knows
        assert [row["price"] for row in page["offers"]] == expected
        seen += page["offers"]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == whole["offers"]
    assert all(left["price"] <= right["price"] for left, right in pairwise(seen))


def test_a_cursor_of_another_question_is_refused_and_another_limit_is_not() -> None:
    cursor = World(CLOUDS).ask("/v1/offers?limit=2&spot=false&backend=gcp,azure")[0].body["next_cursor"]
    same, other = World(CLOUDS).ask(
        f"/v1/offers?limit=10&backend=azure&backend=gcp&spot=false&cursor={cursor}",
        f"/v1/offers?limit=2&spot=true&backend=gcp,azure&cursor={cursor}",
    )
    assert len(same.body["offers"]) == 4
    assert other.response.status_code == 400
    assert "belongs to a question with other filters" in other.response.text


def test_identical_questions_share_their_work_and_other_pages_do_not() -> None:
    cursor = World(CLOUDS).ask("/v1/offers?limit=2")[0].body["next_cursor"]
    world = World(CLOUDS, "isolated")
    first, second = world.ask("/v1/offers?limit=2", f"/v1/offers?limit=2&cursor={cursor}")
    assert first.body["offers"] != second.body["offers"]
