"""The aggregator as a process on real sockets: connections let go, a pool that never fills, a quick end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.aggregator.sockets import PATIENCE_S, aggregator, answer, drip, hang, served, user

pytestmark = [pytest.mark.stack, pytest.mark.alone]


@pytest.mark.parametrize("behave", [hang, drip])
def test_a_call_given_up_lets_go_of_its_connection(behave: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    """150 at once: more than any default pool holds (100), and every healthy call still gets through."""

    async def scenario() -> None:
        async with (
            served(behave) as azure,
            served(answer) as gcp,
            # 150 calls and as many drips share two processes: a deadline that only the broken backend misses
            aggregator("timeout", deadline_s=5, azure=azure, gcp=gcp) as sut,
            user() as client,
        ):
            replies = await asyncio.gather(*(client.get(f"{sut.url}/v1/offers") for _ in range(150)))
            for reply in replies:
                document = reply.json()
                assert document["missing"] == [{"backend": "azure", "reason": "timeout"}]
                assert [row["provider"] for row in document["offers"]] == ["gcp"]
            assert azure.most_open == 150
            await azure.until_open(0)
            line = json.loads(await sut.log.readline())
            assert (line["level"], line["backend"], line["reason"]) == ("ERROR", "azure", "timeout")

    asyncio.run(scenario())


def test_without_a_deadline_a_gateway_that_gives_up_frees_nothing() -> None:
    """The story's second half: the client is gone, its call is still held."""

    async def scenario() -> None:
        async with (
            served(hang) as azure,
            served(answer) as gcp,
            aggregator("parallel", azure=azure, gcp=gcp) as sut,
            user() as client,
        ):
            call = asyncio.create_task(client.get(f"{sut.url}/v1/offers"))
            await azure.until_open(1)
            call.cancel()  # which closes the connection
            await asyncio.wait([call])
            await client.get(f"{sut.url}/healthz")  # it has seen the hang-up by now, and is well
            metrics = (await client.get(f"{sut.url}/metrics")).text
            assert 'aggregator_backend_in_flight{backend="azure"} 1.0' in metrics
            assert azure.open == 1

    asyncio.run(scenario())


def test_a_read_timeout_saves_the_rung_without_a_deadline_from_a_hang_and_not_from_a_drip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGGREGATOR_READ_TIMEOUT_MS", "600")

    async def scenario() -> None:
        async with (
            served(hang) as azure,
            served(drip) as aws,
            served(answer) as gcp,
            aggregator("parallel", azure=azure, gcp=gcp) as hung,
            aggregator("parallel", aws=aws, gcp=gcp) as dripped,
            user() as client,
        ):
            document = (await client.get(f"{hung.url}/v1/offers")).json()
            assert document["missing"] == [{"backend": "azure", "reason": "read_timeout"}]
            assert [row["provider"] for row in document["offers"]] == ["gcp"]
            with pytest.raises(httpx.TransportError):
                await client.get(f"{dripped.url}/v1/offers", timeout=1.8)

    asyncio.run(scenario())


def test_told_to_stop_it_answers_what_hangs_and_leaves_soon() -> None:
    async def scenario() -> None:
        async with (
            served(hang) as azure,
            aggregator("sequential", azure=azure) as sut,
            user() as client,
        ):
            waiting = asyncio.create_task(client.get(f"{sut.url}/v1/offers"))
            await azure.until_open(1)
            sut.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S / 2):
                assert await sut.process.wait() == 0
            reply = await waiting
            assert (reply.status_code, reply.json()["title"]) == (503, "The service is stopping")
            assert b"Traceback" not in await sut.log.read()

    asyncio.run(scenario())


def test_a_port_in_use_is_its_last_word() -> None:
    async def scenario() -> None:
        async with served(answer) as gcp:
            command = (sys.executable, "-P", "-m", "aggregator", "--rung", "timeout", "--port", str(gcp.port))
            env = os.environ | {"AGGREGATOR_BACKENDS": f"gcp=http://127.0.0.1:{gcp.port}"}
            process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
            async with asyncio.timeout(PATIENCE_S):
                _, log = await process.communicate()
            assert process.returncode == 2
            assert log.decode() == f"error: cannot listen on 127.0.0.1:{gcp.port}: Address already in use\n"

    asyncio.run(scenario())
