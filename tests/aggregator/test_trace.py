"""The trace context: what is passed on, and what of it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.trace import Trace
from tests.aggregator.world import Mock, World

IDS = f"{'4bf92f35' * 4}-{'00f067aa' * 2}"
TRACEPARENT = f"00-{IDS}-01"
GOOD_TRACEPARENTS = (TRACEPARENT, f"00-{IDS}-00", f"cc-{IDS}-01", f"01-{IDS}-01-", f"cc-{IDS}-01-what.comes-later")
BAD_TRACEPARENTS = (
    "banana",
    "",
    IDS,
    f"ff-{IDS}-01",
    f"00-{IDS.upper()}-01",
    f"00-{'0' * 32}-{'a' * 16}-01",
    f"00-{'a' * 32}-{'0' * 16}-01",
    f"00-{IDS}-1",
    f"00-{IDS}-01-more",
    f"00-{IDS}-01-",
    f"00-{IDS}-0g",
    f"0-{IDS}-01",
    f"cc-{IDS}-01x",
    f"cc-{IDS}-01 x",
    f"cc-{IDS}-01-{'x' * 73}",
    f"{TRACEPARENT}\n",
    f"00-{IDS.replace('4', '４')}-01",
)


def passed_on(*headers: tuple[str, str]) -> dict[str, str]:
    return Trace.of([(name.encode(), value.encode()) for name, value in (("x-request-id", "r"), *headers)]).headers()


@pytest.mark.parametrize("traceparent", GOOD_TRACEPARENTS)
def test_a_context_is_passed_on_as_it_came(traceparent: str) -> None:
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    assert passed_on(("traceparent", traceparent), ("tracestate", state)) == {
        "x-request-id": "r",
        "traceparent": traceparent,
        "tracestate": state,
    }


@pytest.mark.parametrize("traceparent", BAD_TRACEPARENTS)
def test_what_is_none_is_dropped_and_its_state_with_it(traceparent: str) -> None:
    trace = Trace.of([(b"x-request-id", b"r"), (b"traceparent", traceparent.encode()), (b"tracestate", b"a=b")])
    assert trace.headers() == {"x-request-id": "r"}
    assert trace.fields() == {"request_id": "r"}


def test_two_traceparents_are_none_and_two_tracestates_are_one() -> None:
    twice = [("traceparent", TRACEPARENT)] * 2
    assert passed_on(*twice) == {"x-request-id": "r"}
    state = passed_on(twice[0], ("tracestate", "a=b"), ("tracestate", "c=d"))["tracestate"]
    assert state == "a=b,c=d"


@pytest.mark.parametrize("state", ["", "a=" + "b" * 511, "a=b\r\nx: y", "a=é"])
def test_a_state_that_is_none_leaves_its_traceparent(state: str) -> None:
    assert passed_on(("traceparent", TRACEPARENT), ("tracestate", state)).keys() == {"x-request-id", "traceparent"}


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_whatever_comes_goes_on_as_one_line_of_ascii(request_id: bytes, traceparent: bytes, state: bytes) -> None:
    given_headers = [(b"x-request-id", request_id), (b"traceparent", traceparent), (b"tracestate", state)]
    for value in Trace.of(given_headers).headers().values():
        assert value
        assert value.isascii()
        assert value.isprintable()


def test_of_identical_questions_worked_on_once_the_backends_see_the_first_ones_ids() -> None:
    world = World({"azure": Mock(0.1)}, "isolated")
    replies = world.ask("/v1/offers", "/v1/offers", headers={"traceparent": TRACEPARENT})
    assert len({reply.body["request_id"] for reply in replies}) == 2
    assert [call["x-request-id"] for call in world.headers] == [replies[0].body["request_id"]]
    assert [call["traceparent"] for call in world.headers] == [TRACEPARENT]
