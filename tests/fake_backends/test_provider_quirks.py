"""What is peculiar to one provider: Vast.ai's filters, Lambda's regions, Vultr's two lists and links."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from fake_backends.providers import Provider
from fake_backends.providers.vastai import ANSWERS_KEPT
from tests.fake_backends.wire_clients import ask, document, healthy, plain_names, provided

BUNDLES = "/api/v0/bundles/"

# ---------------------------------------------------------------- vastai


def bundles(provider: Provider, filters: object) -> list[dict[str, Any]]:
    offers: list[dict[str, Any]] = document(ask(provider, "POST", BUNDLES, b"", json.dumps(filters).encode()))["offers"]
    return offers


@pytest.mark.parametrize(
    ("filters", "keeps"),
    [
        ({"rentable": {"eq": True}, "rented": {"eq": False}, "order": [["score", "desc"]]}, lambda row: True),
        ({"num_gpus": {"gte": 4}}, lambda row: row["gpu_count"] >= 4),
        ({"num_gpus": {"gt": 1, "lt": 8}}, lambda row: row["gpu_count"] in (2, 4)),
        ({"gpu_name": {"in": ["A100 PCIE", "A100 SXM4"]}}, lambda row: row["gpu_name"] == "A100"),
        ({"gpu_name": {"notin": ["RTX 4090"]}}, lambda row: row["gpu_name"] != "RTX4090"),
        ({"gpu_name": {"neq": "Tesla T4"}}, lambda row: row["gpu_name"] != "T4"),
        ({"dph_total": {"lte": 5}}, lambda row: row["price"] <= 5),
        ({"min_bid": {"gt": 0}}, lambda row: row["spot"]),
        ({"no_such_field": {"gte": 3}, "datacenter": {"eq": True}}, lambda row: True),
        ({}, lambda row: True),
    ],
)
def test_vastai_heeds_the_filters_in_its_body(filters: dict[str, Any], keeps: Any) -> None:
    catalog, provider = provided("vastai", 80)
    wanted = [row["instance_name"] for row in catalog if keeps(row)]
    assert wanted
    assert [offer["id"] for offer in bundles(provider, filters)] == wanted


def test_vastai_heeds_a_limit() -> None:
    _, provider = provided("vastai")
    assert len(bundles(provider, {"limit": 3})) == 3
    assert len(bundles(provider, {"limit": 3000})) == 40
    assert bundles(provider, {"limit": 0}) == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"3",
        b"\xff",
        b'{"num_gpus": 3}',
        b'{"num_gpus": {"about": 3}}',
        b'{"num_gpus": {"gte": "three"}}',
        b'{"gpu_name": {"in": 3}}',
        b'{"limit": "all"}',
        b'{"limit": [3]}',
        b"[" * 5000,
    ],
)
def test_vastai_tells_a_body_that_is_no_filter(body: bytes) -> None:
    answer = ask(provided("vastai")[1], "POST", BUNDLES, b"", body)
    assert answer.status == 400
    assert "filters" in json.loads(answer.body)["error"]


def test_vastai_answers_a_question_it_has_had_from_the_same_bytes_and_keeps_few() -> None:
    _, provider = provided("vastai")
    questions = [json.dumps({"limit": limit}).encode() for limit in range(1, 2 * ANSWERS_KEPT)]
    answers = [ask(provider, "POST", BUNDLES, b"", body) for body in questions]
    again = [ask(provider, "POST", BUNDLES, b"", body) for body in reversed(questions)]
    assert again == answers[::-1]
    same = sum(one is other for one, other in zip(again, reversed(answers), strict=True))
    assert same == ANSWERS_KEPT
    assert ask(provider, "POST", BUNDLES, b"", b'{"limit":3000}') is healthy(provider)


# ---------------------------------------------------------------- lambda


def test_lambdas_images_name_the_regions_of_the_catalog() -> None:
    catalog, provider = provided("lambda")
    images = document(ask(provider, "GET", "/api/v1/images"))["data"]
    assert {image["region"]["name"] for image in images} == {row["location"] for row in catalog}
    assert ask(provider, "POST", "/api/v1/images").status == 405


# ---------------------------------------------------------------- vultr


def test_every_fourth_row_is_bare_metal_at_vultr() -> None:
    catalog, provider = provided("vultr")
    metal = document(ask(provider, "GET", "/v2/plans-metal"))["plans_metal"]
    assert plain_names([plan["id"] for plan in metal]) == [row["instance_name"] for row in catalog[3::4]]
    assert not any("gpu" in plan["id"] for plan in metal)


def test_vultrs_links_lead_back_as_well() -> None:
    _, provider = provided("vultr", page=7)
    there, back, query = [], [], b""
    while True:
        page = document(ask(provider, "GET", "/v2/plans", query))
        there.append(page["plans"])
        if not page["meta"]["links"]["next"]:
            break
        query = f"cursor={quote(page['meta']['links']['next'])}".encode()
    while True:
        back.append(page["plans"])
        if not page["meta"]["links"]["prev"]:
            break
        page = document(ask(provider, "GET", "/v2/plans", f"cursor={quote(page['meta']['links']['prev'])}".encode()))
    assert len(there) == 5
    assert back == there[::-1]
    assert page["meta"]["total"] == 30


@pytest.mark.parametrize("query", [b"cursor=7", b"cursor=bmV4dF9f", b"cursor=%FF"])
def test_vultr_tells_a_cursor_that_no_page_gave_out(query: bytes) -> None:
    assert ask(provided("vultr", page=7)[1], "GET", "/v2/plans", query).status == 400


def test_vultrs_regions_say_which_plans_they_have() -> None:
    catalog, provider = provided("vultr")
    regions = [region["id"] for region in document(ask(provider, "GET", "/v2/regions", b"per_page=500"))["regions"]]
    assert regions == sorted({row["location"] for row in catalog})
    for region in regions:
        plans = document(ask(provider, "GET", f"/v2/regions/{region}/availability", b"type=vdm"))["available_plans"]
        assert sorted(plain_names(plans)) == sorted(
            row["instance_name"] for row in catalog if row["location"] == region
        )
    assert ask(provider, "GET", "/v2/regions/nowhere/availability").status == 404
