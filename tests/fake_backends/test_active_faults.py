"""Which faults a call meets: shares that come again with the seed, answers that exclude each other, the control."""

from __future__ import annotations

import asyncio

import pytest

from fake_backends.active_faults import ActiveFaults
from fake_backends.routing.fault_route import AskedRoute
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.rows import FLAG_CANARY, LOGIN_SEQ
from tests.fake_backends.fakes import RUN, Got, MakeFakes, fault
from tests.fake_backends.plans import upstream
from tests.virtual_time import run


def standings(*faults: object, name: str = "azure", seed: int = 7) -> ActiveFaults:
    made = ActiveFaults(name, seed, lambda: 0)
    for index, each in enumerate(faults):
        made.apply(index, 0, each)  # type: ignore[arg-type]
    return made


def hit(made: ActiveFaults, seqs: range, nth: int = 0) -> list[tuple[int, ...]]:
    return [tuple(standing.index for standing in made.met_by(seq, nth)) for seq in seqs]


LATE = behaviours.Late(latency_ms=100)
FIVE_HUNDRED = behaviours.Status(status=500)


def test_a_share_is_of_the_requests_and_comes_again_in_any_order() -> None:
    seqs = range(4000)
    once = hit(standings(fault(LATE, share=0.1)), seqs)
    again = standings(fault(LATE, share=0.1))
    assert list(reversed([tuple(s.index for s in again.met_by(seq, 0)) for seq in reversed(seqs)])) == once
    assert sum(map(bool, once)) == pytest.approx(400, rel=0.15)
    assert hit(standings(fault(LATE, share=0.1), seed=8), seqs) != once
    assert hit(standings(fault(LATE, share=0.1), name="gcp"), seqs) != once
    assert hit(standings(fault(LATE, share=0.1)), seqs, nth=1) != once, "a retry is drawn anew"


def test_two_delays_are_drawn_apart() -> None:
    met = hit(standings(fault(LATE, name="a", share=0.5), fault(LATE, name="b", share=0.5)), range(4000))
    assert met.count((0, 1)) == pytest.approx(1000, rel=0.15)
    assert met.count(()) == pytest.approx(1000, rel=0.15)


def test_of_answers_a_call_meets_one_and_each_keeps_its_share() -> None:
    gone = behaviours.Status(status=503)
    faults = fault(FIVE_HUNDRED, name="a", share=0.2), fault(gone, name="b", share=0.3), fault(LATE, name="c")
    met = hit(standings(*faults), range(4000))
    assert {index for each in met for index in each} == {0, 1, 2}
    assert not [each for each in met if {0, 1} <= set(each)]
    assert sum(0 in each for each in met) == pytest.approx(800, rel=0.15)
    assert sum(1 in each for each in met) == pytest.approx(1200, rel=0.15)
    assert all(2 in each for each in met)


def test_shares_that_fill_the_whole_leave_nobody_out() -> None:
    faults = fault(FIVE_HUNDRED, name="a", share=0.25), fault(behaviours.Empty(), name="b", share=0.75)
    assert all(len(each) == 1 for each in hit(standings(*faults), range(1000)))


