"""What a completed request is worth, by status, body and the plan's checks."""

from __future__ import annotations

from typing import Any

import pytest

from harness.rundir.planned.load import PlannedRequest
from harness.rundir.rows import Outcome
from scenarios.drive.answer import Checks
from tests.drive.drive_world import a_plan, fake, get

AZURE, GCP = 0b001, 0b100
ROW = b'{"offers": [{"name": "gpu-8x-a100-0007-tg-azure."}, {"name": "cpu-2x-0001-tg-gcp."}]}'


def checks(**load: Any) -> Checks:
    plan = a_plan("http://127.0.0.1:1", upstreams=(fake("azure", 0), fake("aws", 1), fake("gcp", 2)), **load)
    return Checks(plan.load, plan.upstreams)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (399, Outcome.OK),
        (199, Outcome.HTTP_ERROR),
        (400, Outcome.HTTP_ERROR),
        (500, Outcome.HTTP_ERROR),
        (504, Outcome.GATEWAY_TIMEOUT),
    ],
)
def test_the_status_decides(status: int, outcome: Outcome) -> None:
    assert checks().judge(status, b"") == (outcome, 0)


def test_ok_is_what_the_plan_says_but_never_504() -> None:
    generous = checks(ok=((200, 200), (404, 404), (500, 599)))
    assert [generous.judge(status, b"")[0] for status in (200, 201, 404, 503, 504)] == [
        Outcome.OK,
        Outcome.HTTP_ERROR,
        Outcome.OK,
        Outcome.OK,
        Outcome.GATEWAY_TIMEOUT,
    ]


def test_an_expected_status_is_good_outside_ok_and_an_ok_one_that_was_not_expected_is_a_bad_answer() -> None:
    request = get(expect_status=((404, 404),))
    found = [checks().judge(status, b"", request)[0] for status in (404, 200, 500)]
    assert found == [Outcome.OK, Outcome.BAD_ANSWER, Outcome.HTTP_ERROR]


def test_every_text_that_a_check_looks_for_is_a_needle() -> None:
    """A long body is held only in part, and with the needles that were in the rest."""
    texts = {
        name: f"text of {name}"
        for name, field in PlannedRequest.model_fields.items()
        if name.startswith("expect_") and field.annotation == str | None
    }
    assert "expect_contains" in texts
    made = checks(requests=(get(**texts),), complete="auto")
    assert {text.encode() for text in texts.values()} < set(made.needles)
    assert {b"-tg-azure.", b"-tg-aws.", b"-tg-gcp."} < set(made.needles)


def test_expected_bytes_must_be_in_the_body() -> None:
    request = get(expect_contains="straße")
    assert checks().judge(200, "Hauptstraße 1".encode(), request)[0] is Outcome.OK
    assert checks().judge(200, b"Hauptstrasse 1", request)[0] is Outcome.BAD_ANSWER


def test_bytes_that_must_be_lacking_make_a_bad_answer_whatever_else_is_in_it() -> None:
    request = get(expect_lacks="warning: straße")
    assert checks().judge(200, b"all is well", request)[0] is Outcome.OK
    assert checks().judge(200, b"", request)[0] is Outcome.OK
    assert checks().judge(200, "x warning: straße".encode(), request)[0] is Outcome.BAD_ANSWER
    assert checks().judge(500, "warning: straße".encode(), request)[0] is Outcome.HTTP_ERROR
    both = get(expect_contains="offers", expect_lacks="partial")
    found = [checks().judge(200, body, both)[0] for body in (b"offers", b"offers, partial", b"partial", b"none")]
    assert found == [Outcome.OK, Outcome.BAD_ANSWER, Outcome.BAD_ANSWER, Outcome.BAD_ANSWER]


def test_a_status_that_the_locustfile_accepted_is_ok() -> None:
    assert checks().judge(404, b"", accepted=True)[0] is Outcome.OK
    assert checks().judge(504, b"", accepted=True)[0] is Outcome.GATEWAY_TIMEOUT


def test_auto_finds_the_fakes_whose_rows_are_in_the_answer() -> None:
    assert checks(complete="auto").judge(200, ROW) == (Outcome.OK, AZURE | GCP)
    assert checks(complete="auto").judge(200, b"azure, gcp: none") == (Outcome.OK, 0)


def test_auto_does_not_take_one_name_for_another() -> None:
    plan = a_plan("http://127.0.0.1:1", upstreams=(fake("gcp", 0), fake("gcp-2", 1)), complete="auto")
    found = Checks(plan.load, plan.upstreams)
    assert found.judge(200, b"x-tg-gcp-2.") == (Outcome.OK, 0b10)
    assert found.judge(200, b"x-tg-gcp.") == (Outcome.OK, 0b01)


def test_only_an_ok_answer_is_complete() -> None:
    assert checks(complete="auto").judge(500, ROW) == (Outcome.HTTP_ERROR, 0)
    assert checks(complete="none").judge(200, ROW) == (Outcome.OK, 0)


def test_jmespath_lists_the_upstreams_that_answered() -> None:
    found = checks(complete="jmespath", complete_jmespath="providers[?ok].name")
    body = b'{"providers": [{"name": "azure", "ok": true}, {"name": "aws", "ok": false}, {"name": "else", "ok": true}]}'
    assert found.judge(200, body) == (Outcome.OK, AZURE)


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"names": "azure"}', b'{"names": [1]}', b""])
def test_an_answer_that_jmespath_cannot_read_is_a_bad_one(body: bytes) -> None:
    assert checks(complete="jmespath", complete_jmespath="names").judge(200, body) == (Outcome.BAD_ANSWER, 0)
