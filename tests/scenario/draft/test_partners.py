"""Recordings, descriptions and configurations of Toxiproxy: alone, together, and beside a compose file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.scenario.draft import scenario_text
from tests.scenario.draft.draft_world import (
    DESCRIPTION,
    PROXIES,
    comments_of,
    draft,
    exchange,
    problems_of,
    put,
    recording,
    refused,
    tree_of,
)

# ---------------------------------------------------------------- HAR


def test_the_hosts_of_a_recording_by_their_exchanges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    har = recording(
        exchange("https://fonts.gstatic.com/f"),
        exchange("https://eu.stats.hotjar.com/f"),
        exchange("https://few.example/x"),
        *[exchange(f"https://many.example:8443/x/{n}") for n in range(3)],
        exchange("https://empty.example/x", None),
        exchange("https://gone.example/x", status=0),
    )
    made = draft(put(tmp_path, r__har=har), folder=tmp_path)
    tree = tree_of(made)
    assert tree["upstreams"] == {
        "many-example": {"har": "r.har", "host": "many.example:8443"},
        "few-example": {"har": "r.har", "host": "few.example"},
    }
    assert tree["faults"][0]["upstream"] == "many-example"
    assert tree["service"]["env"]["FEW_EXAMPLE_URL"] == "{few-example.url}"
    said = comments_of(made)
    assert "a browser calls for itself: eu.stats.hotjar.com, fonts.gstatic.com" in said
    assert "without an answer that a fake can give again: empty.example" in said
    assert "from which variables does the service take these addresses?" in said
    assert problems_of(made, tmp_path, monkeypatch) == []
    assert "s3cr3tT0ken" not in scenario_text(made)


def test_at_most_twenty_hosts_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    har = recording(*[exchange(f"https://h{n:02}.example/") for n in range(25)])
    made = draft(put(tmp_path, r__har=har), folder=tmp_path)
    assert len(tree_of(made)["upstreams"]) == 20
    assert "beyond the 20 with most exchanges: h20.example, h21.example" in comments_of(made)
    assert problems_of(made, tmp_path, monkeypatch) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (recording(), "has no host with an answer"),
        (recording(exchange("https://a.example/", None)), "has no host with an answer"),
        (recording(exchange("https://fonts.gstatic.com/")), "has no host with an answer"),
        ('{"log": {"entries": 5}}', "has no list `log.entries`"),
        (recording(exchange("https://a.example/"))[:-20], "is cut"),
    ],
)
def test_recordings_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(put(tmp_path, r__har=text), folder=tmp_path)


def test_a_recording_with_a_sudden_number_of_routes_is_left_out(tmp_path: Path) -> None:
    har = recording(*[exchange(f"https://a.example/{n}") for n in range(2_001)], exchange("https://b.example/"))
    made = draft(put(tmp_path, r__har=har), folder=tmp_path)
    assert list(tree_of(made)["upstreams"]) == ["b-example"]


# ---------------------------------------------------------------- OpenAPI


def test_a_partner_by_its_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = draft(put(tmp_path, flights__yaml=DESCRIPTION), folder=tmp_path)
    assert tree_of(made)["upstreams"] == {"flights": {"openapi": "flights.yaml"}}
    assert problems_of(made, tmp_path, monkeypatch) == []


def test_a_file_that_names_nobody_is_named_by_its_title(tmp_path: Path) -> None:
    made = draft(put(tmp_path, openapi__yaml=DESCRIPTION), folder=tmp_path)
    assert list(tree_of(made)["upstreams"]) == ["flights-of-the-world"]


def test_the_get_operations_of_the_service_become_its_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, har = put(tmp_path, own__yaml=DESCRIPTION, r__har=recording(exchange("https://a.example/")))
    made = draft([har, own], str(own), folder=tmp_path)
    tree = tree_of(made)
    assert tree["load"]["requests"] == (
        "GET /v2/search?to=M%7BU%7DC%20%26%20more",
        {"request": "GET /v2/airports/MUC", "headers": {"X-Tenant": "acme"}},
    )
    assert list(tree["upstreams"]) == ["a-example"]
    assert "the GET operations of own.yaml" in comments_of(made)
    assert problems_of(made, tmp_path, monkeypatch) == []


def test_only_the_first_operations_become_requests(tmp_path: Path) -> None:
    paths = "".join(f"  /p{n}: {{get: {{responses: {{'200': {{description: ok}}}}}}}}\n" for n in range(13))
    text = f"openapi: 3.0.0\ninfo: {{title: x, version: '1'}}\nsecurity: [{{key: []}}]\npaths:\n{paths}"
    own = put(tmp_path, own__yaml=text)[0]
    made = draft([], str(own), folder=tmp_path)
    assert tree_of(made)["load"]["requests"] == tuple(f"GET /p{n}" for n in range(10))
    assert "3 further GET operations are not among them" in comments_of(made)
    assert "it asks for credentials" in comments_of(made)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("swagger: '2.0'\npaths: {}", "descriptions by `Swagger 2.0` are not understood"),
        ("openapi: 3.0.0\npaths: {}", "the description is not valid"),
        ("openapi: 3.0.0\n bad: [", "line 2: d.yaml is not YAML"),
        (DESCRIPTION.replace("{code}:\n", "{code}:\n    $ref: 'https://x.example/y'\n"), "is to another host"),
    ],
)
def test_descriptions_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = put(tmp_path, d__yaml=text)[0]
    assert said in refused([path], folder=tmp_path)
    assert said in refused([], str(path), folder=tmp_path)


def test_a_service_without_a_get_operation(tmp_path: Path) -> None:
    text = DESCRIPTION.replace("    get:", "    put:").replace("    post:", "    patch:")
    assert "describes no GET operation" in refused([], str(put(tmp_path, d__yaml=text)[0]), folder=tmp_path)


# ---------------------------------------------------------------- Toxiproxy


def test_the_proxies_of_a_toxiproxy(tmp_path: Path) -> None:
    made = draft(put(tmp_path, toxiproxy__json=PROXIES), folder=tmp_path)
    tree = tree_of(made)
    assert tree["upstreams"] == {
        "legacy-api": {"proxy": "legacy_api"},
        "main-upstream": {"proxy": "main", "protocol": "mysql"},
    }
    assert tree["toxiproxy"] == {"url": "http://127.0.0.1:8474"}
    assert tree["service"]["url"] == "http://127.0.0.1:8000"
    assert tree["faults"] == ({"upstream": "legacy-api", "latency": "60s", "for": "60s"},)
    assert "does it speak MySQL" in comments_of(made) and "does it speak HTTP?" in comments_of(made)
    assert "it is disabled in the configuration" in comments_of(made)
    assert "from [::]:18080 to legacy.example:8080" in comments_of(made)


def test_the_proxies_validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = draft(put(tmp_path, toxiproxy__json=PROXIES), folder=tmp_path)
    assert problems_of(made, tmp_path, monkeypatch) == []


def test_what_no_scenario_can_borrow_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [("a", "x:80"), ("a", "y:80"), ("b/c", "x:81"), ("tailgate-20260101-120000-beef-x", "x:82"), ("A", "z:1")]
    one = json.dumps([{"name": name, "listen": "[::1]:0", "upstream": target} for name, target in entries])
    two = json.dumps([{"name": "a", "upstream": "other:http"}, {"name": "d", "upstream": "127.0.0.1:9"}])
    made = draft(put(tmp_path, one__json=one, two__json=two), folder=tmp_path)
    assert [of["proxy"] for of in tree_of(made)["upstreams"].values()] == ["a", "A", "d"]
    assert len(made.left_out) == 4
    for said in ("`a` of one.json", "`b/c` cannot be", "is the proxy of a run", "`a` of two.json"):
        assert any(said in note for note in made.left_out), said
    assert problems_of(made, tmp_path, monkeypatch) == []


def test_a_configuration_that_is_indented_with_tabs(tmp_path: Path) -> None:
    text = PROXIES.replace("  {", "\t{")
    assert "\t" in text
    assert len(tree_of(draft(put(tmp_path, t__json=text), folder=tmp_path))["upstreams"]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[\n {"listen": "a:1", "upstream": "b:2"},\n {"name": "", "upstream": "b:2"}\n]',
            "3: [1].name: a proxy needs a name",
        ),
        ('[{"name": "a", "upstream": "b:1"},\n 5]', "2: [1].name: a proxy needs a name"),
        ('[{"name": "a", "upstream": "b:1", "listen": "nope"}]', "1: [0].listen: `nope` is no address"),
        ('[{"name": "a", "upstream": "b:1", "listen": 9}]', "1: [0].listen: a proxy needs an address as `listen`"),
        ('[{"name": "a",\n "upstream": ""}]', "2: [0].upstream: a proxy needs an address as `upstream`"),
        ('[{"name": "a", "listen": ":1"}]', "1: [0].upstream: a proxy needs an address as `upstream`"),
        ('[{"name": "a", "upstream": "http://b:1"}]', "1: [0].upstream: `http://b:1` is no address"),
        ('[{"name": "a",\n "upstream" "b:1"}]', "2: : not JSON"),
        ("[" + ", ".join(['{"name": "a", "listen": "b:1"}'] * 65) + "]", "a list of 1 to 64 proxies, and this has 65"),
    ],
)
def test_configurations_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(put(tmp_path, t__json=text), folder=tmp_path)


# ---------------------------------------------------------------- together

COMPOSE = """\
services:
  api:
    build: .
    ports: ["80:80"]
    environment: {FLIGHTS_URL: "http://flights:8080", PAY_URL: "https://api.pay.example/v1", HOTELS_URL: "http://hotels"}
  flights: {image: partner/flights}
  hotels: {image: partner/hotels}
