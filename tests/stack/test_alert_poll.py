"""The service's alert, asked once a second: what is raised, what is normal again, and what could not be read."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from harness.rundir.detections import Detection, DetectionGap, Mention, Recorded
from harness.rundir.planned.service import PlannedService
from harness.stack.detection.alert_poll import AlertPoll, _ask, poll_forever
from harness.stack.detection.detection_book import DetectionBook
from harness.stack.processes import probe
from tests.stack.detection_scene import MS, PLAN, lines


class Heard(DetectionBook):
    """Tells when something was written."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, ())
        self.something = asyncio.Event()

    def _append(self, line: Recorded) -> None:
        super()._append(line)
        self.something.set()


def alert_poll(url: str = "http://127.0.0.1:1") -> AlertPoll:
    service = PlannedService(kind="command", url=url, alerts_path="/metrics", alerts_metric="degraded")
    poll = AlertPoll.of(PLAN.model_copy(update={"service": service}), url, {"X-Tenant": "t"})
    assert poll is not None
    return poll


def test_an_alert_is_told_while_raised_and_once_when_normal(book: DetectionBook, tmp_path: Path) -> None:
    poll = alert_poll()
    for number, value in enumerate(("0", "0", "1", "1", "0", "0", None, "1", None, None)):
        poll.note(f'degraded{{backend="azure"}} {value}\n' if value else "", book, number * 500 * MS)
    told = [(n.t_ns // MS, n.state) for n in lines(tmp_path) if isinstance(n, Detection)]
    assert told == [
        (0, "normal"),
        (1_000, "raised"),
        (1_500, "raised"),
        (2_000, "normal"),
        (3_500, "raised"),
        (4_000, "normal"),
    ], "a sample that is gone is an alert that is over"


def test_a_sample_that_one_answer_lacks_is_not_gone(book: DetectionBook, tmp_path: Path) -> None:
    poll = alert_poll()
    for number, value in enumerate(("1", None, "1", None, None, None)):
        poll.note(f'degraded{{backend="azure"}} {value}\n' if value else "up 1\n", book, number * 500 * MS)
    told = [(n.t_ns // MS, n.state) for n in lines(tmp_path) if isinstance(n, Detection)]
    assert told == [(0, "raised"), (1_000, "raised"), (1_500, "normal")]


WHOLE = b'degraded{b="azure"} 1\n'
CUT_SHORT = {
    "by length": b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nup 1\n",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nup 1\n\r\n9\r\nde",
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nup 1\n\r\nzz\r\n",
    "too long": b"HTTP/1.1 200 OK\r\n\r\n" + b"up 1\n" * 220_000,
    "in its head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.mark.parametrize("answer", CUT_SHORT.values(), ids=CUT_SHORT.keys())
def test_what_an_answer_that_was_cut_lacks_may_be_raised(answer: bytes) -> None:
    async def scene() -> tuple[str, str]:
        async with await served(answer) as server:
            return await _ask(alert_poll(url_of(server)))

    text, failed = asyncio.run(scene())
    assert "degraded" not in text
    assert failed.startswith("the answer was cut short after ")


def test_an_answer_without_a_sample_says_nothing_of_what_was_raised(book: DetectionBook) -> None:
    poll = alert_poll()
    empty = probe.ProbeAnswer(200, b"", whole=True)
    assert poll.refused(empty, "# HELP up\n") == ""
    poll.note(WHOLE.decode(), book, 0)
    assert "holds no sample of anything" in poll.refused(empty, "# HELP up\n")
    assert poll.refused(empty, "up 1\n") == ""


def test_one_answer_that_fails_is_asked_for_again(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE if len(asked) > 1 else b"")
        await writer.drain()
        writer.close()

    async def scene() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            book = Heard(tmp_path)
            task = asyncio.create_task(poll_forever(alert_poll(url_of(server)), book))
            async with asyncio.timeout(60):
                await book.something.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            book.close()

    asyncio.run(scene())
    assert [type(line) for line in lines(tmp_path)] == [Detection]


def url_of(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def served(answer: bytes) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def test_without_an_alert_nothing_is_asked() -> None:
    assert AlertPoll.of(PLAN, "http://127.0.0.1:1", {}) is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\ndegraded{b=\"azure\"} 1\n", "azure"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\ndegraded{b=\"azure\"} 1\n", "azure"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"9\r\ndegraded{\r\nd;x=y\r\nb=\"azure\"} 1\n\r\n0\r\n\r\n", "azure"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the alert could not be read: answered 404"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>hello", "the alert could not be read: the answer is no metrics: <html>hello"),
        (b"nonsense\x1b[2J\r\n\r\n", "the alert could not be read: the answer is not HTTP"),
        (b"", "the alert could not be read: the answer is not HTTP"),
    ],
    ids=["to the end", "by length, kept open", "in chunks", "404", "a page", "no HTTP", "nothing"],
)  # fmt: skip
def test_the_alert_is_asked_of_the_service(answer: bytes, found: str, tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        if b"Content-Length" in answer:  # a server that keeps the connection whatever it was asked
            await reader.read()
        writer.close()

    async def scene() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            book = Heard(tmp_path)
            task = asyncio.create_task(poll_forever(alert_poll(url), book))
            async with asyncio.timeout(60):
                await book.something.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            book.close()

    asyncio.run(scene())
    first = lines(tmp_path)[0]
    assert not isinstance(first, Mention)
    assert (first.upstream if isinstance(first, Detection) else first.text) == found
    assert heads[0].startswith(b"GET /metrics HTTP/1.1\r\n")
    assert b"\r\nX-Tenant: t\r\n" in heads[0]
    assert b"X-Tailgate-Seq" not in heads[0], "it is no load"


def test_a_service_that_is_not_there_is_no_error_of_ours(tmp_path: Path) -> None:
    async def scene() -> None:
        book = Heard(tmp_path)
        task = asyncio.create_task(poll_forever(alert_poll(), book))
        async with asyncio.timeout(60):
            await book.something.wait()
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        book.close()

    asyncio.run(scene())
    (line,) = lines(tmp_path)
    assert isinstance(line, DetectionGap)
    assert line.source == "alert"
    assert line.since_ns is not None
    assert line.since_ns < line.t_ns
