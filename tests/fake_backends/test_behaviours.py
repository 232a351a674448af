"""Each behaviour on the fakes' own application, in virtual time: what a caller gets, when, and what the row says."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from fake_backends.behaviours import BEHAVIOURS
from harness.rundir.planned import behaviours
from harness.rundir.planned.behaviours import Behaviour
from tests.fake_backends.fakes import FaultyFakes, Got, MakeFakes, fault
from tests.fake_backends.plans import upstream
from tests.virtual_time import run

HEALTHY_S = 0.1
MARK = b"-tg-azure."


def met(make_fakes: MakeFakes, does: Behaviour, *, after_s: float = 0.0) -> tuple[Got, dict[str, int]]:
    """What one call gets `after_s` the fault was put on, and its row."""
    fakes = make_fakes(fault(does))

    async def scene() -> Got:
        await fakes.apply()
        await asyncio.sleep(after_s)
        return await fakes.call(7, path="/offers?cursor=")

    got = run(scene())
    (row,) = fakes.rows()
    return got, row


def test_every_model_has_its_doing_and_their_numbers_never_change() -> None:
    assert [model.__name__ for model, _ in BEHAVIOURS] == [
        "Status",
        "Late",
        "Hang",
        "Ramp",
        "ColdStart",
        "SlowSpells",
        "Capacity",
        "Drip",
        "Truncate",
        "Malformed",
        "WrongSchema",
        "Empty",
        "Huge",
        "RedirectLoop",
    ]


@pytest.mark.parametrize(("retry_after_s", "header"), [(None, None), (3, "3")])
def test_status(make_fakes: MakeFakes, retry_after_s: int | None, header: str | None) -> None:
    got, row = met(make_fakes, behaviours.Status(status=429, retry_after_s=retry_after_s))
    assert (got.status, got.headers.get("retry-after")) == (429, header)
    assert got.end_s == pytest.approx(HEALTHY_S), "an error takes as long as an answer"
    assert (row["status"], row["behaviour"], row["faults"], row["bytes"]) == (429, 1, 1, len(got.body))


def test_late_with_jitter_stays_within_it(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Late(latency_ms=1000, jitter_ms=200)))

    async def scene() -> list[float]:
        await fakes.apply()
        return [got.end_s for got in await asyncio.gather(*(fakes.call(seq) for seq in range(200)))]

    taken = run(scene())
    assert all(0.9 <= end_s <= 1.3 for end_s in taken)
    assert min(taken) < 0.95
    assert max(taken) > 1.25
    for row in fakes.rows():
        assert row["due_ns"] == pytest.approx(row["done_ns"], abs=2000), "what holds a call is in its due time"


def test_hang_holds_until_it_is_lifted_and_then_answers(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Hang()))

    async def scene() -> tuple[Got, Got]:
        await fakes.apply()
        held = asyncio.create_task(fakes.call(1))
        given_up = await fakes.call(2, gone_after_s=5)
        await asyncio.sleep(55)
        await fakes.lift()
        return await held, given_up

    held, given_up = run(scene())
    assert held.status == 200
    assert held.end_s == pytest.approx(60)
    assert given_up.status == 0
    gone, answered = fakes.rows()
    assert (gone["status"], gone["behaviour"], gone["faults"]) == (0, 3, 1)
    assert gone["due_ns"] > gone["done_ns"] + 10**15
    assert (answered["status"], answered["faults"]) == (200, 1)


@pytest.mark.parametrize(("after_s", "added_s"), [(0, 0), (15, 0.5), (30, 1.0), (45, 1.0)])
def test_ramp(make_fakes: MakeFakes, after_s: float, added_s: float) -> None:
    got, row = met(make_fakes, behaviours.Ramp(from_ms=0, to_ms=1000, over_ms=30_000), after_s=after_s)
    assert got.end_s == pytest.approx(HEALTHY_S + added_s)
    assert row["faults"] == (1 if added_s else 0), "a delay of nothing has hit nobody"


@pytest.mark.parametrize(("after_s", "added_s"), [(0, 8), (6, 2), (8, 0), (20, 0)])
def test_cold_start(make_fakes: MakeFakes, after_s: float, added_s: float) -> None:
    got, _ = met(make_fakes, behaviours.ColdStart(up_after_ms=8000), after_s=after_s)
    assert got.end_s == pytest.approx(HEALTHY_S + added_s)


@pytest.mark.parametrize(("after_s", "slow"), [(0.5, False), (1, True), (2.9, True), (3, False), (10, True)])
def test_slow_spells(make_fakes: MakeFakes, after_s: float, slow: bool) -> None:
    spells = behaviours.SlowSpells(latency_ms=2000, spells_ms=((1000, 3000), (10_000, 12_000)))
    got, row = met(make_fakes, spells, after_s=after_s)
    assert got.end_s == pytest.approx(HEALTHY_S + (2 if slow else 0))
    assert bool(row["faults"]) is slow


def test_drip(make_fakes: MakeFakes) -> None:
    got, row = met(make_fakes, behaviours.Drip(over_ms=10_000))
    assert got.head_s == pytest.approx(HEALTHY_S)
    assert got.end_s == pytest.approx(HEALTHY_S + 10)
    assert got.whole
    assert len(orjson.loads(got.body)["offers"]) == 40
    half = sum(size for at_s, size in got.pieces if at_s <= HEALTHY_S + 5)
    assert half == pytest.approx(len(got.body) / 2, rel=0.02)
    assert row["bytes"] == len(got.body)
    assert (row["first_ns"] - row["arrived_ns"]) / 1e9 == pytest.approx(got.pieces[0][0])
    assert (row["done_ns"] - row["first_ns"]) / 1e9 == pytest.approx(10, rel=0.02)


def test_a_lifted_drip_is_over_at_once_and_one_nobody_waits_for_stops(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Drip(over_ms=10_000)))

    async def scene() -> Got:
        await fakes.apply()
        await fakes.call(1, gone_after_s=2.1)
        dripping = asyncio.create_task(fakes.call(2))
        await asyncio.sleep(5)
        await fakes.lift()
        return await dripping

    got = run(scene())
    assert got.whole is True
    assert got.end_s == pytest.approx(5)
    gone, whole = fakes.rows()
    assert gone["status"] == 0
    assert gone["bytes"] == pytest.approx(whole["bytes"] * 0.2, rel=0.05)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_truncate(make_fakes: MakeFakes, keep: float) -> None:
    got, row = met(make_fakes, behaviours.Truncate(keep=keep))
    promised = int(got.headers["content-length"])
    assert not got.whole
    assert len(got.body) == int(promised * keep) == row["bytes"]


def test_malformed(make_fakes: MakeFakes) -> None:
    got, _ = met(make_fakes, behaviours.Malformed())
    assert (got.status, len(got.body)) == (200, int(got.headers["content-length"]))
    assert MARK in got.body
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(got.body)


def test_wrong_schema(make_fakes: MakeFakes) -> None:
    got, _ = met(make_fakes, behaviours.WrongSchema())
    assert got.status == 200
    assert "offers" not in orjson.loads(got.body)


def test_empty(make_fakes: MakeFakes) -> None:
    got, _ = met(make_fakes, behaviours.Empty())
    assert (got.status, orjson.loads(got.body)["offers"]) == (200, [])


def test_huge(make_fakes: MakeFakes) -> None:
    got, row = met(make_fakes, behaviours.Huge(size_bytes=3_000_001))
    assert got.whole
    assert len(got.body) == int(got.headers["content-length"]) == row["bytes"] == 3_000_001
    assert len(orjson.loads(got.body)["offers"]) == 40
    assert max(size for _, size in got.pieces) <= 64 * 1024, "never in memory as a whole"


def test_redirect_loop(make_fakes: MakeFakes) -> None:
    got, _ = met(make_fakes, behaviours.RedirectLoop())
    assert (got.status, got.headers["location"], got.body) == (302, "/offers?cursor=", b"")


# ---------------------------------------------------------------- capacity


async def _crowd(fakes: FaultyFakes, size: int) -> list[float]:
    return [got.end_s for got in await asyncio.gather(*(fakes.call(seq) for seq in range(size)))]


def test_a_capacity_lets_the_others_wait_in_order(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Capacity(limit=2)))

    async def scene() -> list[float]:
        await fakes.apply()
        return await _crowd(fakes, 6)

    assert run(scene()) == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    assert [row["faults"] for row in fakes.rows()] == [0, 0, 1, 1, 1, 1], "who did not wait was not hit"


def test_lifting_a_capacity_lets_everybody_in(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Capacity(limit=1)))

    async def scene() -> list[float]:
        await fakes.apply()
        crowd = asyncio.create_task(_crowd(fakes, 5))
        await asyncio.sleep(0.05)
        await fakes.lift()
        return await crowd

    assert run(scene()) == pytest.approx([0.1, 0.15, 0.15, 0.15, 0.15])


def test_who_leaves_the_queue_takes_no_turn(make_fakes: MakeFakes) -> None:
    fakes = make_fakes(fault(behaviours.Capacity(limit=1)))

    async def scene() -> tuple[Got, Got]:
        await fakes.apply()
        first = asyncio.create_task(fakes.call(1))
        await asyncio.sleep(0.01)
        impatient = asyncio.create_task(fakes.call(2, gone_after_s=0.03))
        await asyncio.sleep(0.01)
        last = asyncio.create_task(fakes.call(3))
        await first
        return await impatient, await last

    impatient, last = run(scene())
    assert impatient.status == 0
    assert last.status == 200
    assert last.end_s == pytest.approx(0.18)


def test_an_upstreams_own_capacity_stands_without_a_fault_and_spares_canaries(make_fakes: MakeFakes) -> None:
    small = upstream("azure", 0, p50_ms=100.0, p99_ms=100.0, capacity=1)
    fakes = make_fakes(upstreams=(small,))

    async def scene() -> tuple[list[float], float]:
        crowd = asyncio.create_task(_crowd(fakes, 3))
        await asyncio.sleep(0.01)
        canary = await fakes.call(None, canary=True)
        return await crowd, canary.end_s

    taken, canary_s = run(scene())
    assert taken == pytest.approx([0.1, 0.2, 0.3])
    assert canary_s == pytest.approx(0)
    assert [row["faults"] for row in fakes.rows()] == [0] * 4


def test_a_queue_has_an_end(make_fakes: MakeFakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fake_backends.concurrency_limit.QUEUE_MAX", 2)
    fakes = make_fakes(fault(behaviours.Capacity(limit=1)))

    async def scene() -> list[int]:
        await fakes.apply()
        return [got.status for got in await asyncio.gather(*(fakes.call(seq) for seq in range(5)))]

    assert run(scene()) == [200, 200, 200, 503, 503]
