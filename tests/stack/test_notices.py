"""What is read of a service's log and alert while it runs: only what is new, a bounded part a look, and legibly."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.legible import is_legible
from harness.notice_record import FILE, Notice, Recorded, Unheeded, Unread, read_notices
from harness.plan import PlannedService
from harness.stack.notices import (
    BEHIND_MOST_BYTES,
    LOOK_BYTES,
    TEXT_MOST,
    AlertPoll,
    LogTail,
    NoticeBook,
    poll_forever,
    tail_forever,
)
from tests.hostile.texts import HOSTILE
from tests.rundir import make_plan

PLAN = make_plan(upstreams=("azure", "gcp"))
MS = 1_000_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[NoticeBook]:
    made = NoticeBook(tmp_path, {"s3cr3t-9f8e7d"})
    yield made
    made.close()


def lines(folder: Path) -> list[Recorded]:
    return list(read_notices(folder / FILE))


def named(folder: Path, book: NoticeBook) -> list[str]:
    """Each upstream as often as it was seen."""
    book.flush()
    return [line.upstream for line in lines(folder) if isinstance(line, Notice) for _ in range(line.lines)]


def append(log: Path, text: str | bytes) -> None:
    with log.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


# ---------------------------------------------------------------- the book


def test_sightings_close_together_are_one(book: NoticeBook, tmp_path: Path) -> None:
    for at_ms in (0, 10, 20, 240):
        book.raised("azure", "log", f"ERROR azure {at_ms}", at_ms * MS)
        book.flush(at_ms * MS)
    book.raised("gcp", "log", "ERROR gcp", 30 * MS)
    book.raised("azure", "alert", "up", 30 * MS)
    book.flush(250 * MS)
    told = [(n.upstream, n.source, n.t_ns // MS, n.lines) for n in lines(tmp_path) if isinstance(n, Notice)]
    assert told == [
        ("azure", "log", 0, 1),
        ("gcp", "log", 30, 1),
        ("azure", "alert", 30, 1),
        ("azure", "log", 240, 3),
    ], "the first at once, and of those that follow the last one's time"


def test_an_upstream_that_is_named_all_the_time_takes_four_lines_a_second(book: NoticeBook, tmp_path: Path) -> None:
    for at_ms in range(0, 10_000, 5):
        book.raised("azure", "log", "ERROR azure", at_ms * MS)
        book.flush(at_ms * MS)
    book.flush()
    found = [line for line in lines(tmp_path) if isinstance(line, Notice)]
    assert len(found) <= 42
    assert sum(line.lines for line in found) == 2_000


def test_lines_that_name_nobody_are_counted_and_take_a_line_in_two_seconds(book: NoticeBook, tmp_path: Path) -> None:
    for at_ms in range(0, 10_000, 5):
        book.unheeded("azure", f"INFO azure {at_ms}", at_ms * MS)
        book.flush(at_ms * MS)
    book.unheeded("gcp", "gcp s3cr3t-9f8e7d", 0)
    book.flush()
    found = [line for line in lines(tmp_path) if isinstance(line, Unheeded) and line.upstream == "azure"]
    assert (found[0].lines, found[0].text, found[1].text) == (1, "INFO azure 0", "INFO azure 5")
    assert 5 <= len(found) <= 7
    assert sum(line.lines for line in found) == 2_000
    assert "s3cr" not in (tmp_path / FILE).read_text(encoding="utf-8")


def test_a_line_of_the_log_that_names_nobody(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO azure failed\nazure failed\nINFO nobody\n")
    tail.look(book)
    book.flush()
    assert named(tmp_path, book) == []
    assert [(line.upstream, line.lines) for line in lines(tmp_path) if isinstance(line, Unheeded)] == [
        ("azure", 1),
        ("azure", 1),
    ]
    tail.close()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_others_wrote_is_legible_and_short(text: str, book: NoticeBook, tmp_path: Path) -> None:
    book.raised("azure", "log", text * 50, 0)
    book.unread("alert", text * 50, 0)
    for line in lines(tmp_path):
        assert is_legible(line.text)
        assert "\n" not in line.text
        assert len(line.text) <= TEXT_MOST


def test_no_secret_is_written(book: NoticeBook, tmp_path: Path) -> None:
    book.raised("azure", "log", "ERROR azure: token s3cr3t-9f8e7d", 0)
    book.raised("gcp", "log", "x" * 245 + " s3cr3t-9f8e7d", 0)
    book.unread("alert", "cannot log in with s3cr3t-9f8e7d", 0)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert "s3cr" not in text
    assert text.count("***") == 3


# ---------------------------------------------------------------- the log


def test_only_what_is_appended_counts(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    append(log, "ERROR gcp before we came\n")
    tail = LogTail(log, PLAN.upstreams)
    tail.look(book)
    append(log, "ERROR azure one\nINFO gcp\nERROR az")
    tail.look(book)
    assert named(tmp_path, book) == ["azure"]
    append(log, "ure two\n")
    tail.look(book)
    tail.look(book)
    assert named(tmp_path, book) == ["azure", "azure"], "a half line is kept for its other half"
    tail.close()


def test_a_log_that_comes_later_and_one_that_is_emptied(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    tail.look(book)
    append(log, "ERROR azure, and then much more that is of no interest to anybody\n")
    tail.look(book)
    os.truncate(log, 0)
    append(log, "ERROR gcp\n")
    tail.look(book)
    assert named(tmp_path, book) == ["azure", "gcp"]
    tail.close()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_not_read(kind: str, book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    if kind == "link":
        (tmp_path / "other").write_text("ERROR azure\n", encoding="utf-8")
        log.symlink_to(tmp_path / "other")
    else:
        os.mkfifo(log)
    tail = LogTail(log, PLAN.upstreams)
    tail.look(book)
    assert lines(tmp_path) == []
    tail.close()


def test_a_look_reads_a_bounded_part(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO nothing to see here\n" * (2 * LOOK_BYTES // 25) + "ERROR azure\n")
    tail.look(book)
    assert named(tmp_path, book) == []
    tail.look(book)
    tail.look(book)
    assert named(tmp_path, book) == ["azure"]
    tail.close()


def test_a_flood_is_skipped_but_for_its_end_and_counted(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    flood = 3 * BEHIND_MOST_BYTES
    append(log, b"." * flood + b" ERROR gcp: the end of a line\nERROR azure\n")
    tail.look(book)
    assert named(tmp_path, book) == ["azure"], "the line we came into in its middle is not read"
    (skipped,) = (line for line in lines(tmp_path) if isinstance(line, Unread))
    assert flood - LOOK_BYTES < skipped.skipped_bytes < flood
    tail.close()


def test_a_line_without_end_is_kept_in_part(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, b"ERROR azure ")
    for _ in range(20):
        append(log, b"x" * LOOK_BYTES)
        tail.look(book)
    append(log, b"\nERROR gcp \xff\xfe\n")
    tail.look(book)
    assert named(tmp_path, book) == ["azure", "gcp"]
    tail.close()


def test_the_last_words_are_read_when_it_ends(book: NoticeBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"

    async def scene() -> None:
        task = asyncio.create_task(tail_forever(log, PLAN.upstreams, book))
        await asyncio.sleep(0)
        append(log, "ERROR azure\nERROR azure\n")
        task.cancel()
        await asyncio.wait([task], timeout=5)

    asyncio.run(scene())
    assert [line.lines for line in lines(tmp_path) if isinstance(line, Notice)] == [1, 1]


# ---------------------------------------------------------------- the alert


class Heard(NoticeBook):
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


def test_an_alert_is_told_while_raised_and_once_when_normal(book: NoticeBook, tmp_path: Path) -> None:
    poll = alert_poll()
    for number, value in enumerate(("0", "0", "1", "1", "0", "0", None, "1", None, None)):
        poll.note(f'degraded{{backend="azure"}} {value}\n' if value else "", book, number * 500 * MS)
    told = [(n.t_ns // MS, n.state) for n in lines(tmp_path) if isinstance(n, Notice)]
    assert told == [
        (0, "normal"),
        (1_000, "raised"),
        (1_500, "raised"),
        (2_000, "normal"),
        (3_500, "raised"),
        (4_000, "normal"),
    ], "a sample that is gone is an alert that is over"


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
            async with asyncio.timeout(5):
                await book.something.wait()
            task.cancel()
            await asyncio.wait([task], timeout=5)
            book.close()

    asyncio.run(scene())
    first = lines(tmp_path)[0]
    assert not isinstance(first, Unheeded)
    assert (first.upstream if isinstance(first, Notice) else first.text) == found
    assert heads[0].startswith(b"GET /metrics HTTP/1.1\r\n")
    assert b"\r\nX-Tenant: t\r\n" in heads[0]
    assert b"X-Tailgate-Seq" not in heads[0], "it is no load"


def test_a_service_that_is_not_there_is_no_error_of_ours(tmp_path: Path) -> None:
    async def scene() -> None:
        book = Heard(tmp_path)
        task = asyncio.create_task(poll_forever(alert_poll(), book))
        async with asyncio.timeout(5):
            await book.something.wait()
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        book.close()

    asyncio.run(scene())
    (line,) = lines(tmp_path)
    assert isinstance(line, Unread)
    assert line.source == "alert"
