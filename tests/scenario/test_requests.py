"""What a request of a scenario may say of itself: what its answer must contain and must lack."""

from __future__ import annotations

from pathlib import Path

from tests.scenario.world import changed, load, only_problem, plan_of

LINE = "request: GET /v1/offers"


def test_what_an_answer_must_lack_is_in_the_plan(tmp_path: Path) -> None:
    text = changed((LINE, "request: {request: GET /v1/offers, expect: {contains: offers, lacks: partial}}"))
    request = plan_of(load(tmp_path, text)).load.requests[0]
    assert (request.expect_contains, request.expect_lacks) == ("offers", "partial")


def test_an_answer_cannot_contain_and_lack_the_same(tmp_path: Path) -> None:
    text = changed((LINE, "request: {request: GET /v1/offers, expect: {contains: my offers, lacks: offers}}"))
    found = only_problem(tmp_path, text)
    assert (found.path, found.message) == (
        "load.request.expect.lacks",
        "no answer can contain the text of `contains` and lack this part of it",
    )
    assert found.fix == "write a longer text here, or remove one of the two"


def test_an_empty_text_that_every_answer_contains_is_refused(tmp_path: Path) -> None:
    text = changed((LINE, "request: {request: GET /v1/offers, expect: {lacks: ''}}"))
    assert only_problem(tmp_path, text).path == "load.request.expect.lacks"
