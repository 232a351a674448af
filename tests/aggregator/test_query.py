"""Filters: what they let through, and which query strings are refused."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.paging import page_of
from aggregator.query import BadQuery, Query, parse_query
from tests.aggregator.world import offer

KNOWN = ("azure", "aws", "gcp")

OFFERS = [
    offer("azure", 3.0, gpu_name="H100", location="us-east-1"),
    offer("azure", 1.0, gpu_name="A100", location="eu-north-1", spot=True),
    offer("gcp", 2.0, gpu_name="A100", location="us-east-1"),
    offer("gcp", 0.5, gpu_name="T4", location="eu-north-1"),
]


@pytest.mark.parametrize(
    ("query", "prices"),
    [
        (b"", [0.5, 1.0, 2.0, 3.0]),
        (b"gpu=A100", [1.0, 2.0]),
        (b"gpu=a100", [1.0, 2.0]),
        (b"gpu=A100,H100", [1.0, 2.0, 3.0]),
        (b"gpu=A100&gpu=H100", [1.0, 2.0, 3.0]),
        (b"region=us-east-1", [2.0, 3.0]),
        (b"region=US-East-1&gpu=h100", [3.0]),
        (b"max_price=2", [0.5, 1.0, 2.0]),
        (b"max_price=0", []),
        (b"spot=true", [1.0]),
        (b"spot=false", [0.5, 2.0, 3.0]),
        (b"limit=2", [0.5, 1.0]),
        (b"limit=9", [0.5, 1.0, 2.0, 3.0]),
        (b"gpu=A100&max_price=1.5&spot=true&limit=1", [1.0]),
        (b"gpu=nothing", []),
    ],
)
def test_filters_select_and_the_cheapest_come_first(query: bytes, prices: list[float]) -> None:
    limit = parse_query(query, KNOWN).limit
    assert [row["price"] for row in parse_query(query, KNOWN).select("gcp", OFFERS)][:limit] == prices


@given(st.lists(st.lists(st.floats(0, 5), max_size=6), max_size=4), st.none() | st.integers(1, 8), st.floats(0, 5))
def test_selecting_from_each_backend_first_changes_nothing(
    catalogs: list[list[float]], limit: int | None, most: float
) -> None:
    query = Query(limit=limit, max_price=most)
    offers = {
        f"cloud-{number}": [offer(f"cloud-{number}", price) for price in prices]
        for number, prices in enumerate(catalogs)
    }
    whole = Query(max_price=most).select("all", [row for rows in offers.values() for row in rows])
    page, _ = page_of({name: query.select(name, rows) for name, rows in offers.items()}, limit, None)
    assert page == whole[:limit]


def test_rows_without_the_fields_a_filter_reads_do_not_pass() -> None:
    assert Query(gpus=frozenset({"a100"})).select("gcp", [{"price": 1.0}]) == []
    assert Query(spot=False).select("gcp", [{"price": 1.0}]) == []


@pytest.mark.parametrize("query", [b"backend=gcp,azure", b"backend=gcp&backend=azure", b"backend=gcp,%20azure"])
def test_lists_may_be_repeated_or_comma_separated(query: bytes) -> None:
    assert parse_query(query, KNOWN).backends == {"azure", "gcp"}


@pytest.mark.parametrize(
    ("query", "parameter", "message"),
    [
        (b"backend=gpc", "backend", "unknown: gpc; known: azure, aws, gcp"),
        (b"backend=", "backend", "must not be empty"),
        (b"gpu=A100,,H100", "gpu", "must not be empty"),
        (b"max_price=cheap", "max_price", "must be a price of zero or more"),
        (b"max_price=-1", "max_price", "must be a price of zero or more"),
        (b"max_price=nan", "max_price", "must be a price of zero or more"),
        (b"max_price=inf", "max_price", "must be a price of zero or more"),
        (b"max_price=1_0", "max_price", "must be a price of zero or more"),
        (b"max_price=%E0%A5%A8", "max_price", "must be a price of zero or more"),
        (b"max_price=%202", "max_price", "must be a price of zero or more"),
        (b"max_price=.", "max_price", "must be a price of zero or more"),
        (b"max_price=1e999", "max_price", "must be a price of zero or more"),
        (b"spot=yes", "spot", "must be true or false"),
        (b"limit=0", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=10001", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=2.5", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=1_0", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=%EF%BC%95", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=%205%20", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=%2B5", "limit", "must be a whole number from 1 to 10000"),
        (b"limit=" + b"1" * 5000, "limit", "must be a whole number from 1 to 10000"),
        (b"limit=1&limit=2", "limit", "may be given once only"),
        (b"cursor=", "cursor", "is none that was given out; take `next_cursor` of a page as it is"),
        (b"cursor=1&cursor=2", "cursor", "may be given once only"),
        (b"backends=gcp", "backends", "no such parameter; known: backend, gpu, region"),
        (b"&".join([b"gpu=A100"] * 101), "", "too many parameters"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(query: bytes, parameter: str, message: str) -> None:
    with pytest.raises(BadQuery, match=message) as caught:
        parse_query(query, KNOWN)
    assert caught.value.parameter == parameter


@given(st.floats(0, 1e300))
def test_a_price_may_be_written_as_any_language_writes_it(price: float) -> None:
    for text in (f"{price!r}", f"{price:.3E}", json.dumps(price)):
        assert parse_query(f"max_price={quote(text)}".encode(), KNOWN).max_price == float(text)


@given(st.binary(max_size=60))
def test_no_query_string_does_anything_but_parse_or_be_refused(query: bytes) -> None:
    try:
        parse_query(query, KNOWN)
    except BadQuery as error:
        assert str(error)
