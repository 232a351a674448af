"""The service's server: a signal ends it at once, and requests under way get their time."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
import uvicorn

from aggregator import server as module
from aggregator.server import Server


async def _app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(f"nobody calls it: {scope}, {receive}, {send}")


def _server(timeout_s: float | None = None) -> Server:
    seconds: Any = timeout_s  # uvicorn says int, and hands it on as it is
    config = uvicorn.Config(_app, lifespan="off", log_config=None, timeout_graceful_shutdown=seconds)
    config.load()
    return Server(config)


def test_a_signal_ends_the_loop_that_would_wait_for_its_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK_S", 3600.0)

    async def run() -> None:
        server = _server()
        loop = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0)
        assert not loop.done()
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(loop, 10)

    asyncio.run(run())


def test_each_tick_is_one_at_which_uvicorn_renews_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK_S", 0.001)
    ticks: list[int] = []

    async def on_tick(counter: int) -> bool:
        ticks.append(counter)
        return len(ticks) == 3

    async def run() -> None:
        server = _server()
        monkeypatch.setattr(server, "on_tick", on_tick)
        await server.main_loop()

    asyncio.run(run())
    assert ticks == [0, 10, 20]


def test_requests_under_way_may_end_and_late_ones_are_cancelled() -> None:
    async def run() -> tuple[bool, bool]:
        server = _server(0.2)
        server.servers = []
        quick, hung = asyncio.create_task(asyncio.sleep(0.01)), asyncio.create_task(asyncio.sleep(3600))
        server.server_state.tasks |= {quick, hung}
        await server.shutdown()
        await asyncio.wait([hung], timeout=10)
        return quick.cancelled(), hung.cancelled()

    assert asyncio.run(run()) == (False, True)
