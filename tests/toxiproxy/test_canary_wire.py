"""Canaries and witness through the real Toxiproxy: every fault on the wire is seen while it stands, and only then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.http1 import HttpExchange
from harness.rundir.journal import Journal
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault, PlannedToxic, Proof
from harness.stack.monitor.canary import OPEN_MAX, Canaries
from harness.toxiproxy.client import ToxiproxyClient
from harness.upstreams.probes.fake import fault_in
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.wire import Seen, play
from tests.toxiproxy.world import ANSWER, FAILED, backend, fault, plan, toxic, upstream

LONG = Proof(kind="held", least_ms=1_000.0)
WINDOW_MS = (800.0, 7_300.0)

# each answer has 40 kB
KINDS: dict[str, tuple[tuple[PlannedToxic, ...], Proof]] = {
    "latency": ((toxic("latency", latency=60_000),), LONG),
    "latency-upstream": ((toxic("latency", stream="upstream", latency=60_000),), LONG),
    "latency-small": ((toxic("latency", latency=300),), Proof(kind="held", least_ms=300.0)),
    "bandwidth": ((toxic("bandwidth", rate=10),), LONG),
    "hang": ((toxic("timeout", timeout=0),), LONG),
    "reset": ((toxic("reset_peer", timeout=0),), FAILED),
    "slow-close": ((toxic("slow_close", delay=60_000),), LONG),
    "slicer": ((toxic("slicer", average_size=100, delay=10_000),), LONG),
    "limit-data": ((toxic("limit_data", bytes=1_000),), FAILED),
    "share": ((toxic("latency", toxicity=0.9, latency=60_000),), LONG),
    "down": ((), FAILED),
}


def wire_plan(kinds: dict[str, tuple[tuple[PlannedToxic, ...], Proof]]) -> Plan:
    def broken(name: str) -> PlannedFault:
        toxics, proof = kinds[name]
        share = toxics[0].toxicity if toxics else 1.0
        return fault(
            *toxics,
            name=name,
            upstreams=(name,),
            windows=(WINDOW_MS,),
            down=not toxics,
            proof=proof,
            share=share,
        )

    upstreams = tuple(upstream(name, number) for number, name in enumerate(kinds))
    return plan(*map(broken, kinds), upstreams=upstreams)


@contextlib.asynccontextmanager
async def backends(the_plan: Plan, *, in_place_of_listeners: bool = False) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for each in the_plan.upstreams:
            await stack.enter_async_context(
                backend(each.listener.port if in_place_of_listeners else each.origin.port),
            )
        yield


@pytest.fixture(scope="module")
def seen(toxiproxy: ToxiproxyClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Every kind at once, each on an upstream of its own."""

    async def run() -> Seen:
        the_plan = wire_plan(KINDS)
        async with asyncio.timeout(60), backends(the_plan):
            return await play(toxiproxy, the_plan, tmp_path_factory.mktemp("wire"))

    yield asyncio.run(run())
    assert toxiproxy.proxies() == {}


@pytest.mark.stack
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_observed_while_it_stands_and_free_after_it(seen: Seen, kind: str) -> None:
    (applied,), (observed,), (removed,) = (seen.at(kind, event) for event in ("applied", "observed", "removed"))
    assert applied.t_ns < observed.t_ns < removed.t_ns
    (freed,) = [line for line in seen.freed if line.upstream == kind]
    assert removed.t_ns < freed.t_ns
    assert seen.at(kind, "verified")


@pytest.mark.stack
@pytest.mark.parametrize("kind", KINDS)
def test_before_the_fault_every_canary_is_well(seen: Seen, kind: str) -> None:
    (requested,) = seen.at(kind, "requested")
    before = [c for c in seen.canaries if c.upstream == kind and c.done_ns < requested.t_ns]
    assert before
    assert {c.outcome for c in before} == {"ok"}
    assert all(c.bytes > len(ANSWER) for c in before)


@pytest.mark.stack
@pytest.mark.parametrize("kind", KINDS)
def test_canaries_come_twice_a_second_and_few_are_open(seen: Seen, kind: str) -> None:
    mine = sorted((c for c in seen.canaries if c.upstream == kind), key=lambda c: c.sent_ns)
    seconds = (mine[-1].done_ns - mine[0].sent_ns) / 1e9
    assert 0.8 * seconds <= len(mine) <= 2.5 * seconds + 5
    for moment in (c.sent_ns for c in mine):
        assert sum(c.sent_ns <= moment < c.done_ns for c in mine) <= OPEN_MAX


