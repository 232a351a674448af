"""Habits that hurt: what each does to backends and requests, and what takes its sting out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from aggregator.antipatterns import Antipatterns
from aggregator.antipatterns.retries import retry_blindly
from aggregator.antipatterns.sessions import NoSession, Sessions
from tests.aggregator.world import DEADLINE_S, Mock, World
from tests.virtual_time import now_s, run


class Failing:
    """Fails as told, call by call, then answers."""

    def __init__(self, *pauses: float | None) -> None:
        self.pauses: Sequence[float | None] = pauses
        self.at_s: list[float] = []

    async def __call__(self) -> str:
        self.at_s.append(now_s() - 1000)
        if len(self.at_s) <= len(self.pauses):
            raise Told(self.pauses[len(self.at_s) - 1])
        return "answered"


class Told(Exception):
    def __init__(self, pause_s: float | None) -> None:
        super().__init__()
        self.pause_s = pause_s


def told(error: Exception) -> float | None:
    assert isinstance(error, Told)
    return error.pause_s


def test_it_asks_again_at_once_or_after_the_pause_it_was_told() -> None:
    call = Failing(0.0, 0.5, 0.0)
    assert run(retry_blindly(3, call, told, 1.0, now_s)) == "answered"
    assert call.at_s == [0.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("pauses", "calls"),
    [
        ((0.0, 0.0, 0.0, 0.0), 4),  # three more, and no more
        ((None,), 1),  # no use
        ((0.0, 1.0), 2),  # longer than anybody waits
        ((0.4, 0.4, 0.4), 3),  # and all of them together
    ],
)
def test_it_gives_up_with_the_last_error(pauses: tuple[float | None, ...], calls: int) -> None:
    call = Failing(*pauses)
    with pytest.raises(Told) as caught:
        run(retry_blindly(3, call, told, 1.0, now_s))
    assert caught.value.pause_s == pauses[calls - 1]
    assert len(call.at_s) == calls


@pytest.mark.parametrize(
    ("fails", "calls"),
    [
        (httpx.Response(429), 4),
        (httpx.Response(503), 4),
        (httpx.ConnectError("refused"), 4),
        (httpx.Response(429, headers={"retry-after": "0"}), 4),
        (httpx.Response(429, headers={"retry-after": "60"}), 1),  # longer than the deadline
        (httpx.Response(429, headers={"retry-after": "Tue, 24 Nov 2026 19:00:00 GMT"}), 1),  # and who knows how long
        (httpx.Response(429, headers={"retry-after": "soon"}), 1),
        (httpx.ReadTimeout("slow"), 1),  # it would be as slow again
        (httpx.Response(401), 1),
        (httpx.Response(200, content=b"[]"), 1),
    ],
)
def test_what_may_pass_is_asked_again_and_what_will_not_is_not(fails: httpx.Response | Exception, calls: int) -> None:
    world = World({"azure": Mock(fails=fails), "gcp": Mock()}, "pushdown", habits=Antipatterns(retries=3))
    (reply,) = world.ask("/v1/offers")
    assert world.asked.count("azure") == calls
    assert world.asked.count("gcp") == 1
    assert list(reply.missing) == ["azure"]


def test_retry_after_as_a_date_is_waited_for() -> None:
    dates = {"retry-after": "Tue, 24 Nov 2026 19:00:01 GMT", "date": "Tue, 24 Nov 2026 19:00:00 GMT"}
    mocks = {"azure": Mock(fails=httpx.Response(429, headers=dates), well_from_s=1.0)}
    world = World(mocks, "parallel", habits=Antipatterns(retries=1))
    world.ask("/v1/offers")
    assert world.calls == [("azure", 0.0), ("azure", 1.0)]


def test_a_deadline_is_not_tried_again() -> None:
    world = World({"azure": Mock(60.0)}, "timeout", habits=Antipatterns(retries=3))
    (reply,) = world.ask("/v1/offers")
    assert (world.asked, reply.after_s) == (["azure"], DEADLINE_S)


def test_retry_after_is_kept_to_within_the_deadline() -> None:
    busy = httpx.Response(429, headers={"retry-after": "1"})
    mocks = {"azure": Mock(fails=busy, well_from_s=1.0)}
    world = World(mocks, "parallel", habits=Antipatterns(retries=1))
    (reply,) = world.ask("/v1/offers")
    assert world.calls == [("azure", 0.0), ("azure", 1.0)]
    assert reply.names == ["azure"]


def test_a_breaker_counts_each_try_and_is_not_tried_again() -> None:
    world = World({"azure": Mock(fails=httpx.Response(429))}, "isolated", habits=Antipatterns(retries=3))
    replies = world.play((0.0, "/v1/offers"), (0.1, "/v1/offers"), (0.2, "/v1/offers"))
    assert [reply.missing["azure"] for reply in replies] == ["http_429", "circuit_open", "circuit_open"]
    assert world.asked == ["azure"] * 5


def test_a_session_is_waited_for_and_handed_on() -> None:
    async def scene() -> list[object]:
        sessions = Sessions(2, wait_s=1.5)

        async def hold() -> float:
            async with sessions.one():
                await asyncio.sleep(1)
            return now_s() - 1000

        return list(await asyncio.gather(*(hold() for _ in range(5)), return_exceptions=True))

    *served, refused = run(scene())
    assert served == [1.0, 1.0, 2.0, 2.0]
    assert isinstance(refused, NoSession)


def test_with_every_session_held_by_the_waiting_all_others_get_a_500_that_says_so() -> None:
    habits = Antipatterns(sessions=3, session_wait_ms=500)
    world = World({"azure": Mock(60.0), "gcp": Mock()}, "parallel", habits=habits)
    *held, bystander = world.play(*[(0.0, "/v1/offers")] * 3, (0.1, "/v1/offers?backend=gcp"))
    assert {reply.response.status_code for reply in held} == {200}
    assert (bystander.response.status_code, bystander.after_s) == (500, 0.5)
    assert b"no database session was free within 0.5 s: all 3 are held" in bystander.response.content
    assert world.asked.count("gcp") == 3, "who has no session asks nobody"


def test_a_deadline_gives_sessions_back_in_time() -> None:
    habits = Antipatterns(sessions=3, session_wait_ms=DEADLINE_S * 1000 + 1)
    world = World({"azure": Mock(60.0), "gcp": Mock()}, "timeout", habits=habits)
    replies = world.play(*[(0.0, "/v1/offers")] * 6)
    assert {reply.response.status_code for reply in replies} == {200}
