"""The rung `isolated`: what each of its policies is worth, alone and together, over virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging

import httpx
import pytest

from aggregator.antipatterns import Antipatterns
from aggregator.policies.breaker import FAILURES_TO_OPEN, Breaker, CircuitOpen, State, guarded
from aggregator.policies.budget import HEADER, Budget, BudgetSpent, deadline_header
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


ERROR = ConnectionError("refused")


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(breaker.admit(), ERROR)


def probe_of(breaker: Breaker) -> int:
    era = breaker.take_probe()
    assert era is not None
    return era


def is_refused(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


def test_a_breaker_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(clock=Hand())
    fail(breaker, FAILURES_TO_OPEN - 1)
    breaker.succeeded(breaker.admit())
    fail(breaker, FAILURES_TO_OPEN - 1)
    breaker.admit()
    fail(breaker)
    assert breaker.state is State.OPEN
    with pytest.raises(
        CircuitOpen, match=r"left alone for 1\.0 s, after 5 failures in a row, the last: refused"
    ) as told:
        breaker.admit()
    assert told.value.rests_for_s == 1.0


def test_one_probe_decides_and_each_failed_one_doubles_the_pause() -> None:
    clock = Hand()
    breaker = Breaker(failures_to_open=1, pause_s=1, longest_pause_s=3, clock=clock)
    fail(breaker)
    for pause_s in (1, 2, 3, 3):
        clock.now_s += pause_s - 0.001
        assert breaker.take_probe() is None
        clock.now_s += 0.001
        states = [breaker.state]
        era = probe_of(breaker)
        assert breaker.take_probe() is None, "one is enough"
        with pytest.raises(CircuitOpen, match="until a probe has answered"):
            breaker.admit()
        breaker.failed(era, ERROR)
        states.append(breaker.state)
        assert states == [State.HALF_OPEN, State.OPEN]
    clock.now_s += 3
    breaker.succeeded(probe_of(breaker))
    assert breaker.state is State.CLOSED


def test_reports_from_another_era_are_not_counted_and_a_lost_probe_is_no_answer() -> None:
    clock = Hand()
    breaker = Breaker(failures_to_open=1, clock=clock)
    early, late = breaker.admit(), breaker.admit()
    fail(breaker)
    breaker.succeeded(early)
    assert breaker.state is State.OPEN, "an answer from before it opened says nothing about now"
    clock.now_s += 1
    breaker.given_up(probe_of(breaker))
    breaker.succeeded(probe_of(breaker))
    breaker.failed(late, ERROR)
    breaker.admit()  # nor does a failure


@pytest.mark.parametrize("rate_per_s", [20, 40])
def test_calls_that_were_waiting_when_a_backend_got_well_do_not_open_it_again(rate_per_s: int) -> None:
    """With a deadline far longer than the pause they end, all of them, after the first probe was answered."""
    mocks = {"azure": Mock(60.0, well_until_s=5.0, well_from_s=15.5), "gcp": Mock(0.1)}
    world = World(mocks, "isolated", without=only("breaker"), deadline_s=5.0, gateway_s=30.0)
    replies = world.play(*((at / rate_per_s, f"/v1/offers?limit={at + 1}") for at in range(30 * rate_per_s)))
    open_at = [at / rate_per_s for at, reply in enumerate(replies) if reply.missing.get("azure") == "circuit_open"]
    assert 10 < open_at[0] < 10.5
    assert open_at[-1] < 18.5, "a probe of 11.2 hangs for its deadline, two seconds later the next is answered"
    gaps = [later - earlier for earlier, later in itertools.pairwise(open_at)]
    assert max(gaps) < 0.1, "it closed once, for good"


def test_a_cancelled_call_counts_for_nothing() -> None:
    breaker = Breaker(failures_to_open=1)

    async def scene() -> None:
        call = asyncio.create_task(guarded(breaker, asyncio.sleep, is_refused)(60))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(scene())
    assert breaker.state is State.CLOSED


def test_a_bug_of_our_own_is_no_reason_to_leave_a_backend_alone(caplog: pytest.LogCaptureFixture) -> None:
    failing: Exception = ERROR

    async def call() -> None:
        raise failing

    async def scene() -> None:
        nonlocal failing
        breaker = Breaker(failures_to_open=1, clock=now_s)
        asked = guarded(breaker, call, is_refused)
        failing = ZeroDivisionError("a bug")
        with pytest.raises(ZeroDivisionError):
            await asked()
        assert breaker.state is State.CLOSED
        failing = ERROR
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


def test_a_probe_that_hangs_without_a_deadline_is_not_the_last() -> None:
    async def scene() -> None:
        began_s = now_s()

        async def fail_then_hang() -> None:
            if now_s() - began_s < 1:
                raise ERROR
            if now_s() - began_s < 20:
                await asyncio.sleep(10_000)

        told: list[str] = []
        breaker = Breaker(
            failures_to_open=1, clock=now_s, on_change=lambda detail, error: told.append(f"{detail}: {error}")
        )
        ask = guarded(breaker, fail_then_hang, is_refused)
        for _ in range(40):
            with contextlib.suppress(CircuitOpen, ConnectionError):
                await ask()
            await asyncio.sleep(1)
        assert told == [
            "1 failures in a row: refused",
            "a probe failed: no answer to a probe within 30 s",
            "a probe was answered: None",
        ]

    run(scene())


def test_a_breaker_tells_when_it_opens_when_a_probe_fails_and_when_it_closes() -> None:
    clock = Hand()
    told: list[tuple[str, Exception | None]] = []
    breaker = Breaker(failures_to_open=2, clock=clock, on_change=lambda detail, error: told.append((detail, error)))
    fail(breaker)
    breaker.succeeded(breaker.admit())
    assert told == []
    waiting = breaker.admit()
    fail(breaker, 2)
    breaker.failed(waiting, ERROR)
    opened = ("2 failures in a row", ERROR)
    assert told == [opened]
    clock.now_s = 1.0
    other = ConnectionError("reset")
    breaker.failed(probe_of(breaker), other)
    clock.now_s = 3.0
    breaker.succeeded(probe_of(breaker))
    assert told == [opened, ("a probe failed", other), ("a probe was answered", None)]


def test_a_call_that_had_less_time_than_calls_have_is_no_evidence() -> None:
    """Asked in a row, with one budget: the first hangs and leaves the second too little, which answers as ever."""
    world = World({"azure": Mock(60.0), "gcp": Mock(0.7)}, "isolated", without=("parallel", "single_flight", "stale"))
    *_, metrics = world.play(*((2.0 * at, f"/v1/offers?limit={at + 1}") for at in range(5)), (9.9, "/metrics"))
    assert 'aggregator_backend_breaker{backend="azure"} 2.0' in metrics.response.text
    assert 'aggregator_backend_breaker{backend="gcp"} 0.0' in metrics.response.text
    assert 'aggregator_backend_timeouts_total{backend="gcp"} 5.0' in metrics.response.text


def test_a_pool_of_ours_that_is_full_is_no_backends_fault() -> None:
    world = World({"azure": Mock(fails=httpx.PoolTimeout("full")), "gcp": Mock()}, "isolated", without=only("breaker"))
    *replies, metrics = world.play(*((at / 10, f"/v1/offers?limit={at + 1}") for at in range(20)), (5.0, "/metrics"))
    assert {reply.missing["azure"] for reply in replies} == {"pool_timeout"}
    for line in (
        'aggregator_backend_breaker{backend="azure"} 0.0',
        'aggregator_backend_degraded{backend="azure"} 0.0',
        'aggregator_backend_seconds_count{backend="azure"} 0.0',
        'aggregator_backend_calls_total{backend="azure",outcome="refused"} 20.0',
    ):
        assert line in metrics.response.text


def test_probes_are_counted_and_teach_and_the_log_says_why_they_failed(caplog: pytest.LogCaptureFixture) -> None:
    down = Mock(fails=httpx.Response(503), well_from_s=9.0, then_fails=(5.0, httpx.Response(401)))
    world = World({"azure": down, "gcp": Mock()}, "isolated", without=("single_flight",))
    asked = [(at / 10, f"/v1/offers?limit={at + 1}") for at in range(170)]
    *replies, metrics = world.play(*asked, (17.0, "/metrics"))
    made = world.asked.count("azure")
    assert f'aggregator_backend_seconds_count{{backend="azure"}} {made:.1f}' in metrics.response.text
    assert 'aggregator_backend_errors_total{backend="azure",reason="http_401"} 1.0' in metrics.response.text
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "backend azure is left alone: a probe failed: http_401" in lines
    details = [getattr(record, "fields", {}).get("detail", "") for record in caplog.records]
    assert any("the last: answered 401" in detail for detail in details), "on the lines of the answers too"
    assert replies[-1].sources["azure"] == "live"


def test_the_log_names_the_backend_that_is_left_alone_and_says_when_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mocks = {"azure": Mock(fails=httpx.Response(503), well_from_s=10.0), "gcp": Mock()}
    world = World(mocks, "isolated", without=only("breaker"))
    world.play(*((float(second), "/v1/offers") for second in range(30)))
    fields = [(record.levelname, getattr(record, "fields", {})) for record in caplog.records]
    told = [(level, found["backend"], found.get("reason")) for level, found in fields if "breaker" in found]
    assert told == [("WARNING", "azure", "http_503")] * 3 + [("INFO", "azure", None)], "it opens, two probes fail"


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
    assert deadline_header(1.0) == {HEADER: "1000"}
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
    assert [headers[HEADER] for headers in world.headers] == ["1000", "600"]
    assert world.asked == ["azure", "aws"]


def test_waiting_for_a_session_is_paid_from_the_budget() -> None:
    kept = only("budget")
    world = World({"azure": Mock(0.5)}, "isolated", without=kept, habits=Antipatterns(sessions=1), deadline_s=GATEWAY_S)
    replies = world.ask(*["/v1/offers"] * 5)
    assert [headers[HEADER] for headers in world.headers] == ["1600", "1100", "600", "100"]
    assert [reply.after_s for reply in replies] == pytest.approx([0.5, 1.0, 1.5, 1.6, 1.6])
    assert [reply.response.status_code for reply in replies] == [200, 200, 200, 503, 500]


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


def test_old_offers_are_not_kept_for_ever_and_older_ones_do_not_take_their_place() -> None:
    async def scene() -> None:
        known: LastKnown[int] = LastKnown(kept_s=10, clock=now_s)

        async def answer(item: int, takes_s: float) -> list[int]:
            await asyncio.sleep(takes_s)
            return [item]

        ask = known.learning("azure", answer)
        assert known.recall("azure") is None
        early = asyncio.create_task(ask(1, 5))
        await asyncio.sleep(1)
        await ask(2, 1)
        await early
        found = known.recall("azure")
        assert found is not None and (found.items, found.age_s) == ([2], 4), "its age counts from the question"
        await asyncio.sleep(6.1)
        assert known.recall("azure") is None

    run(scene())


# ---------------------------------------------------------------- nothing to be had


def busy(for_s: int) -> Mock:
    return Mock(fails=httpx.Response(429, headers={"retry-after": str(for_s)}))


def test_while_breakers_rest_it_says_for_how_long() -> None:
    down = Mock(fails=httpx.Response(500))
    world = World({"azure": down, "gcp": down}, "isolated", without=("single_flight",))
    replies = world.play(*((at / 10, f"/v1/offers?limit={at + 1}") for at in range(300)))
    waits = {int(reply.response.headers["retry-after"]) for reply in replies}
    assert waits == set(range(1, 11)), "pauses double up to ten seconds"


@pytest.mark.parametrize("rung", ["timeout", "pushdown", "isolated"])
def test_where_nothing_can_be_had_it_says_so_and_when_to_come_again(rung: str) -> None:
    down = Mock(fails=httpx.Response(500))
    (nothing,) = World({"azure": down, "gcp": down}, rung).ask("/v1/offers")
    assert nothing.response.status_code == 503
    assert nothing.response.headers["retry-after"] == "1"
    assert nothing.sources == {"azure": "none", "gcp": "none"}
    (later,) = World({"azure": busy(7), "gcp": busy(3)}, rung).ask("/v1/offers")
    assert later.response.headers["retry-after"] == "3", "as soon as the first may answer"
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
