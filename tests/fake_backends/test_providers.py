"""What every provider's shape must keep."""

from __future__ import annotations

import json
from collections import Counter
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fake_backends.backend import FakeBackend
from fake_backends.catalog import marker
from fake_backends.providers import PROVIDERS, IncomingRequest
from harness.upstreams.fake import CatalogFake
from harness.upstreams.providers import PROVIDERS as TRAITS
from tests.fake_backends.plans import upstream
from tests.fake_backends.wire_clients import CLIENTS, WireClient, ask, document, healthy, plain_names, provided

each_provider = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.provider)


def test_every_provider_has_a_client_here_and_a_name_in_scenarios() -> None:
    names = [each.name for each in PROVIDERS]
    assert names == [client.provider for client in CLIENTS]
    assert tuple(names) == get_args(CatalogFake.model_fields["provider"].annotation) == tuple(TRAITS)


@each_provider
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 40])
def test_the_first_page_holds_rows_with_the_marker(client: WireClient, rows: int) -> None:
    _, provider = provided(client.provider, rows)
    first = healthy(provider)
    names = client.names(document(first))
    assert names
    assert all(name.endswith(marker("azure")) for name in names)
    assert marker("azure").encode() in first.body
    assert first == ask(provider, client.method, client.paths[0])


@each_provider
def test_an_empty_answer_has_the_shape_and_no_rows(client: WireClient) -> None:
    _, provider = provided(client.provider)
    assert provider.empty
    empty = document(provider.empty)
    for path in client.paths:
        shape = document(ask(provider, client.method, path))
        assert shape.keys() <= empty.keys()
        assert all(type(empty[key]) is type(value) or value is None for key, value in shape.items())
    assert client.names(empty) == []
    assert client.following(empty) == ""
    assert b"-tg-" not in provider.empty.body


@each_provider
@given(rows=st.integers(0, 120), page=st.integers(0, 50))
def test_the_pages_hold_every_row_exactly_once(client: WireClient, rows: int, page: int) -> None:
    catalog, provider = provided(client.provider, rows, page)
    pages = client.walk(provider)
    walked = Counter(name for names in pages for name in plain_names(names))
    assert walked == Counter(row["instance_name"] for row in catalog)
    if page and TRAITS[client.provider].pages:
        assert all(len(names) <= page for names in pages)
    else:
        assert len(pages) == len(client.paths)


@each_provider
def test_what_a_scenario_says_of_pages_is_so(client: WireClient) -> None:
    whole, small = (healthy(provided(client.provider, page=page)[1]) for page in (0, 3))
    assert (whole == small) is (not TRAITS[client.provider].pages)


@each_provider
@given(rows=st.integers(1, 60), page=st.integers(0, 20))
def test_an_answer_is_within_the_bounds_that_scenarios_reckon_with(client: WireClient, rows: int, page: int) -> None:
    page = page if TRAITS[client.provider].pages else 0
    fake = CatalogFake.model_validate({"provider": client.provider, "rows": rows, "page": page})
    least, most = fake.answer_bytes()
    assert least <= len(healthy(provided(client.provider, rows, page)[1]).body) <= most


@each_provider
def test_a_wrong_path_is_told_and_so_is_a_wrong_method(client: WireClient) -> None:
    _, provider = provided(client.provider)
    for path in ("/", "/v1/nothing", f"{client.paths[0]}x"):
        answer = ask(provider, client.method, path)
        assert answer.status == 404
        assert json.loads(answer.body)["error"]
    for path in client.paths:
        answer = ask(provider, "DELETE", path)
        assert answer.status == 405
        assert json.loads(answer.body)["error"]


@each_provider
def test_parameters_and_bodies_that_a_shape_does_not_know_are_ignored(client: WireClient) -> None:
    _, provider = provided(client.provider)
    body = b"" if client.method == "POST" else b"\xff not even JSON"
    assert ask(provider, client.method, client.paths[0], b"gpu=A100&type=all", body) == healthy(provider)


@each_provider
@given(query=st.binary(max_size=60))
@example(query=b"FF")
def test_no_query_is_beyond_an_answer(client: WireClient, query: bytes) -> None:
    _, provider = provided(client.provider, page=7)
    for text in (query, b"cursor=" + query, b"cursor=%" + query):
        assert ask(provider, client.method, client.paths[0], text).status in (200, 400)


@each_provider
def test_a_provider_answers_its_own_health_request(client: WireClient) -> None:
    _, provider = provided(client.provider)
    assert healthy(provider).matched
    assert healthy(provider).status == 200


def test_a_fake_whose_provider_does_not_know_its_own_health_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (generic,) = (each for each in PROVIDERS if each.name == "generic")
    monkeypatch.setattr(generic, "health", IncomingRequest("GET", "/v1/offers"))
    with pytest.raises(ValueError, match="the provider generic has no answer to its own health request"):
        FakeBackend(upstream(), seed=1, in_flight=1)
