"""Canaries to a real server: how often it is asked, and what the first one finds out before any fault."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest

from harness.errors import RigError
from harness.rundir.canaries import Canary, Freed, read_canaries
from harness.rundir.journal import Entry, Event, Journal
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedToxic
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.stack.monitor import canary
from harness.stack.monitor.canary import Canaries
from harness.upstreams.protocols import canary_size
from tests.protocols.test_contract import speaks
from tests.toxiproxy.world import FAILED, fault, free_port, plan, toxic, until

PONG = b"+PONG\r\n"


def redis_plan(broken: PlannedToxic | None = None) -> Plan:
    redis = PlannedUpstream(
        name="cache",
        index=0,
        kind="real",
        protocol="redis",
        listener=Endpoint(port=free_port()),
        origin=Endpoint(port=6379),
        canary_bytes=canary_size("redis").least,
    )
    toxics = (broken,) if broken else ()
    return plan(fault(*toxics, upstreams=("cache",), down=not broken, proof=FAILED), upstreams=(redis,))


@contextlib.contextmanager
def canaries_of(the_plan: Plan, folder: Path) -> Iterator[Canaries]:
    journal = Journal(folder / "faults.ndjson")
    canaries = Canaries(the_plan, folder / "canary.ndjson", journal, lambda _: None, folder / "toxiproxy.log")
    try:
        yield canaries
    finally:
        canaries.close()
        journal.close()


@contextlib.asynccontextmanager
async def answered(the_plan: Plan, *answers: bytes) -> AsyncIterator[None]:
    """A server in place of the listener."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await speaks("redis", *answers)(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", the_plan.upstreams[0].listener.port):
        yield


def first(the_plan: Plan, folder: Path, *answers: bytes) -> None:
    async def run() -> None:
        with canaries_of(the_plan, folder) as canaries:
            async with asyncio.timeout(60), answered(the_plan, *answers):
                await canaries.first()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["bandwidth", "limit_data", "slicer"])
def test_an_answer_that_is_too_short_for_a_proof_is_found_before_the_fault(tmp_path: Path, kind: str) -> None:
    said = r"cache answered a canary with 7 bytes, and `azure-slow` is proven by an answer of at least 4096 bytes"
    with pytest.raises(RigError, match=said) as caught:
        first(redis_plan(toxic(kind)), tmp_path, PONG)
    assert "password" in caught.value.fix


@pytest.mark.parametrize("broken", [toxic("latency"), toxic("bandwidth", stream="upstream"), None])
def test_a_fault_that_does_not_depend_on_the_answers_size_needs_no_long_one(
    tmp_path: Path, broken: PlannedToxic | None
) -> None:
    first(redis_plan(broken), tmp_path, PONG)


def test_a_server_that_is_not_ready_is_named_with_its_protocol_and_address(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="LOADING: it is loading its data") as caught:
        first(redis_plan(), tmp_path, b"-LOADING Redis is loading the dataset in memory\r\n")
    assert "see that Redis is spoken and ready at 127.0.0.1:6379" in caught.value.fix


def test_a_server_that_waits_for_another_protocol_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "IDLE_DEADLINE_MS", 200.0)
    silent = redis_plan()
    (cache,) = silent.upstreams
    silent = silent.model_copy(update={"upstreams": (cache.model_copy(update={"origin": cache.listener}),)})

    talks: list[asyncio.Task[None] | None] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async def run() -> None:
        with canaries_of(silent, tmp_path) as canaries:
            async with asyncio.timeout(60), await asyncio.start_server(say_nothing, "127.0.0.1", cache.listener.port):
                try:
                    await canaries.first()
                finally:
                    await asyncio.wait([talk for talk in talks if talk])
                    await asyncio.sleep(0.05)  # the transports close in the next turns of the loop

    said = rf"upstream `cache`: what listens at {cache.listener.address} takes connections, and did not answer in Redis"
    with pytest.raises(RigError, match=said) as caught:
        asyncio.run(run())
    assert "see that it is Redis" in caught.value.fix


@pytest.mark.stack  # it lasts as long as its stages, and would not at low priority
def test_two_canaries_at_the_start_of_a_fault_one_at_its_end_and_hardly_more(tmp_path: Path) -> None:
    """The fault is told by the journal alone, so each canary is well."""
    the_plan = redis_plan()
    told: dict[str, int] = {}

    def entry(event: Event) -> Entry:
        told[event] = time.monotonic_ns()
        return Entry(fault="azure-slow", window=0, upstream="cache", event=event, t_ns=told[event])

    def sent_by_now() -> list[int]:
        lines = read_canaries(tmp_path / "canary.ndjson")
        return [line.sent_ns for line in lines if isinstance(line, Canary)]

    async def run() -> bool:
        with canaries_of(the_plan, tmp_path) as canaries:
            async with asyncio.timeout(60), answered(the_plan, PONG):
                await canaries.first()
                running = asyncio.create_task(canaries.run())
                stages: tuple[tuple[Literal["requested", "applied", "removing", "removed"], int], ...] = (
                    ("requested", 2),
                    ("applied", 2),
                    ("removing", 4),
                    ("removed", 4),
                )
                for event, before in stages:
                    await until(lambda wanted=before: len(sent_by_now()) >= wanted)  # type: ignore[misc]
                    await asyncio.sleep(0.4 if event == "removing" else 0.02)  # one in two seconds would follow
                    canaries.note(entry(event))
                is_free = await canaries.settle(timeout_s=20.0)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
                return is_free

    assert asyncio.run(run())
    lines = list(read_canaries(tmp_path / "canary.ndjson"))
    sent = sent_by_now()
    assert len([at for at in sent if at < told["requested"]]) == 2  # the first one, and the first of the beat
    assert len([at for at in sent if told["applied"] <= at < told["removing"]]) == 2
    assert len([at for at in sent if at >= told["removed"]]) == 1
    assert len([line for line in lines if isinstance(line, Freed)]) == 1
