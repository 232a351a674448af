"""The injector against a server that keeps its word, and against ones that refuse, hang, lie or are meddled with."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RigError
from harness.rundir.journal import Entry, Journal, read_journal
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.stack.injection.injector import Injector
from harness.stack.injection.proxies import ListenerProxies
from harness.toxiproxy.client import ToxiproxyClient
from harness.units import NS_PER_MS, NS_PER_S
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.world import fault, latency, plan, toxic, until

Step = tuple[str, int, str, str]


class HandClock:
    """Time that passes when a test says so. Sleepers wake in order, each at its own moment."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_ns = self.now_ns + round(seconds * NS_PER_S)
        heapq.heappush(self._sleepers, (due_ns, len(self._sleepers), future))
        await future

    async def to(self, ms: float, quiet: Callable[[], bool]) -> None:
        """Pass on to `ms`; wait until `quiet` holds after everything that became due by then."""
        await asyncio.sleep(0.01)
        while self._sleepers and self._sleepers[0][0] <= ms * NS_PER_MS:
            due_ns, _, future = heapq.heappop(self._sleepers)
            self.now_ns = due_ns
            if not future.done():
                future.set_result(None)
        self.now_ns = round(ms * NS_PER_MS)
        await until(quiet)


class World:
    """An injector with all that it touches."""

    def __init__(self, the_plan: Plan, server: Pretender, path: Path, *, timeout_s: float = 5.0) -> None:
        self.clock = HandClock()
        self.server = server
        self.plan = the_plan
        self.path = path / "faults.ndjson"
        self.journal = Journal(self.path)
        self.seen: list[Entry] = []
        self.rig: list[HarnessFault] = []
        client = ToxiproxyClient(server.url, timeout_s)
        self.proxies = ListenerProxies(client, the_plan, self.rig.append)
        self.injector = Injector(
            client,
            the_plan,
            self.journal,
            self.seen.append,
            self.rig.append,
            proxies=self.proxies.names,
            clock_ns=lambda: self.clock.now_ns,
            sleep=self.clock.sleep,
        )

    @property
    def steps(self) -> list[Step]:
        return [(entry.fault, entry.window, entry.upstream, entry.event) for entry in self.seen]

    def events(self, upstream: str = "azure") -> list[str]:
        return [event for _, _, at, event in self.steps if at == upstream]

    def proxy(self, upstream: str) -> dict[str, Any]:
        return self.server.proxies[self.plan.proxy_name(upstream)]

    def toxics(self, upstream: str = "azure") -> list[str]:
        return self.server.toxics(self.plan.proxy_name(upstream))

    async def started(self) -> asyncio.Task[None]:
        await self.proxies.create()
        return asyncio.create_task(self.injector.run_timeline(0))

    def has(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.seen) >= count


Make = Callable[..., World]


# servers and threads answer within their time limits, which they would not at low priority
pytestmark = pytest.mark.stack


@pytest.fixture
def server() -> Iterator[Pretender]:
    with Pretender() as pretender:
        yield pretender


@pytest.fixture
def make(server: Pretender, tmp_path: Path) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def made(the_plan: Plan, *, timeout_s: float = 5.0) -> World:
            world = World(the_plan, server, tmp_path, timeout_s=timeout_s)
            stack.callback(world.journal.close)
            return world

        yield made