"""


def test_what_else_is_known_takes_the_place_of_blank_fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    har = recording(exchange("https://api.pay.example/v1/x"), exchange("https://other.example/"))
    files = put(tmp_path, c__yaml=COMPOSE, flights__yaml=DESCRIPTION, r__har=har)
    made = draft(files, folder=tmp_path)
    tree = tree_of(made)
    assert tree["upstreams"] == {
        "flights": {"openapi": "flights.yaml"},
        "hotels": {"routes": {"*": {"json": {}}}},
        "pay": {"har": "r.har", "host": "api.pay.example"},
        "other-example": {"har": "r.har", "host": "other.example"},
    }
    assert tree["service"]["env"] == {
        "FLIGHTS_URL": "{flights.url}",
        "PAY_URL": "{pay.url}/v1",
        "HOTELS_URL": "{hotels.url}",
        "PORT": "{port}",
        "OTHER_EXAMPLE_URL": "{other-example.url}",
    }
    assert problems_of(made, tmp_path, monkeypatch) == []


def test_a_real_service_is_not_replaced_by_a_description_of_the_same_name(tmp_path: Path) -> None:
    compose = COMPOSE.replace("partner/flights}", 'partner/flights, ports: ["81:8080"]}')
    tree = tree_of(draft(put(tmp_path, c__yaml=compose, flights__yaml=DESCRIPTION), folder=tmp_path))
    assert tree["upstreams"]["flights"] == "http://localhost:81"
    assert tree["upstreams"]["flights-2"] == {"openapi": "flights.yaml"}


def test_too_many_upstreams_are_refused(tmp_path: Path) -> None:
    files = put(
        tmp_path,
        **{f"r{i}__har": recording(*[exchange(f"https://h{i}x{n}.example/") for n in range(20)]) for i in range(4)},
    )
    assert "the files have 80 upstreams" in refused(files, folder=tmp_path)
