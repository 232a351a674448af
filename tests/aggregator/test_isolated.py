"""The rung `isolated`: what each of its policies is worth, alone and together, over virtual time."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from aggregator.policies.breaker import FAILURES_TO_OPEN, Breaker, CircuitOpen, State, guarded
from aggregator.policies.budget import HEADER, Budget, BudgetSpent
from aggregator.policies.bulkhead import CALLS_MAX, BulkheadFull, at_most
from aggregator.policies.single_flight import SingleFlight
from aggregator.policies.stale import LastKnown
from tests.aggregator.world import DEADLINE_S, GATEWAY_S, Mock, World
from tests.virtual_time import now_s, run

ALONE = ("breaker", "bulkhead", "single_flight", "stale", "budget")


def only(*kept: str) -> tuple[str, ...]:
    """The policies to switch off so that of those new in `isolated` only `kept` are left."""
    return tuple(policy for policy in ALONE if policy not in kept)


# ---------------------------------------------------------------- breaker


class Hand:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_breaker_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(clock=Hand())
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed()
    breaker.succeeded()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed()
    breaker.check()
    breaker.failed()
    assert breaker.state is State.OPEN
    with pytest.raises(CircuitOpen, match=r"left alone for 1\.0 s, after 5 failures in a row"):
        breaker.check()


def test_one_probe_decides_and_each_failed_one_doubles_the_pause() -> None:
    clock = Hand()
    breaker = Breaker(failures_to_open=1, pause_s=1, longest_pause_s=3, clock=clock)
    breaker.failed()
    for pause_s in (1, 2, 3, 3):
        clock.now_s += pause_s - 0.001
        assert not breaker.take_probe()
        clock.now_s += 0.001
        states = [breaker.state]
        assert breaker.take_probe()
        assert not breaker.take_probe(), "one is enough"
        with pytest.raises(CircuitOpen, match="until a probe has answered"):
            breaker.check()
        breaker.failed(probe=True)
        states.append(breaker.state)
        assert states == [State.HALF_OPEN, State.OPEN]
    clock.now_s += 3
    assert breaker.take_probe()
    breaker.succeeded(probe=True)
    assert breaker.state is State.CLOSED


def test_answers_from_before_it_opened_close_nothing_and_a_lost_probe_is_no_answer() -> None:
    clock = Hand()
    breaker = Breaker(failures_to_open=1, clock=clock)
    breaker.failed()
    breaker.succeeded()
    assert breaker.state is State.OPEN
    clock.now_s += 1
    assert breaker.take_probe()
    breaker.given_up(probe=True)
    assert breaker.take_probe(), "the next one probes"


def test_a_cancelled_call_counts_for_nothing() -> None:
    breaker = Breaker(failures_to_open=1)

    async def scene() -> None:
        call = asyncio.create_task(guarded(breaker, asyncio.sleep, (OSError,))(60))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(scene())
    assert breaker.state is State.CLOSED


def test_a_bug_of_our_own_is_no_reason_to_leave_a_backend_alone(caplog: pytest.LogCaptureFixture) -> None:
    failing: Exception = ConnectionError("refused")

    async def call() -> None:
        raise failing

    async def scene() -> None:
        nonlocal failing
        breaker = Breaker(failures_to_open=1, clock=now_s)
        asked = guarded(breaker, call, (ConnectionError,))
        failing = ZeroDivisionError("a bug")
        with pytest.raises(ZeroDivisionError):
            await asked()
        assert breaker.state is State.CLOSED
        failing = ConnectionError("refused")
        with pytest.raises(ConnectionError):
            await asked()
        await asyncio.sleep(1)
        failing = ZeroDivisionError("a bug")
        with pytest.raises(CircuitOpen):
            await asked()
        await asyncio.sleep(0)
        assert breaker.take_probe(), "a probe that broke is no answer, and makes no pause longer"

    run(scene())
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


def test_a_breaker_tells_when_it_opens_and_when_it_closes_and_nothing_in_between() -> None:
    clock = Hand()
    told: list[tuple[bool, str]] = []

    def tell(*, is_open: bool, detail: str) -> None:
        told.append((is_open, detail))

    breaker = Breaker(failures_to_open=2, clock=clock, tell=tell)
    breaker.failed()
    breaker.succeeded()
    assert told == []
    breaker.failed()
    breaker.failed()
    breaker.failed()
    assert told == [(True, "2 failures in a row")]
    clock.now_s = 1.0
    assert breaker.take_probe()
    breaker.failed(probe=True)
    clock.now_s = 3.0
    assert breaker.take_probe()
    breaker.succeeded(probe=True)
    assert told == [(True, "2 failures in a row"), (False, "a probe was answered")]


def test_the_log_names_the_backend_that_is_left_alone_and_says_when_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mocks = {"azure": Mock(fails=httpx.Response(503), well_from_s=10.0), "gcp": Mock()}
    world = World(mocks, "isolated", without=only("breaker"))
    world.play(*((float(second), "/v1/offers") for second in range(30)))
    fields = [(record.levelname, getattr(record, "fields", {})) for record in caplog.records]
    told = [(level, found["backend"], found["breaker"]) for level, found in fields if "breaker" in found]
    assert told == [("WARNING", "azure", "open"), ("INFO", "azure", "closed")]


def test_a_hung_backend_costs_the_deadline_until_it_is_isolated_and_is_found_again() -> None:
    mocks = {"azure": Mock(60.0, well_from_s=20.5), "gcp": Mock(0.1)}
    world = World(mocks, "isolated", without=only("breaker"))
    replies = world.play(*((second, f"/v1/offers?limit={second + 1}") for second in range(40)))
    assert [reply.after_s for reply in replies[:5]] == pytest.approx([DEADLINE_S] * 5)
    assert [reply.after_s for reply in replies[5:]] == pytest.approx([0.1] * 35), "nobody waits for a probe"
    reasons = [reply.missing.get("azure") for reply in replies]
    assert reasons[:5] == ["timeout"] * 5
    assert set(reasons[5:20]) == {"circuit_open"}
    probed = [second for name, second in world.calls if name == "azure" and 5 <= second < 20]
    assert probed == [6.0, 9.0, 14.0], "after pauses of 1, 2 and 4 s, and the deadline of each probe"
    assert reasons[-10:] == [None] * 10
    assert sorted(replies[-1].names) == ["azure", "gcp"]


# ---------------------------------------------------------------- bulkhead


def test_a_bulkhead_refuses_the_call_too_many_and_lets_the_next_in() -> None:
    async def scene() -> list[object]:
        call = at_most(2, asyncio.sleep)
        first = [asyncio.create_task(call(1)) for _ in range(3)]
        done = await asyncio.gather(*first, return_exceptions=True)
        await call(1)
        return list(done)

    *admitted, refused = run(scene())
    assert admitted == [None, None]
    assert isinstance(refused, BulkheadFull)


def test_a_late_backend_holds_no_more_than_its_share() -> None:
    world = World({"azure": Mock(0.9), "gcp": Mock(0.1)}, "isolated", without=only("bulkhead"))
    replies = world.play(*[(0.0, "/v1/offers")] * CALLS_MAX, *[(0.5, "/v1/offers")] * 5)
    assert [reply.missing for reply in replies].count({"azure": "bulkhead_full"}) == 5
    assert all("gcp" in reply.names for reply in replies)


# ---------------------------------------------------------------- budget


def test_a_budget_ends_before_the_gateway_does_and_each_call_gets_what_is_left() -> None:
    clock = Hand()
    budget = Budget.of(2.0, clock)
    assert budget.for_call(1.0) == 1.0
    assert budget.headers() == {HEADER: "1600"}
    clock.now_s = 1.0
    assert budget.for_call(1.0) == pytest.approx(0.6)
    assert budget.for_call(None) == pytest.approx(0.6)
    clock.now_s = 1.7
    with pytest.raises(BudgetSpent):
        budget.for_call(1.0)


def test_backends_asked_in_a_row_share_one_deadline_and_are_told_what_is_left() -> None:
    mocks = {name: Mock(60.0) for name in ("azure", "aws", "gcp")}
    world = World(mocks, "isolated", without=("parallel", *only("budget")))
    (reply,) = world.ask("/v1/offers")
    assert reply.after_s == pytest.approx(0.8 * GATEWAY_S)
    assert reply.missing == {"azure": "timeout", "aws": "timeout", "gcp": "budget_spent"}
    assert [headers[HEADER] for headers in world.headers] == ["1600", "600"]
    assert world.asked == ["azure", "aws"]


# ---------------------------------------------------------------- single flight


def test_identical_questions_are_worked_on_once_and_others_on_their_own() -> None:
    world = World({"azure": Mock(0.5)}, "isolated", without=only("single_flight"))
    *same, other = world.ask(*["/v1/offers?gpu=A100"] * 10, "/v1/offers?gpu=H100")
    assert world.calls == [("azure", 0.0)] * 2
    assert len({reply.response.content for reply in same}) == 10, "each has a request id of its own"
    assert all(reply.names == ["azure"] for reply in same)
    assert other.names == []


def test_the_next_question_after_the_answer_is_worked_on_anew() -> None:
    world = World({"azure": Mock(0.5)}, "isolated", without=only("single_flight"))
    world.play((0.0, "/v1/offers"), (0.04, "/v1/offers"), (0.6, "/v1/offers"))
    assert world.calls == [("azure", 0.0), ("azure", 0.6)]


def test_a_flight_that_has_been_under_way_for_a_while_is_not_boarded() -> None:
    world = World({"azure": Mock(0.5)}, "isolated", without=only("single_flight"))
    first, boarded, own = world.play((0.0, "/v1/offers"), (0.05, "/v1/offers"), (0.06, "/v1/offers"))
    assert world.calls == [("azure", 0.0), ("azure", 0.06)]
    assert [reply.after_s for reply in (first, boarded, own)] == pytest.approx([0.5, 0.45, 0.5])


def test_who_leaves_leaves_alone_and_the_last_one_ends_the_work() -> None:
    async def scene() -> tuple[int, list[float], list[float]]:
        started, ended = [], []

        async def work() -> str:
            started.append(now_s())
            try:
                await asyncio.sleep(10)
            finally:
                ended.append(now_s())
            return "done"

        flights: SingleFlight[str] = SingleFlight()
        first, second = (asyncio.create_task(flights.do("key", work)) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.sleep(1)
        assert not ended
        second.cancel()
        await asyncio.sleep(1)
        assert len(ended) == 1
        assert await flights.do("key", work) == "done"
        return len(started), started, ended

    count, _, ended = run(scene())
    assert count == 2
    assert len(ended) == 2


def test_a_failure_is_everybodys() -> None:
    async def scene() -> list[object]:
        async def work() -> None:
            await asyncio.sleep(1)
            raise ValueError("no")

        flights: SingleFlight[None] = SingleFlight()
        return list(await asyncio.gather(*(flights.do(1, work) for _ in range(3)), return_exceptions=True))

    assert [str(each) for each in run(scene())] == ["no"] * 3


# ---------------------------------------------------------------- stale


def test_the_last_known_offers_stand_in_with_their_age() -> None:
    mocks = {"azure": Mock(60.0, well_until_s=1.0), "gcp": Mock(0.1)}
    world = World(mocks, "isolated", without=only("stale"))
    fresh, stale = world.play((0.0, "/v1/offers"), (5.0, "/v1/offers?gpu=A100"))
    assert fresh.body["partial"] is False
    assert stale.body["partial"] is True
    assert stale.missing == {}
    assert sorted(stale.names) == ["azure", "gcp"]
    assert stale.body["backends"]["azure"] == {"source": "stale", "reason": "timeout", "age_s": 6.0}
    assert stale.response.status_code == 200


def test_old_offers_are_not_kept_for_ever() -> None:
    clock = Hand()
    known: LastKnown[int] = LastKnown(kept_s=10, clock=clock)
    assert known.recall("azure") is None
    known.learn("azure", [1])
    clock.now_s = 10
    found = known.recall("azure")
    assert found is not None and (found.items, found.age_s) == ([1], 10)
    clock.now_s = 10.1
    assert known.recall("azure") is None


# ---------------------------------------------------------------- nothing to be had


@pytest.mark.parametrize("rung", ["timeout", "pushdown", "isolated"])
def test_where_nothing_can_be_had_it_says_so_and_when_to_come_again(rung: str) -> None:
    down = Mock(fails=httpx.Response(500))
    (nothing,) = World({"azure": down, "gcp": down}, rung).ask("/v1/offers")
    assert nothing.response.status_code == 503
    assert nothing.response.headers["retry-after"] == "1"
    assert nothing.sources == {"azure": "none", "gcp": "none"}
    (empty,) = World({"azure": down, "gcp": down}, rung, without=("unavailable",)).ask("/v1/offers")
    assert (empty.response.status_code, empty.names) == (200, [])
    (some,) = World({"azure": down, "gcp": Mock()}, rung).ask("/v1/offers")
    assert some.response.status_code == 200


def test_metrics_tell_of_breaker_stale_and_refusals() -> None:
    world = World({"azure": Mock(60.0, well_until_s=1.0), "gcp": Mock()}, "isolated", without=("single_flight",))
    asked = ((2.0 + number * 0.1, f"/v1/offers?limit={number + 1}") for number in range(20))
    *_, metrics = world.play((0.0, "/v1/offers"), *asked, (4.0, "/metrics"))
    text = metrics.response.text
    assert 'aggregator_backend_breaker{backend="azure"} 2.0' in text
    assert 'aggregator_backend_breaker{backend="gcp"} 0.0' in text
    assert 'aggregator_backend_calls_total{backend="azure",outcome="refused"}' in text
    assert 'aggregator_backend_stale_total{backend="azure"} 17.0' in text