def play(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def test_each_step_is_journalled_in_order_with_its_time(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan(fault(latency(), windows=((1000, 2000), (5000, 6000)))))
        timeline = await world.started()
        await world.clock.to(999, world.has(0))
        assert world.seen == []
        await world.clock.to(1000, world.has(2))
        assert world.toxics() == [f"{world.plan.prefix}azure-slow.0.0"]
        assert world.proxy("azure")["toxics"][0]["attributes"] == {"latency": 60_000}
        await world.clock.to(2000, world.has(5))
        assert world.toxics() == []
        await world.clock.to(5000, world.has(7))
        assert world.toxics() == [f"{world.plan.prefix}azure-slow.1.0"]
        await world.clock.to(6000, world.has(10))
        await timeline
        one_window = ["requested", "applied", "removing", "removed", "verified"]
        assert world.events() == one_window * 2
        assert [entry.t_ns // NS_PER_MS for entry in world.seen] == [1000] * 2 + [2000] * 3 + [5000] * 2 + [6000] * 3
        assert list(read_journal(world.path)) == world.seen
        assert await world.injector.undo_all()
        assert world.rig == []
        assert world.toxics("gcp") == []

    play(test())


def test_the_journal_has_the_request_before_the_server_is_asked(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan(fault(latency())), timeout_s=1.0)
        timeline = await world.started()
        server.mood = "hung"
        await world.clock.to(0, world.has(1))
        assert [entry.event for entry in read_journal(world.path)] == ["requested"]
        await world.clock.to(300, world.has(2))
        await timeline

    play(test())


def test_several_upstreams_are_broken_at_once(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan(fault(latency(), toxic("bandwidth", rate=1), upstreams=("azure", "gcp"))))
        timeline = await world.started()
        await world.clock.to(0, world.has(4))
        assert len(world.toxics("azure")) == len(world.toxics("gcp")) == 2
        await world.clock.to(300, world.has(10))
        await timeline
        assert world.events("azure") == world.events("gcp")
        assert world.toxics("azure") == world.toxics("gcp") == []

    play(test())


def test_overlapping_faults_on_one_upstream_each_take_off_their_own(server: Pretender, make: Make) -> None:
    async def test() -> None:
        slow = fault(latency(), name="slow", windows=((0, 200),))
        drip = fault(toxic("bandwidth", rate=1), name="drip", windows=((100, 300),))
        world = make(plan(slow, drip))
        timeline = await world.started()
        await world.clock.to(100, world.has(4))
        assert len(world.toxics()) == 2
        await world.clock.to(200, world.has(7))
        assert world.toxics() == [f"{world.plan.prefix}drip.0.0"]
        await world.clock.to(300, world.has(10))
        await timeline
        assert world.rig == []

    play(test())


def test_faults_whose_names_begin_alike_are_not_mistaken_for_each_other(make: Make) -> None:
    async def test() -> None:
        first = fault(latency(), name="a", windows=((0, 50), (100, 200)))
        second = fault(latency(), name="a-1", windows=((110, 300),))
        world = make(plan(first, second))
        timeline = await world.started()
        await world.clock.to(50, world.has(5))
        await world.clock.to(110, world.has(9))
        await world.clock.to(200, world.has(12))
        assert world.toxics() == [f"{world.plan.prefix}a-1.0.0"]
        await world.clock.to(300, world.has(15))
        await timeline
        assert world.rig == []

    play(test())


def test_a_proxy_that_two_faults_hold_down_comes_back_with_the_second(server: Pretender, make: Make) -> None:
    async def test() -> None:
        first = fault(name="first", down=True, windows=((0, 200),))
        second = fault(name="second", down=True, windows=((100, 300),))
        slow = fault(latency(), name="slow", windows=((150, 250),))
        world = make(plan(first, second, slow))
        timeline = await world.started()
        await world.clock.to(0, world.has(2))
        await world.clock.to(150, world.has(6))
        await world.clock.to(200, world.has(9))
        assert world.proxy("azure")["enabled"] is False
        await world.clock.to(250, world.has(12))
        assert world.proxy("azure")["enabled"] is False
        await world.clock.to(300, world.has(15))
        assert world.proxy("azure")["enabled"] is True
        await timeline
        assert world.rig == []

    play(test())


@pytest.mark.parametrize("down", [False, True])
def test_a_proxy_that_someone_disabled_takes_no_fault(server: Pretender, make: Make, down: bool) -> None:
    async def test() -> None:
        broken = fault(name="f", down=True) if down else fault(latency(), name="f")
        world = make(plan(broken))
        timeline = await world.started()
        world.proxy("azure")["enabled"] = False
        await world.clock.to(0, world.has(2))
        assert world.events() == ["requested", "failed"]
        assert world.toxics() == []
        assert [rig.check for rig in world.rig] == ["faults"]
        assert "is disabled, which is not our doing" in world.rig[0].message
        await world.clock.to(300, timeline.done)

    play(test())


@pytest.mark.parametrize("mood", ["error", "busy", "liar", "hung", "nonsense"])
def test_a_server_that_does_not_apply_a_fault_is_trouble_and_never_a_hang(
    server: Pretender, make: Make, mood: str
) -> None:
    async def test() -> None:
        world = make(plan(fault(latency())), timeout_s=0.2)
        timeline = await world.started()
        server.mood = mood
        await world.clock.to(0, world.has(2))
        assert world.events() == ["requested", "failed"]
        assert [rig.check for rig in world.rig] == ["faults"]
        assert world.rig[0].message.startswith("azure-slow (azure-slow) on azure was not applied: ")
        await world.clock.to(300, timeline.done)

    play(test())


def test_a_fault_of_which_half_was_applied_is_taken_back_at_once(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan(fault(latency(), toxic("bandwidth", rate=1))))
        timeline = await world.started()
        # the second toxic of this name is there already, so the read-back finds another one in its place
        world.proxy("azure")["toxics"].append({"name": f"{world.plan.prefix}azure-slow.0.1", **latency(1).model_dump()})
        await world.clock.to(0, world.has(2))
        assert world.events() == ["requested", "failed"]
        assert world.toxics() == []
        await world.clock.to(300, timeline.done)

    play(test())


@pytest.mark.parametrize("meddling", ["toxic removed", "toxic changed", "proxy disabled", "proxy deleted", "reset"])
def test_a_fault_that_does_not_last_is_trouble(server: Pretender, make: Make, meddling: str) -> None:
    async def test() -> None:
        down = meddling == "reset"
        world = make(plan(fault(down=True) if down else fault(latency())))
        timeline = await world.started()
        await world.clock.to(0, world.has(2))
        match meddling:
            case "toxic removed":
                world.proxy("azure")["toxics"].clear()
            case "toxic changed":
                world.proxy("azure")["toxics"][0]["attributes"]["latency"] = 0
            case "proxy disabled":
                world.proxy("azure")["enabled"] = False
            case "proxy deleted":
                del server.proxies[world.plan.proxy_name("azure")]
            case "reset":
                world.proxy("azure")["enabled"] = True
        await world.clock.to(300, timeline.done)
        assert world.rig[0].check == "faults"
        assert "did not last" in world.rig[0].message

    play(test())


@pytest.mark.parametrize("down", [False, True])
def test_undo_takes_back_what_a_cancelled_timeline_left(server: Pretender, make: Make, down: bool) -> None:
    async def test() -> None:
        world = make(plan(fault(down=True) if down else fault(latency())))
        timeline = await world.started()
        await world.clock.to(0, world.has(2))
        timeline.cancel()
        await asyncio.gather(timeline, return_exceptions=True)
        assert world.injector.applied_any
        assert await world.injector.undo_all()
        assert (world.toxics(), world.proxy("azure")["enabled"]) == ([], True)
        assert world.events() == ["requested", "applied", "removing", "removed", "verified"]
        assert await world.injector.undo_all()
        assert len(world.seen) == 5
        assert world.rig == []

    play(test())


def test_undo_waits_for_the_act_that_was_cut_off_and_nothing_is_applied_after_it(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan(fault(latency(), windows=((0, 100), (200, 300)))))
        timeline = await world.started()
        server.lock.acquire()
        await world.clock.to(0, world.has(1))
        timeline.cancel()
        undo = asyncio.create_task(world.injector.undo_all())
        await asyncio.sleep(0.1)
        assert not undo.done()
        server.lock.release()
        assert await undo
        assert world.events() == ["requested", "applied", "removing", "removed", "verified"]
        await world.injector.run_timeline(-1_000 * NS_PER_MS)
        assert len(world.seen) == 5
        assert world.toxics() == []

    play(test())


@pytest.mark.parametrize("mood", ["error", "liar", "hung", "dripping", "nonsense"])
def test_a_rollback_that_cannot_be_verified_says_so_in_time(server: Pretender, make: Make, mood: str) -> None:
    async def test() -> None:
        world = make(plan(fault(latency(), upstreams=("azure", "gcp"))), timeout_s=0.3)
        timeline = await world.started()
        await world.clock.to(0, world.has(4))
        timeline.cancel()
        server.mood = mood
        began_s = time.monotonic()
        assert not await world.injector.undo_all(within_s=2)
        assert time.monotonic() - began_s < 8, "it gives up, and does not hang"
        assert {rig.check for rig in world.rig} == {"rollback"}
        assert world.rig[0].fix == f"run `tailgate toxiproxy sweep --url {server.url}`"
        assert "verified" not in world.events()
        server.mood = "honest"
        assert await world.injector.undo_all()
        assert world.toxics() == []

    play(test())


def test_undo_with_nothing_applied_is_verified_without_asking(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan(fault(latency())))
        server.mood = "error"
        assert await world.injector.undo_all()
        assert not world.injector.applied_any
        assert server.asked == []

    play(test())


def test_a_journal_that_takes_no_more_lets_nothing_be_applied_and_everything_be_removed(
    server: Pretender, make: Make
) -> None:
    async def test() -> None:
        world = make(plan(fault(latency(), windows=((0, 100), (200, 300)))))
        timeline = await world.started()
        await world.clock.to(0, world.has(2))
        world.journal.close()
        world.journal.__init__(Path("/dev/full"))  # type: ignore[misc]
        await world.clock.to(200, lambda: world.toxics() == [] and len(world.rig) >= 4)
        assert {rig.check for rig in world.rig} == {"files"}
        assert world.toxics() == []
        await world.clock.to(300, timeline.done)

    play(test())


def test_proxies_are_made_as_planned_and_deleted(server: Pretender, make: Make) -> None:
    async def test() -> None:
        world = make(plan())
        await world.proxies.create()
        azure = world.plan.upstream("azure")
        assert world.proxy("azure")["listen"] == f"127.0.0.1:{azure.listener.port}"
        assert world.proxy("azure")["upstream"] == f"127.0.0.1:{azure.origin.port}"
        server.proxies["someone-elses"] = {**world.proxy("azure"), "name": "someone-elses"}
        del server.proxies[world.plan.proxy_name("gcp")]
        await world.proxies.delete()
        assert list(server.proxies) == ["someone-elses"]
        assert world.rig == []

    play(test())


def test_a_proxy_that_cannot_be_made_stops_the_run_and_one_that_cannot_be_deleted_is_told(
    server: Pretender, make: Make
) -> None:
    async def test() -> None:
        world = make(plan())
        server.mood = "liar"
        with pytest.raises(RigError, match="answered that it had"):
            await world.proxies.create()
        server.mood = "error"
        await world.proxies.delete()
        assert [rig.check for rig in world.rig] == ["rollback"] * 2

    play(test())