@pytest.mark.stack
def test_a_held_canary_is_closed_soon_after_it_has_shown_the_fault(seen: Seen) -> None:
    held = [c for c in seen.canaries if c.upstream == "latency" and c.outcome == "held"]
    assert held
    elapsed_ms = sorted(c.elapsed_ms for c in held)
    assert elapsed_ms[0] < 1_000 + 250 + 500
    assert elapsed_ms[-1] < 4_000, "it does not wait for the end of the fault"


@pytest.mark.stack
def test_nothing_was_in_the_way_and_no_connection_but_canaries(seen: Seen) -> None:
    assert seen.trouble == []
    assert seen.free_again
    assert {line.count for line in seen.connections} == {0}


@pytest.mark.stack
def test_a_toxiproxy_that_keeps_its_word_on_paper_only_is_never_observed(tmp_path: Path) -> None:
    async def run(server: Pretender) -> Seen:
        the_plan = wire_plan({"latency": KINDS["latency"], "reset": KINDS["reset"], "share": KINDS["share"]})
        async with asyncio.timeout(60), backends(the_plan, in_place_of_listeners=True):
            return await play(ToxiproxyClient(server.url), the_plan, tmp_path)

    with Pretender() as server:
        seen = asyncio.run(run(server))
    assert {entry.event for entry in seen.journal} == {"requested", "applied", "removing", "removed", "verified"}
    assert {c.outcome for c in seen.canaries} == {"ok"}


@pytest.mark.parametrize("broken", ["nobody listens", "no http", "error status"])
def test_a_chain_that_does_not_work_is_found_before_any_fault(tmp_path: Path, broken: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0\r\n\r\n" if broken == "no http" else b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def run() -> None:
        the_plan = wire_plan({"latency": KINDS["latency"]})
        journal = Journal(tmp_path / "faults.ndjson")
        canaries = Canaries(the_plan, tmp_path / "canary.ndjson", journal, lambda _: None, tmp_path / "toxiproxy.log")
        try:
            async with contextlib.AsyncExitStack() as stack:
                if broken != "nobody listens":
                    port = the_plan.upstreams[0].listener.port
                    await stack.enter_async_context(await asyncio.start_server(answer, "127.0.0.1", port))
                await canaries.first()
        finally:
            canaries.close()
            journal.close()

    said = {"nobody listens": "Connection refused", "no http": "not an HTTP answer", "error status": "HTTP 503"}
    with pytest.raises(RigError, match=f"listener for latency.*{said[broken]}"):
        asyncio.run(run())


def test_a_plan_without_faults_sends_no_canary(tmp_path: Path) -> None:
    async def run() -> None:
        journal = Journal(tmp_path / "faults.ndjson")
        canaries = Canaries(
            plan(upstreams=()), tmp_path / "canary.ndjson", journal, lambda _: None, tmp_path / "toxiproxy.log"
        )
        await canaries.first()
        await canaries.run()
        assert await canaries.settle()
        canaries.close()
        journal.close()

    asyncio.run(run())
    assert (tmp_path / "canary.ndjson").read_bytes() == b""


def test_a_file_that_takes_no_more_ends_the_canaries_with_an_error(tmp_path: Path) -> None:
    async def run() -> None:
        the_plan = wire_plan({"latency": KINDS["latency"]})
        journal = Journal(tmp_path / "faults.ndjson")
        canaries = Canaries(the_plan, Path("/dev/full"), journal, lambda _: None, tmp_path / "toxiproxy.log")
        try:
            async with asyncio.timeout(30), backends(the_plan, in_place_of_listeners=True):
                await canaries.run()
        finally:
            canaries.close()
            journal.close()

    with pytest.raises(RigError, match=r"canary\.ndjson cannot be written: .*No space"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\nas long as it lasts", ""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n", "cut short after 6 bytes"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", "cut short after 2 of 3 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "cut short in the head"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP 404"),
        (b"", "closed without an answer"),
        (b"hello\r\n\r\n", "not an HTTP answer"),
    ],
)
def test_an_answer_is_whole_or_says_what_is_missing(answer: bytes, wrong: str) -> None:
    exchange = HttpExchange("GET", "/offers", {"Host": "localhost"})
    exchange.feed(answer)
    assert fault_in(exchange) == wrong
