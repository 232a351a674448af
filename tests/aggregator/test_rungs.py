"""What each rung of the ladder does to order, time and content of an answer; all in virtual time."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest

from aggregator.policies import POLICIES
from aggregator.rungs import RUNGS, policies_of
from tests.aggregator.world import DEADLINE_S, Mock, World, offer

AWAITED = [rung.name for rung in RUNGS if rung.name != "threads"]
"""Threads wait in real time: see test_threads.py."""
HEALTHY = {"azure": Mock(0.2), "aws": Mock(0.3), "gcp": Mock(0.1)}
AZURE_SLOW = {"azure": Mock(60.0), "aws": Mock(0.3), "gcp": Mock(0.1)}


def test_sequential_asks_in_the_order_of_the_settings_and_takes_the_sum() -> None:
    world = World(HEALTHY, "sequential")
    (reply,) = world.ask("/v1/offers")
    assert world.calls == [("azure", 0.0), ("aws", 0.2), ("gcp", 0.5)]
    assert reply.after_s == pytest.approx(0.6)


@pytest.mark.parametrize("rung", ["parallel", "timeout", "pushdown"])
def test_the_others_ask_at_once_and_take_as_long_as_the_slowest(rung: str) -> None:
    world = World(HEALTHY, rung)
    (reply,) = world.ask("/v1/offers")
    assert world.calls == [("azure", 0.0), ("aws", 0.0), ("gcp", 0.0)]
    assert reply.after_s == pytest.approx(0.3)


@pytest.mark.parametrize("rung", AWAITED)
def test_in_health_every_rung_gives_the_same_whole_answer(rung: str) -> None:
    (reply,) = World(HEALTHY, rung).ask("/v1/offers")
    assert sorted(reply.names) == ["aws", "azure", "gcp"]
    assert reply.body["partial"] is False
    assert reply.missing == {}


@pytest.mark.parametrize(("rung", "after_s"), [("sequential", 60.4), ("parallel", 60.0)])
def test_without_a_deadline_one_slow_backend_holds_the_whole_answer(rung: str, after_s: float) -> None:
    world = World(AZURE_SLOW, rung)
    (reply,) = world.ask("/v1/offers")
    assert reply.after_s == pytest.approx(after_s)
    assert sorted(reply.names) == ["aws", "azure", "gcp"]
    assert world.ended == []


@pytest.mark.parametrize("rung", ["timeout", "pushdown"])
def test_with_a_deadline_the_rest_is_returned_and_the_call_is_ended(rung: str) -> None:
    world = World(AZURE_SLOW, rung)
    (reply,) = world.ask("/v1/offers")
    assert reply.after_s == pytest.approx(DEADLINE_S)
    assert sorted(reply.names) == ["aws", "gcp"]
    assert reply.body["partial"] is True
    assert reply.missing == {"azure": "timeout"}
    assert world.ended == ["azure"]


def test_the_deadline_is_total_over_all_pages() -> None:
    """Each page comes well within the deadline, as each byte of a dripping body would."""
    pages = [[offer("azure", price)] for price in range(1, 6)]
    world = World({"azure": Mock(0.4, pages), "gcp": Mock(0.1)}, "timeout")
    (reply,) = world.ask("/v1/offers")
    assert reply.after_s == pytest.approx(DEADLINE_S)
    assert reply.missing == {"azure": "timeout"}
    assert reply.names == ["gcp"]  # the two pages that did come are no answer
    assert world.asked.count("azure") == 3


def test_only_pushdown_leaves_backends_alone_that_nobody_asked_for() -> None:
    for rung, asked, after_s in (
        ("sequential", ["azure", "aws", "gcp"], 60.4),
        ("parallel", ["azure", "aws", "gcp"], 60.0),
        ("timeout", ["azure", "aws", "gcp"], DEADLINE_S),
        ("pushdown", ["gcp"], 0.1),
    ):
        world = World(AZURE_SLOW, rung)
        (reply,) = world.ask("/v1/offers?backend=gcp")
        assert (rung, world.asked) == (rung, asked)
        assert reply.after_s == pytest.approx(after_s)
        assert reply.names == ["gcp"]


@pytest.mark.parametrize("rung", AWAITED)
def test_an_answer_is_not_partial_for_want_of_a_backend_it_did_not_ask_for(rung: str) -> None:
    mocks = {"azure": Mock(fails=httpx.Response(500)), "gcp": Mock(0.1)}
    (reply,) = World(mocks, rung).ask("/v1/offers?backend=gcp")
    assert (reply.body["partial"], reply.missing) == (False, {})


@pytest.mark.parametrize("rung", AWAITED)
def test_one_failure_stays_one_failure(rung: str) -> None:
    mocks = {"azure": Mock(fails=httpx.ConnectError("refused")), "aws": Mock(fails=httpx.Response(503)), "gcp": Mock()}
    (reply,) = World(mocks, rung).ask("/v1/offers")
    assert reply.response.status_code == 200
    assert reply.names == ["gcp"]
    assert reply.missing == {"azure": "connection", "aws": "http_503"}


def test_requests_do_not_wait_for_each_other() -> None:
    """A hundred requests that hang, and one that asks elsewhere: the bystander is answered at once."""
    world = World(AZURE_SLOW, "pushdown")
    *hanging, bystander = world.ask(*["/v1/offers"] * 100, "/v1/offers?backend=gcp")
    assert bystander.after_s == pytest.approx(0.1)
    assert {round(reply.after_s, 3) for reply in hanging} == {DEADLINE_S}


def test_each_rung_adds_to_the_one_before() -> None:
    """But `threads`, a step aside that leads nowhere."""
    for lower, higher in pairwise(rung for rung in RUNGS if rung.name != "threads"):
        assert set(lower.policies) < set(higher.policies)
    assert {policy for rung in RUNGS for policy in rung.policies} == set(POLICIES)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy not in ("parallel", "threads")])
def test_each_policy_can_be_added_alone(policy: str) -> None:
    """The way a service with the bug takes them: one at a time."""
    asked = [(at / 2, f"/v1/offers?limit={at + 1}&backend=azure,gcp") for at in range(20)]
    mocks = {**HEALTHY, "azure": Mock(fails=httpx.Response(503), well_until_s=1.0)}
    plain, better = World(mocks, "parallel"), World(mocks, "parallel", also=(policy,))
    before, after = plain.play(*asked)[-1], better.play(*asked)[-1]
    assert before.missing == {"azure": "http_503"}
    assert "gcp" in after.names
    assert plain.asked.count("azure") == plain.asked.count("aws") == 20
    assert (better.asked.count("aws") == 0) == (policy == "pushdown")
    assert (better.asked.count("azure") < 12) == (policy == "breaker")
    assert (after.sources["azure"] == "stale") == (policy == "stale")


def test_each_policy_can_be_switched_off_alone() -> None:
    world = World(AZURE_SLOW, "pushdown", without=("parallel",))
    (reply,) = world.ask("/v1/offers?backend=azure,gcp")
    assert world.calls == [("azure", 0.0), ("gcp", DEADLINE_S)]
    assert reply.after_s == pytest.approx(DEADLINE_S + 0.1)

    world = World(AZURE_SLOW, "pushdown", without=("deadline",))
    (reply,) = world.ask("/v1/offers?backend=azure,gcp")
    assert world.asked == ["azure", "gcp"]
    assert reply.after_s == pytest.approx(60.0)

    world = World(AZURE_SLOW, "pushdown", without=("pushdown",))
    world.ask("/v1/offers?backend=gcp")
    assert world.asked == ["azure", "aws", "gcp"]


@pytest.mark.parametrize(
    ("rung", "without", "message"),
    [
        (
            "fast",
            (),
            "there is no rung `fast`; choose one of sequential, parallel, threads, timeout, pushdown, isolated",
        ),
        (
            "timeout",
            ("deadlines",),
            "there is no policy `deadlines`; known: parallel, threads, deadline, unavailable, pushdown",
        ),
        ("timeout", ("threads",), "has no policy `threads`: it belongs to `threads`"),
        ("parallel", ("deadline",), "it belongs to `threads`, `timeout`, `pushdown`, `isolated`"),
    ],
)
def test_an_impossible_rung_says_what_would_do(rung: str, without: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policies_of(rung, without)


@pytest.mark.parametrize(
    ("policy", "message"), [("deadline", "has the policy `deadline` already"), ("retry", "there is no policy `retry`")]
)
def test_a_policy_that_cannot_be_added_says_why(policy: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policies_of("timeout", also=(policy,))
