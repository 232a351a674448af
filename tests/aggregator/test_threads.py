"""The policy `threads`: how it leaks, what its queue does, and that the process can be stopped all the same."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aggregator.backends.blocking_backend import BlockingBackend, make_blocking_client
from aggregator.backends.pages import BackendError
from aggregator.policies.deadline import DeadlineExceeded, within
from aggregator.policies.threads import in_a_thread
from tests.aggregator.sockets import RawBackend, aggregator, answer, hang, served, user

PATIENCE_S = 20.0


def test_a_deadline_ends_the_waiting_and_not_the_thread() -> None:
    began, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def hung() -> None:
        began.set()
        assert let_go.wait(PATIENCE_S)
        ended.set()

    async def scenario(pool: ThreadPoolExecutor) -> None:
        with pytest.raises(DeadlineExceeded):
            await within(0.5, in_a_thread(pool, hung))()

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(scenario(pool))
        assert began.is_set()
        assert not ended.is_set()
        let_go.set()
    assert ended.is_set()


def test_the_abandoned_starve_the_healthy_and_who_gave_up_in_the_queue_never_runs() -> None:
    let_go = threading.Event()
    ran: list[str] = []

    async def scenario(pool: ThreadPoolExecutor) -> None:
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                await within(0.3, in_a_thread(pool, let_go.wait))()
        with pytest.raises(DeadlineExceeded):  # it would answer at once, and no thread is left to ask it
            await within(0.05, in_a_thread(pool, ran.append))("early")
        let_go.set()
        await within(PATIENCE_S, in_a_thread(pool, ran.append))("late")

    with ThreadPoolExecutor(2) as pool:
        asyncio.run(scenario(pool))
    assert ran == ["late"]


def test_a_call_gives_its_result_and_raises_what_it_raises() -> None:
    def divide(left: int, *, by: int) -> float:
        return left / by

    async def scenario(pool: ThreadPoolExecutor) -> None:
        assert await in_a_thread(pool, divide)(6, by=4) == 1.5
        with pytest.raises(ZeroDivisionError):
            await in_a_thread(pool, divide)(6, by=0)

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(scenario(pool))


async def cut_short(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"offers": [')
    await writer.drain()
    writer.close()


async def redirect(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nlocation: /offers\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


async def two_pages(writer: asyncio.StreamWriter) -> None:
    """The second page is the one without a `next_cursor`; which it is, the connection's first call tells."""
    first = not getattr(writer, "asked", False)
    writer.asked = True  # type: ignore[attr-defined]
    body = b'{"offers": [{"price": 1}], "next_cursor": "a b&c"}' if first else b'{"offers": [{"price": 2}]}'
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


def ask(backend: RawBackend) -> list[float]:
    with make_blocking_client(1) as client:
        url = f"http://127.0.0.1:{backend.port}"
        return [offer["price"] for offer in BlockingBackend("azure", url, client).offers({"x-request-id": "a"})]


@pytest.mark.stack
def test_the_blocking_client_follows_the_pages() -> None:
    async def scenario() -> list[float]:
        async with served(two_pages) as azure:
            return await asyncio.to_thread(ask, azure)

    assert asyncio.run(scenario()) == [1, 2]


@pytest.mark.stack
@pytest.mark.parametrize(("behave", "reason"), [(cut_short, "connection"), (redirect, "http_302")])
def test_the_blocking_client_tells_what_the_other_would(behave: object, reason: str) -> None:
    async def scenario() -> None:
        async with served(behave) as azure:  # type: ignore[arg-type]
            await asyncio.to_thread(ask, azure)

    with pytest.raises(BackendError) as caught:
        asyncio.run(scenario())
    assert caught.value.reason == reason


@pytest.mark.stack
def test_nobody_listening_is_a_connection_error() -> None:
    with pytest.raises(BackendError) as caught:
        ask(RawBackend(answer, port=9))
    assert caught.value.reason == "connection"


@pytest.mark.stack
@pytest.mark.alone
def test_the_rung_answers_in_time_keeps_every_thread_and_still_can_be_stopped() -> None:
    """What `timeout` frees (test_process.py), it holds: as many connections and threads as were given up on."""

    async def scenario() -> None:
        async with (
            served(hang) as azure,
            served(answer) as gcp,
            aggregator("threads", deadline_s=1.5, azure=azure, gcp=gcp) as sut,
            user() as client,
        ):
            for turn in (1, 2):
                replies = await asyncio.gather(*(client.get(f"{sut.url}/v1/offers") for _ in range(30)))
                for reply in replies:
                    document = reply.json()
                    assert document["missing"] == [{"backend": "azure", "reason": "timeout"}]
                    assert [row["provider"] for row in document["offers"]] == ["gcp"]
                assert azure.open == 30 * turn
            began_s = time.monotonic()
            sut.process.send_signal(signal.SIGTERM)
            assert await sut.process.wait() == 0
            assert time.monotonic() - began_s < PATIENCE_S / 2
            assert b"Traceback" not in await sut.log.read()

    asyncio.run(scenario())


@pytest.mark.stack
@pytest.mark.alone
def test_plain_httpx_lets_a_hung_backend_take_every_connection() -> None:
    """Mechanism 5: a hundred calls to azure are all that the pool holds, and healthy gcp is the one that is missing."""

    async def scenario() -> None:
        async with (
            served(hang) as azure,
            served(answer) as gcp,
            aggregator("pushdown", "--without", "deadline", "--client", "httpx", azure=azure, gcp=gcp) as sut,
            user() as client,
        ):
            url = f"{sut.url}/v1/offers"
            hanging = [asyncio.create_task(client.get(f"{url}?backend=azure&max_price={n}")) for n in range(100)]
            await azure.until_open(100)
            reply = await client.get(f"{url}?backend=gcp")
            assert reply.json()["missing"] == [{"backend": "gcp", "reason": "pool_timeout"}]
            assert gcp.most_open == 0
            for task in hanging:
                task.cancel()
            await asyncio.wait(hanging)

    asyncio.run(scenario())
