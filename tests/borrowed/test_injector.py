"""Faults on a borrowed proxy, against a server that keeps its word, one that others meddle with, and one that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RigError
from harness.rundir.journal import PROXIES, BorrowedJournal, Entry, Journal, read_borrowed
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.upstream import Endpoint
from harness.stack.injection.borrowed_left import BorrowedLeft
from harness.stack.injection.injector import Injector
from harness.stack.injection.proxies import ListenerProxies
from harness.toxiproxy.client import ToxiproxyClient
from harness.toxiproxy.sweep import sweep
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.world import fault, latency, plan, toxic, until, upstream

LEGACY = "legacy_api"
THEIRS = {"name": "theirs", "type": "latency", "stream": "downstream", "toxicity": 1.0, "attributes": {"latency": 7}}


def borrowing(*faults: PlannedFault) -> Plan:
    borrowed = upstream("azure", 0).model_copy(
        update={"fake": None, "kind": "borrowed", "borrowed": LEGACY, "origin": Endpoint(port=9)}
    )
    return plan(*faults, upstreams=(borrowed,))


class World:
    """An injector whose windows the test opens and closes."""

    def __init__(self, server: Pretender, folder: Path, the_plan: Plan, timeout_s: float = 5.0) -> None:
        self.server, self.folder, self.plan = server, folder, the_plan
        self.client = ToxiproxyClient(server.url, timeout_s)
        self.rig: list[HarnessFault] = []
        self.seen: list[Entry] = []
        self.proxies = ListenerProxies(self.client, the_plan, self.rig.append, BorrowedJournal(folder))
        self.journal = Journal(folder / "faults.ndjson")
        self.injector: Injector | None = None

    async def begin(self) -> Injector:
        await self.proxies.create()
        self.injector = Injector(
            self.client, self.plan, self.journal, self.seen.append, self.rig.append,
            proxies=self.proxies.names, borrowed=self.proxies.borrowed,
        )  # fmt: skip
        return self.injector

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """While every fault of the plan stands. On leaving, everything is undone, as after Ctrl-C."""
        injector = await self.begin()
        timeline = asyncio.create_task(injector.run_timeline(time.monotonic_ns()))
        wanted = len(self.plan.faults)
        await until(lambda: sum(entry.event in ("applied", "failed") for entry in self.seen) >= wanted)
        yield
        timeline.cancel()
        self.undone = await injector.undo_all()

    @property
    def legacy(self) -> dict[str, Any]:
        return self.server.proxies[LEGACY]

    @property
    def said(self) -> str:
        return "\n".join(f"{one.check}: {one.message} ({one.fix})" for one in self.rig)

    def events(self) -> list[str]:
        return [entry.event for entry in read_borrowed(self.folder)]


Make = Callable[..., World]
SLOW = fault(latency(), windows=((0, 600_000),))
DOWN = fault(name="gone", down=True, windows=((0, 600_000),))


@pytest.fixture
def server() -> Iterator[Pretender]:
    with Pretender() as pretender:
        pretender.proxies[LEGACY] = {
            "name": LEGACY, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:9", "enabled": True,
            "toxics": [copy.deepcopy(THEIRS)],
        }  # fmt: skip
        pretender.proxies["other"] = {**pretender.proxies[LEGACY], "name": "other", "enabled": False, "toxics": []}
        yield pretender


@pytest.fixture
def make(server: Pretender, tmp_path: Path) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def made(*faults: PlannedFault, timeout_s: float = 5.0) -> World:
            world = World(server, tmp_path, borrowing(*faults), timeout_s)
            stack.callback(world.journal.close)
            return world

        yield made


def play(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


@pytest.mark.parametrize(
    "faults",
    [(SLOW,), (DOWN,), (fault(toxic("reset_peer", timeout=0), windows=((0, 600_000),)),), (SLOW, DOWN)],
    ids=["delay", "down", "reset", "delay and down"],
)
def test_what_stood_before_stands_afterwards(server: Pretender, make: Make, faults: tuple[PlannedFault, ...]) -> None:
    async def test() -> None:
        before = copy.deepcopy(server.proxies)
        world = make(*faults)
        async with world.standing():
            assert world.legacy["enabled"] is not any(each.disables_proxy for each in faults)
            assert len(world.legacy["toxics"]) == 1 + len(faults)
            assert server.proxies["other"] == before["other"]
        assert world.undone
        assert server.proxies == before
        assert world.rig == []
        await world.proxies.delete()
        assert server.proxies == before
        assert "POST /proxies" not in server.asked
        assert not any(asked.startswith(("DELETE /proxies/legacy_api ", "POST /reset")) for asked in server.asked)

    play(test())


def test_a_delay_is_lifted_while_the_proxy_is_disabled(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(SLOW)
        async with world.standing():
            begin = len(server.asked)
        writes = [asked.split("?")[0] for asked in server.asked[begin:] if not asked.startswith("GET")]
        proxy, toxic_path = f"/proxies/{LEGACY}", f"/proxies/{LEGACY}/toxics/{world.plan.prefix}azure-slow.0.0"
        assert writes == [f"POST {proxy}", f"POST {toxic_path}", f"DELETE {toxic_path}", f"POST {proxy}"]
        assert world.events() == ["found", "disabling", "enabled"]

    play(test())


def test_one_of_two_faults_that_keep_it_down_leaves_its_mark(make: Make) -> None:
    async def test() -> None:
        first = fault(name="first", down=True, windows=((0, 300),))
        world = make(first, DOWN)
        async with world.standing():
            await until(lambda: any(entry.event == "verified" for entry in world.seen))
            assert world.legacy["enabled"] is False
            (mark,) = [each["name"] for each in world.legacy["toxics"] if each["name"] != "theirs"]
            assert mark == f"{world.plan.prefix}gone.0.off"
        assert world.undone
        assert world.legacy["enabled"] is True
        assert world.rig == []

    play(test())


def _add(proxy: dict[str, Any]) -> None:
    proxy["toxics"].append({**THEIRS, "name": "new"})


def _remove(proxy: dict[str, Any]) -> None:
    proxy["toxics"][:] = [each for each in proxy["toxics"] if each["name"] != "theirs"]


def _disable(proxy: dict[str, Any]) -> None:
    proxy["enabled"] = False


def _move(proxy: dict[str, Any]) -> None:
    proxy["upstream"] = "127.0.0.1:10"


def _restart(proxy: dict[str, Any]) -> None:
    """With a config that has the proxy: toxics are gone."""
    proxy |= {"enabled": True, "toxics": []}


@pytest.mark.parametrize("broken", [SLOW, DOWN], ids=["delay", "down"])
@pytest.mark.parametrize("meddle", [_add, _remove, _move, _restart])
def test_what_others_changed_stands_and_is_said_once(
    make: Make, broken: PlannedFault, meddle: Callable[[dict[str, Any]], None]
) -> None:
    async def test() -> None:
        world = make(broken)
        async with world.standing():
            meddle(world.legacy)
            theirs = [each for each in copy.deepcopy(world.legacy["toxics"]) if each["name"] in ("theirs", "new")]
        assert world.undone
        assert world.legacy["toxics"] == theirs
        assert world.legacy["enabled"] is True
        assert world.legacy["upstream"] == ("127.0.0.1:10" if meddle is _move else "127.0.0.1:9")
        assert [one.check for one in world.rig] == ["faults"], world.said
        assert "that stands as it is" in world.said
        assert "changed" in world.events()

    play(test())


def test_a_proxy_that_others_disabled_under_a_delay_stays_disabled(make: Make) -> None:
    async def test() -> None:
        world = make(SLOW)
        async with world.standing():
            _disable(world.legacy)
        assert world.undone
        assert world.legacy["enabled"] is False
        assert world.legacy["toxics"] == [THEIRS]
        assert "was disabled by another program" in world.said

    play(test())


def test_a_proxy_that_vanished_is_not_made_anew(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(SLOW)
        async with world.standing():
            del server.proxies[LEGACY]
        assert world.undone
        assert LEGACY not in server.proxies
        assert "proxy legacy_api is gone" in world.said

    play(test())


def test_a_fault_is_not_put_on_a_proxy_that_another_run_breaks_meanwhile(make: Make) -> None:
    async def test() -> None:
        world = make(SLOW)
        injector = await world.begin()
        world.legacy["toxics"].append({**THEIRS, "name": "tailgate-20260101-120001-dead-slow.0.0"})
        timeline = asyncio.create_task(injector.run_timeline(time.monotonic_ns()))
        await until(lambda: any(entry.event == "failed" for entry in world.seen))
        timeline.cancel()
        assert await injector.undo_all()
        assert [each["name"] for each in world.legacy["toxics"]] == ["theirs", "tailgate-20260101-120001-dead-slow.0.0"]
        assert "was not applied" in world.said

    play(test())


@pytest.mark.parametrize("wrong", ["gone", "disabled", "another run"])
def test_a_proxy_that_cannot_be_borrowed_any_more_is_left_as_it_is(server: Pretender, make: Make, wrong: str) -> None:
    async def test() -> None:
        world = make(SLOW)
        match wrong:
            case "gone":
                del server.proxies[LEGACY]
            case "disabled":
                _disable(world.legacy)
            case _:
                world.legacy["toxics"].append({**THEIRS, "name": "tailgate-20260101-120001-dead-slow.0.0"})
        before = copy.deepcopy(server.proxies)
        with pytest.raises(RigError):
            await world.begin()
        await world.proxies.delete()
        assert server.proxies == before
        assert not (world.folder / PROXIES).exists()

    play(test())


def test_a_server_that_hangs_is_a_rig_failure_with_the_calls_to_make(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(SLOW, DOWN, timeout_s=0.3)
        async with world.standing():
            server.mood = "hung"
        assert not world.undone
        assert "rollback" in [one.check for one in world.rig]
        assert f"curl -X DELETE {server.url}/proxies/{LEGACY}/toxics/{world.plan.prefix}azure-slow.0.0" in world.said
        assert f"curl -X POST {server.url}/proxies/{LEGACY} -d" in world.said
        for word in ("kill", "restart it", "/reset"):
            assert word not in world.said

    play(test())


# ---------------------------------------------------------------- after the supervisor was killed


async def _killed(world: World) -> None:
    """Leave the faults where they are, as a killed supervisor does."""
    injector = await world.begin()
    timeline = asyncio.create_task(injector.run_timeline(time.monotonic_ns()))
    await until(lambda: sum(entry.event == "applied" for entry in world.seen) >= len(world.plan.faults))
    timeline.cancel()
    await asyncio.gather(timeline, return_exceptions=True)


@pytest.mark.parametrize("faults", [(SLOW,), (DOWN,), (SLOW, DOWN)], ids=["delay", "down", "both"])
def test_tailgate_puts_back_what_a_killed_supervisor_left(
    server: Pretender, make: Make, faults: tuple[PlannedFault, ...]
) -> None:
    before = copy.deepcopy(server.proxies)
    world = make(*faults)
    play(_killed(world))
    assert server.proxies != before
    (left,) = BorrowedLeft.of([world.folder])
    assert left.put_back(world.client, world.plan.prefix) == ()
    assert server.proxies == before


def test_a_supervisor_killed_while_it_lifted_a_delay_leaves_the_proxy_to_be_enabled(
    server: Pretender, make: Make
) -> None:
    before = copy.deepcopy(server.proxies)
    world = make(SLOW)
    play(_killed(world))
    world.proxies.borrowed["azure"].note("disabling")
    _disable(world.legacy)
    (left,) = BorrowedLeft.of([world.folder])
    assert left.put_back(world.client, world.plan.prefix) == ()
    assert server.proxies == before


def test_what_others_did_before_the_clean_up_stands_and_is_said(make: Make) -> None:
    world = make(SLOW)
    play(_killed(world))
    _add(world.legacy)
    _disable(world.legacy)
    (left,) = BorrowedLeft.of([world.folder])
    said = left.put_back(world.client, world.plan.prefix)
    assert said == ("proxy legacy_api was disabled by another program", "toxic new was added to proxy legacy_api")
    assert world.legacy["enabled"] is False
    assert [each["name"] for each in world.legacy["toxics"]] == ["theirs", "new"]


@pytest.mark.parametrize("faults", [(SLOW,), (DOWN,), (SLOW, DOWN)], ids=["delay", "down", "both"])
def test_the_next_start_puts_back_what_a_run_left_of_which_nothing_lives(
    server: Pretender, make: Make, faults: tuple[PlannedFault, ...]
) -> None:
    before = copy.deepcopy(server.proxies)
    world = make(*faults)
    play(_killed(world))
    assert len(sweep(world.client, alive=()).removed) == len(faults)
    assert server.proxies == before


def test_a_step_that_fails_leaves_no_proxy_disabled(server: Pretender, make: Make) -> None:
    """The toxic cannot be removed, so the proxy that was disabled for that is enabled again."""
    world = make(SLOW)
    play(_killed(world))
    borrowed = world.proxies.borrowed["azure"]
    refused: list[str] = []

    def refuse(proxy: str, name: str) -> None:
        refused.append(name)
        raise borrowed.client._lie(f"remove {name} from {proxy}", None)

    borrowed.client.remove_toxic = refuse  # type: ignore[method-assign]
    with pytest.raises(RigError):
        borrowed.take_off(world.plan.prefix, stays_down=False)
    assert refused
    assert world.legacy["enabled"] is True
    assert borrowed.changes(borrowed.client.proxy(LEGACY)) == ()
