"""Catalog and wire shape: every row once, in pages, with the marker that completeness is judged by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_backends.catalog import GPUS, make_catalog, marker
from fake_backends.providers import PROVIDERS, Provider, provider_named
from tests.fake_backends.wire_clients import ask, healthy, provided

# gpuhunt.CatalogItem's fields that real clients read
FIELDS = {
    "provider": str,
    "instance_name": str,
    "location": str,
    "price": float,
    "cpu": int,
    "memory": float,
    "gpu_count": int,
    "gpu_name": str,
    "gpu_memory": float,
    "gpu_vendor": str,
    "spot": bool,
    "disk_size": float,
}


def walk(provider: Provider) -> list[list[dict[str, Any]]]:
    """The pages a client sees that follows the cursor to its end."""
    pages, query = [], b""
    while True:
        answer = ask(provider, "GET", "/offers", query)
        assert answer.status == 200
        document = json.loads(answer.body)
        pages.append(document["offers"])
        if document["next_cursor"] is None:
            return pages
        query = b"cursor=" + document["next_cursor"].encode()


def test_a_row_has_the_fields_of_a_catalog_item() -> None:
    for row in make_catalog(1, "azure", 50):
        assert {name: type(value) for name, value in row.items()} == FIELDS
        assert row["price"] > 0
        assert row["instance_name"].endswith("-tg-azure.")


def test_the_same_seed_makes_the_same_catalog_and_more_rows_only_add() -> None:
    assert make_catalog(1, "azure", 40) == make_catalog(1, "azure", 400)[:40]
    prices = {
        (seed, name): [row["price"] for row in make_catalog(seed, name, 40)]
        for seed in (1, 2)
        for name in ("azure", "gcp")
    }
    assert len({tuple(each) for each in prices.values()}) == 4


def test_names_are_unique_and_no_marker_is_part_of_another() -> None:
    names = [row["instance_name"] for row in make_catalog(1, "azure", 5000)]
    assert len(set(names)) == 5000
    assert marker("azure") not in "".join(row["instance_name"] for row in make_catalog(1, "azure-eu", 100))
    assert marker("azure-eu") not in "".join(names)


def test_every_gpu_is_in_a_small_catalog() -> None:
    assert {row["gpu_name"] for row in make_catalog(1, "azure", len(GPUS))} == {gpu for gpu, *_ in GPUS}


@given(st.integers(0, 120), st.integers(0, 50))
def test_the_pages_hold_every_row_exactly_once_and_in_order(count: int, page: int) -> None:
    rows, provider = provided("generic", count, page)
    pages = walk(provider)
    assert [row for each in pages for row in each] == list(rows)
    if page:
        assert all(len(each) == page for each in pages[:-1])
        assert len(pages[-1]) <= page
    else:
        assert len(pages) == 1


def test_the_first_page_is_the_one_without_a_cursor() -> None:
    _, provider = provided("generic", page=10)
    first = healthy(provider)
    assert ask(provider, "GET", "/offers") == ask(provider, "GET", "/offers", b"cursor=") == first
    assert dict(first.headers) == {
        b"content-type": b"application/json",
        b"content-length": str(len(first.body)).encode(),
    }


def test_parameters_the_shape_does_not_know_are_ignored() -> None:
    _, provider = provided("generic", page=10)
    assert ask(provider, "GET", "/offers", b"gpu=A100&cursor=10") == ask(provider, "GET", "/offers", b"cursor=10")


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/v1/offers", b"", 404),
        ("POST", "/offers", b"", 405),
        ("GET", "/offers", b"cursor=11", 400),
        ("GET", "/offers", b"cursor=40", 400),
        ("GET", "/offers", b"cursor=-1", 400),
    ],
)
def test_what_the_shape_does_not_have_is_told(method: str, path: str, query: bytes, status: int) -> None:
    answer = ask(provided("generic", page=10)[1], method, path, query)
    assert answer.status == status
    assert json.loads(answer.body)["error"]


def test_an_unknown_provider_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no provider is called `azzure`; known: generic"):
        provider_named("azzure")


def test_providers_have_names_of_their_own() -> None:
    assert len({each.name for each in PROVIDERS}) == len(PROVIDERS)