def test_a_canary_meets_everything_whatever_its_share_and_answers_by_turns(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(
        fault(FIVE_HUNDRED, name="a", share=0.01),
        fault(behaviours.Status(status=429), name="b", share=0.01),
        fault(behaviours.Late(latency_ms=300), name="c", share=0.01),
        fault(behaviours.Capacity(limit=1), name="d"),
    )

    async def scene() -> list[tuple[int, float]]:
        await fakes.apply(0, 1, 2, 3)
        canaries = await asyncio.gather(*(fakes.call(None, canary=True) for _ in range(4)))
        return [(got.status, got.end_s) for got in canaries]

    seen = run(scene())
    assert sorted(status for status, _ in seen) == [429, 429, 500, 500]
    assert [end_s for _, end_s in seen] == pytest.approx([0.3] * 4)
    assert {row["flags"] for row in fakes.rows()} == {FLAG_CANARY}


def test_several_behaviours_add_up(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(
        fault(behaviours.Late(latency_ms=1000), name="a"),
        fault(behaviours.Huge(size_bytes=200_000), name="b"),
        fault(behaviours.Drip(over_ms=2000), name="c"),
    )

    async def scene() -> Got:
        await fakes.apply(0, 1, 2)
        return await fakes.call()

    got = run(scene())
    assert [got.head_s, got.end_s] == pytest.approx([1.1, 3.1])
    assert len(got.body) == 200_000
    (row,) = fakes.rows()
    assert (row["faults"], row["behaviour"]) == (0b111, 2)


def test_what_is_put_on_twice_stands_once_and_is_lifted_once(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(LATE), upstreams=(upstream("azure", 0), upstream("gcp", 1)))

    async def scene() -> None:
        assert await fakes.standing() == []
        assert await fakes.standing("PUT", "/0/0") == [[0, 0]]
        assert await fakes.standing("PUT", "/0/0") == [[0, 0]]
        assert await fakes.standing("PUT", "/0/1") == [[0, 0], [0, 1]]
        assert await fakes.standing(port=9001) == []
        assert await fakes.standing("DELETE", "/0/0") == [[0, 1]]
        assert await fakes.standing("DELETE", "/0/0") == [[0, 1]]
        assert await fakes.standing("DELETE", "/0/1") == []

    run(scene())
    assert fakes.rows() == [], "the rig's own questions leave no rows"


@pytest.mark.parametrize(
    ("method", "path", "port"),
    [("PUT", "/1/0", 9000), ("PUT", "/0/2", 9000), ("PUT", "/0/0", 9001), ("POST", "/0/0", 9000), ("PUT", "", 9000)],
)
def test_what_the_plan_does_not_hold_is_refused(make_fakes: MakeFakes, method: str, path: str, port: int) -> None:
    fakes = make_fakes(fault(LATE), upstreams=(upstream("azure", 0), upstream("gcp", 1)))

    async def scene() -> int:
        return (await fakes.call(None, path=f"/-/faults{path}", method=method, port=port, control=RUN)).status

    assert run(scene()) == 404


def test_without_the_runs_hash_it_is_a_path_like_any_other(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(LATE))

    async def scene() -> list[list[int]]:
        for control in ("", "0" * 16):
            assert (await fakes.call(3, path="/-/faults/0/0", method="PUT", control=control)).status == 404
        return await fakes.standing()

    assert run(scene()) == []
    assert [row["status"] for row in fakes.rows()] == [404, 404]


def test_a_call_held_by_a_fault_when_the_process_stops_is_answered_503(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Hang(), name="a"), fault(behaviours.Capacity(limit=1), name="b"))

    async def scene() -> list[int]:
        await fakes.apply(0, 1)
        calls = [asyncio.create_task(fakes.call(seq)) for seq in range(2)]
        await asyncio.sleep(1)
        for call in calls:
            call.cancel()
        return [(await call).status for call in calls]

    assert run(scene()) == [503, 503]
    assert [row["status"] for row in fakes.rows()] == [503, 503]


# ---------------------------------------------------------------- a route, and the first calls


def asked(path: str, method: str = "GET", number: int | None = None) -> AskedRoute:
    return AskedRoute(method, path, number=number)


def choosing(route: str | None = None, first: int | None = None, share: float = 1.0, name: str = "a") -> PlannedFault:
    return fault(FIVE_HUNDRED, name=name, share=share).model_copy(update={"route": route, "first": first})


def test_a_route_is_a_pattern_where_the_backend_has_no_routes() -> None:
    made = standings(choosing("GET /v2/items/{id}"))
    assert made.choose_routes
    assert made.met_by(1, 0, asked("/v2/items/7"))
    assert made.met_by(1, 0, asked("/v2/items/7", "HEAD"))
    for other in (asked("/v2/items"), asked("/v2/items/7/parts"), asked("/v2/items/7", "POST"), None):
        assert not made.met_by(1, 0, other), other
    assert standings(choosing("* /v2")).met_by(1, 0, asked("/v2", "DELETE"))
    assert standings(choosing("*")).met_by(1, 0, asked("/whatever"))


def test_a_route_is_a_name_where_the_backend_has_routes() -> None:
    made = ActiveFaults("azure", 7, lambda: 0, ("GET /v2/{id}", "GET /v2/all", "GET /v2/{id}"))
    made.apply(0, 0, choosing("GET /v2/{id}"))
    assert made.met_by(1, 0, asked("/v2/7", number=0))
    assert made.met_by(1, 0, asked("/v2/7", number=2)), "two routes may have the same name and other conditions"
    assert not made.met_by(1, 0, asked("/v2/all", number=1)), "the pattern would match, the route is another one"
    assert not made.met_by(1, 0, asked("/v2/7")), "it was answered by no route"


def test_the_route_for_the_rest_is_hit_also_where_it_answers_with_an_error() -> None:
    made = ActiveFaults("azure", 7, lambda: 0, ("GET /v2", "*"))
    made.apply(0, 0, choosing("*"))
    assert made.met_by(1, 0, asked("/elsewhere", number=1))
    assert made.met_by(1, 0, asked("/elsewhere")), "a 404 of the route * is listed as a call without a route"
    assert not made.met_by(1, 0, asked("/v2", number=0))


def test_only_the_first_calls_of_each_window_are_hit() -> None:
    made = standings(choosing(first=2))
    assert [bool(made.met_by(seq, 0)) for seq in range(4)] == [True, True, False, False]
    made.lift(0, 0)
    made.apply(0, 1, choosing(first=2))
    assert [bool(made.met_by(seq, 0)) for seq in range(4)] == [True, True, False, False], "the next window"


def test_calls_of_logins_are_hit_and_not_counted_among_the_first() -> None:
    made = standings(choosing(first=2))
    assert hit(made, range(LOGIN_SEQ, LOGIN_SEQ + 1)) == [(0,)]
    assert [bool(each) for each in hit(made, range(4))] == [True, True, False, False]
    assert hit(made, range(LOGIN_SEQ, LOGIN_SEQ + 1)) == [()]


def test_the_first_calls_are_counted_after_the_draw_and_on_the_route() -> None:
    drawn = [seq for seq, met in enumerate(hit(standings(choosing(share=0.3)), range(200))) if met]
    made = standings(choosing(share=0.3, first=3))
    assert [seq for seq in range(200) if made.met_by(seq, 0)] == drawn[:3]
    made = standings(choosing("GET /a", first=1))
    assert [bool(made.met_by(seq, 0, asked(path))) for seq, path in enumerate(("/b", "/a", "/a"))] == [
        False,
        True,
        False,
    ]


def test_canaries_meet_it_whatever_they_ask_and_use_nothing_up() -> None:
    made = standings(choosing("GET /a", first=1))
    assert [len(made.met_by_canary()) for _ in range(3)] == [1, 1, 1]
    assert made.met_by(1, 0, asked("/a"))


def test_answers_on_two_routes_do_not_compete() -> None:
    made = standings(choosing("GET /a"), choosing("GET /b", name="b"))
    assert [each.index for each in made.met_by(1, 0, asked("/a"))] == [0]
    assert [each.index for each in made.met_by(1, 0, asked("/b"))] == [1]
    assert made.met_by(1, 0, asked("/c")) == ()


def test_a_fake_hits_only_the_calls_of_the_route(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(choosing("GET /offers", first=1))

    async def play() -> list[int]:
        await fakes.apply(0)
        calls = [await fakes.call(seq, path=path) for seq, path in enumerate(("/other", "/offers", "/offers"))]
        return [call.status for call in calls]

    statuses = run(play())
    assert statuses[1:] == [500, 200]
    assert statuses[0] != 500
