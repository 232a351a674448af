"""What the tests of this room share: a plan with chosen faults, a backend that answers, ports that are free."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from harness.rundir.plan import Plan, PlannedGate
from harness.rundir.planned.fault import FaultWindow, PlannedFault, PlannedToxic, Proof
from harness.rundir.planned.load import PlannedLoad, PlannedRequest
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.upstream import Endpoint, FakeSpec, PlannedUpstream
from harness.stack.processes.ports import PortLease

RUN_ID = "20260101-120000-beef"
HELD = Proof(kind="held", least_ms=2_000.0)
FAILED = Proof(kind="failed")
ANSWER = b"x" * 40_000


_LEASE = PortLease()
atexit.register(_LEASE.release)


def free_port() -> int:
    """A port that stays ours until this process ends. One that the system picks may be some client's a moment later."""
    return _LEASE.take()


def upstream(name: str, index: int, *, listen_port: int = 0, backend_port: int = 0) -> PlannedUpstream:
    return PlannedUpstream(
        name=name,
        index=index,
        kind="fake",
        listener=Endpoint(port=listen_port or free_port()),
        origin=Endpoint(port=backend_port or free_port()),
        fake=FakeSpec(p50_ms=10, p99_ms=20, rows=1, page=0, provider="generic"),
    )


def toxic(kind: str, toxicity: float = 1.0, stream: Any = "downstream", **attributes: int) -> PlannedToxic:
    return PlannedToxic(type=kind, stream=stream, toxicity=toxicity, attributes=attributes)


def latency(ms: int = 60_000) -> PlannedToxic:
    return toxic("latency", latency=ms)


def fault(
    *toxics: PlannedToxic,
    name: str = "azure-slow",
    upstreams: tuple[str, ...] = ("azure",),
    windows: tuple[tuple[float, float], ...] = ((0, 300),),
    down: bool = False,
    proof: Proof = HELD,
    share: float = 1.0,
) -> PlannedFault:
    return PlannedFault(
        name=name,
        kind="down" if down else "latency",
        text=name,
        upstreams=upstreams,
        windows=tuple(FaultWindow(apply_ms=start, remove_ms=end) for start, end in windows),
        toxics=toxics,
        disables_proxy=down,
        held_ms=0,
        share=share,
        proof=proof,
    )


def plan(*faults: PlannedFault, upstreams: tuple[PlannedUpstream, ...] | None = None) -> Plan:
    if upstreams is None:
        upstreams = (upstream("azure", 0), upstream("gcp", 1))
    return Plan(
        run_id=RUN_ID,
        name="test",
        seed=0,
        scenario_file="test.yaml",
        scenario_sha256="0" * 64,
        upstreams=upstreams,
        service=PlannedService(kind="url", url="http://127.0.0.1:1"),
        gateway=PlannedGateway(kind="none", timeout_ms=None, target="http://127.0.0.1:1"),
        load=PlannedLoad(
            model="closed",
            users=1,
            requests=(PlannedRequest(name="r", method="GET", path="/", asks=()),),
            warmup_ms=0,
            duration_ms=1_000,
            drain_ms=0,
            client_cap_ms=1_000,
            max_in_flight=1,
            ok=((200, 399),),
            complete="none",
        ),
        guard_ms=0,
        faults=faults,
        gates=(PlannedGate(id="g1", text="errors < 1%", line=0),),
    )


@contextlib.asynccontextmanager
async def backend(port: int) -> AsyncIterator[None]:
    """Answers every request with ANSWER; keeps the connection unless asked to close it, as a fake does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            kept = True
            while kept:
                kept = b"Connection: close" not in await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def until(met: Callable[[], bool], within_s: float = 20.0) -> None:
    """Raises TimeoutError if it is not met in time."""
    end = time.monotonic() + within_s
    while not met():
        if time.monotonic() > end:
            raise TimeoutError("not met in time")
        await asyncio.sleep(0.01)
