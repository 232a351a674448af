"""What is read of a service's log and alert while it runs: only what is new, a bounded part a look, and legibly."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from harness.rundir.detections import FILE, Detection, DetectionGap, Mention, without_digits
from harness.stack.detection import log_tail
from harness.stack.detection.detection_book import TEXT_MOST, TEXTS_MOST, DetectionBook
from harness.stack.detection.log_matcher import plain
from harness.stack.detection.log_tail import BEHIND_MOST_BYTES, SLICE_BYTES, LogTail, tail_forever
from harness.text import is_sanitized
from harness.units import NS_PER_S
from tests.hostile.texts import HOSTILE
from tests.stack.detection_scene import MS, PLAN, append, lines, named


class _Clock:
    """Of the tail's: so many seconds later each time it is asked."""

    def __init__(self, step_s: float) -> None:
        self._step_s, self.now_s = step_s, 0.0

    def monotonic_ns(self) -> int:
        return round(self.monotonic() * 1e9)

    def monotonic(self) -> float:
        self.now_s += self._step_s
        return self.now_s


@pytest.fixture(autouse=True)
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read late is told so; a test that is not about that has all the time it needs."""
    monkeypatch.setattr(log_tail, "time", _Clock(0.0001))


# ---------------------------------------------------------------- the book


def test_sightings_close_together_are_one(book: DetectionBook, tmp_path: Path) -> None:
    for at_ms in (0, 10, 20, 240):
        book.raised("azure", "log", f"ERROR azure {at_ms}", at_ms * MS)
        book.flush(at_ms * MS)
    book.raised("gcp", "log", "ERROR gcp", 30 * MS)
    book.raised("azure", "alert", "up", 30 * MS)
    book.flush(250 * MS)
    told = [
        (n.upstream, n.source, n.t_ns // MS, (n.until_ns or n.t_ns) // MS, n.lines)
        for n in lines(tmp_path)
        if isinstance(n, Detection)
    ]
    assert told == [
        ("azure", "log", 0, 0, 1),
        ("gcp", "log", 30, 30, 1),
        ("azure", "alert", 30, 30, 1),
        ("azure", "log", 10, 240, 3),
    ], "the first at once, and of those that follow the first one's time and the last one's"


def test_what_says_something_else_is_not_hidden_by_what_came_before(book: DetectionBook, tmp_path: Path) -> None:
    book.raised("azure", "log", "WARN 12:00 certificate of azure", 0)
    book.raised("azure", "log", "WARN 12:01 certificate of azure", 50 * MS)
    book.raised("azure", "log", "ERROR azure timed out", 100 * MS)
    book.flush()
    told = [(n.t_ns // MS, n.text) for n in lines(tmp_path) if isinstance(n, Detection)]
    assert told == [
        (0, "WARN 12:00 certificate of azure"),
        (100, "ERROR azure timed out"),
        (50, "WARN 12:01 certificate of azure"),
    ]


def test_a_log_that_never_says_the_same_twice_is_bounded_too(book: DetectionBook, tmp_path: Path) -> None:
    for number in range(2_000):
        book.raised("azure", "log", "ERROR azure " + "abcdefghij"[number % 10] * (1 + number % 97), number * 5 * MS)
        book.flush(number * 5 * MS)
    book.flush()
    found = [line for line in lines(tmp_path) if isinstance(line, Detection)]
    assert len(found) <= 42 * (TEXTS_MOST + 1)
    assert sum(line.lines for line in found) == 2_000


def test_what_still_waits_is_written_when_the_book_is_closed(tmp_path: Path) -> None:
    book = DetectionBook(tmp_path, ())
    book.raised("azure", "alert", "up", 0)
    book.raised("azure", "alert", "up", 10 * MS)
    book.close()
    assert [line.t_ns // MS for line in lines(tmp_path)] == [0, 10]


def test_an_upstream_that_is_named_all_the_time_takes_four_lines_a_second(book: DetectionBook, tmp_path: Path) -> None:
    for at_ms in range(0, 10_000, 5):
        book.raised("azure", "log", "ERROR azure", at_ms * MS)
        book.flush(at_ms * MS)
    book.flush()
    found = [line for line in lines(tmp_path) if isinstance(line, Detection)]
    assert len(found) <= 42
    assert sum(line.lines for line in found) == 2_000


def test_lines_that_name_nobody_are_counted_and_take_a_line_in_two_seconds(book: DetectionBook, tmp_path: Path) -> None:
    for at_ms in range(0, 10_000, 5):
        book.mention("azure", f"INFO azure {at_ms}", at_ms * MS)
        book.flush(at_ms * MS)
    book.mention("gcp", "gcp s3cr3t-9f8e7d", 0)
    book.flush()
    found = [line for line in lines(tmp_path) if isinstance(line, Mention) and line.upstream == "azure"]
    assert (found[0].lines, found[0].text, found[1].text) == (1, "INFO azure 0", "INFO azure 5")
    assert 5 <= len(found) <= 7
    assert sum(line.lines for line in found) == 2_000
    assert "s3cr" not in (tmp_path / FILE).read_text(encoding="utf-8")


def test_a_line_of_the_log_that_names_nobody(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO azure failed\nazure failed\nINFO nobody\n")
    tail.look(book)
    book.flush()
    assert named(tmp_path, book) == []
    assert [(line.upstream, line.lines) for line in lines(tmp_path) if isinstance(line, Mention)] == [
        ("azure", 1),
        ("azure", 1),
    ]
    tail.finish(book)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_others_wrote_is_legible_and_short(text: str, book: DetectionBook, tmp_path: Path) -> None:
    book.raised("azure", "log", text * 50, 0)
    book.gap("alert", text * 50, 0, 0)
    for line in lines(tmp_path):
        assert is_sanitized(line.text)
        assert "\n" not in line.text
        assert len(line.text) <= TEXT_MOST


def test_no_secret_is_written(book: DetectionBook, tmp_path: Path) -> None:
    book.raised("azure", "log", "ERROR azure: token s3cr3t-9f8e7d", 0)
    book.raised("gcp", "log", "x" * 245 + " s3cr3t-9f8e7d", 0)
    book.gap("alert", "cannot log in with s3cr3t-9f8e7d", 0, 0)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert "s3cr" not in text
    assert text.count("***") == 3


def test_quotes_that_differ_by_digits_alone_are_cut_alike(book: DetectionBook, tmp_path: Path) -> None:
    for number, took in enumerate((9, 10, 12345, 7)):
        text = "word " * 60 + f"after {took} ms azure failed, try {took} of {10**number}, " + "word " * 60
        book.raised("azure", "log", text, number * MS, at=text.index("azure"))
    book.flush()
    assert [n.lines for n in lines(tmp_path) if isinstance(n, Detection)] == [1, 3]
    assert len({without_digits(n.text) for n in lines(tmp_path)}) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_quote_of_hostile_text_is_legible_and_short(text: str, book: DetectionBook, tmp_path: Path) -> None:
    text = f"{text * 50} azure {text * 50}"
    book.raised("azure", "log", text, 0, at=plain(text).index(" azure") + 1)
    (line,) = lines(tmp_path)
    assert is_sanitized(line.text)
    assert "\n" not in line.text
    assert len(line.text) <= TEXT_MOST
    assert "azure" in line.text


def test_no_secret_is_cut_in_two(book: DetectionBook, tmp_path: Path) -> None:
    for before in range(60, 140):
        text = "x" * 300 + " s3cr3t-9f8e7d" + "x" * before + " azure " + "y" * before + "s3cr3t-9f8e7d " + "z" * 300
        book.raised("azure", "log", text, before * NS_PER_S, at=text.index("azure"))
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert "azure" in text
    assert not any(part in text for part in ("s3c", "cr3t", "8e7d"))


# ---------------------------------------------------------------- the log


def test_only_what_is_appended_counts(book: DetectionBook, tmp_path: Path) -> None:
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
    tail.finish(book)


def test_a_log_that_comes_later_and_one_that_is_emptied(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    tail.look(book)
    append(log, "ERROR azure, and then much more that is of no interest to anybody\n")
    tail.look(book)
    os.truncate(log, 0)
    append(log, "ERROR gcp\n")
    tail.look(book)
    assert named(tmp_path, book) == ["azure", "gcp"]
    (lost,) = (line for line in lines(tmp_path) if isinstance(line, DetectionGap))
    assert "was emptied" in lost.text
    assert lost.since_ns is not None
    assert lost.since_ns <= lost.t_ns
    tail.finish(book)


def test_a_log_that_is_emptied_and_as_long_again_is_read_from_its_beginning(
    book: DetectionBook, tmp_path: Path
) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO 1 start\n")
    tail.look(book)
    log.write_text("INFO 2 start\nERROR azure\n" + "ERROR gcp\n" * 3, encoding="utf-8")
    tail.look(book)
    assert named(tmp_path, book) == ["azure", "gcp", "gcp", "gcp"]
    assert any(isinstance(line, DetectionGap) for line in lines(tmp_path))
    tail.finish(book)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_not_read(kind: str, book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    if kind == "link":
        (tmp_path / "other").write_text("ERROR azure\n", encoding="utf-8")
        log.symlink_to(tmp_path / "other")
    else:
        os.mkfifo(log)
    tail = LogTail(log, PLAN.upstreams)
    tail.look(book)
    assert lines(tmp_path) == []
    tail.finish(book)


def test_a_look_reads_a_bounded_part(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO nothing to see here\n" * (2 * SLICE_BYTES // 25) + "ERROR azure\n")
    tail.look(book)
    assert named(tmp_path, book) == []
    tail.look(book)
    tail.look(book)
    assert named(tmp_path, book) == ["azure"]
    tail.finish(book)


def test_a_flood_is_skipped_but_for_its_end_and_counted(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    flood = 3 * BEHIND_MOST_BYTES
    append(log, b"." * flood + b" ERROR gcp: the end of a line\nERROR azure\n")
    assert not tail.look(book), "all is read, or told as unread"
    assert named(tmp_path, book) == ["azure"], "the line we came into in its middle is not read"
    (skipped,) = (line for line in lines(tmp_path) if isinstance(line, DetectionGap))
    assert flood - SLICE_BYTES < skipped.skipped_bytes < flood
    assert skipped.since_ns is not None
    assert skipped.since_ns < skipped.t_ns
    tail.finish(book)


def test_what_was_not_read_for_half_a_second_is_skipped(
    book: DetectionBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "sut.log"
    monkeypatch.setattr(log_tail, "time", _Clock(0.15))
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO nothing to see here\n" * (10 * SLICE_BYTES // 25) + "ERROR azure\n")
    looks = 1
    while tail.look(book):
        looks += 1
    assert looks < 5
    assert named(tmp_path, book) == ["azure"]
    (skipped,) = (line for line in lines(tmp_path) if isinstance(line, DetectionGap))
    assert skipped.skipped_bytes > 5 * SLICE_BYTES
    tail.finish(book)


def test_whom_we_read_of_late_is_told_with_a_doubt(
    book: DetectionBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "sut.log"
    clock = _Clock(0.001)
    monkeypatch.setattr(log_tail, "time", clock)
    tail = LogTail(log, PLAN.upstreams)
    tail.look(book)
    clock.now_s = 2.0
    append(log, "INFO nothing\n")
    tail.look(book)
    assert lines(tmp_path) == []
    clock.now_s = 4.0
    append(log, "ERROR azure\n")
    tail.look(book)
    (late,) = (line for line in lines(tmp_path) if isinstance(line, DetectionGap))
    assert late.text == "it was read 2.0 s late"
    tail.finish(book)


def test_a_line_without_end_is_kept_in_part(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, b"ERROR azure ")
    for _ in range(20):
        append(log, b"x" * SLICE_BYTES)
        tail.look(book)
    append(log, b"\nERROR gcp \xff\xfe\n")
    tail.look(book)
    assert named(tmp_path, book) == ["azure", "gcp"]
    tail.finish(book)


def test_the_last_words_are_read_when_it_ends(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"

    async def scene() -> None:
        task = asyncio.create_task(tail_forever(log, PLAN.upstreams, book))
        await asyncio.sleep(0)
        append(log, "ERROR azure\nERROR azure\n")
        task.cancel()
        await asyncio.wait([task], timeout=5)

    asyncio.run(scene())
    assert [line.lines for line in lines(tmp_path) if isinstance(line, Detection)] == [1, 1]


def test_all_that_is_left_are_last_words_too(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO nothing to see here\n" * (3 * SLICE_BYTES // 25) + "ERROR azure\nERROR gcp failed")
    tail.finish(book)
    assert named(tmp_path, book) == ["azure", "gcp"], "and so is a line that nobody ended"


def test_an_end_that_takes_too_long_is_told(
    book: DetectionBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "sut.log"
    monkeypatch.setattr(log_tail, "time", _Clock(0.2))
    tail = LogTail(log, PLAN.upstreams)
    append(log, "INFO nothing to see here\n" * (9 * SLICE_BYTES // 25) + "ERROR azure\n")
    tail.finish(book)
    assert any(isinstance(line, DetectionGap) for line in lines(tmp_path))


# ---------------------------------------------------------------- quotes


def test_a_long_line_is_quoted_where_it_names_somebody(book: DetectionBook, tmp_path: Path) -> None:
    line = f"ERROR {'x ' * 400}azure did not answer {'y ' * 400}"
    book.raised("azure", "log", line, 0, at=line.index("azure"))
    book.mention("azure", line, 0, at=line.index("azure"))
    assert len(lines(tmp_path)) == 2
    for notice in lines(tmp_path):
        assert notice.text.startswith("…")
        assert "azure did not answer" in notice.text
        assert len(notice.text) <= TEXT_MOST


def test_a_secret_before_the_place_moves_it_and_stays_secret(book: DetectionBook, tmp_path: Path) -> None:
    line = f"ERROR {'s3cr3t-9f8e7d ' * 60}azure did not answer"
    book.raised("azure", "log", line, 0, at=line.index("azure"))
    [notice] = lines(tmp_path)
    assert notice.text.endswith("azure did not answer")
    assert "s3cr" not in notice.text
    assert len(notice.text) <= TEXT_MOST


def test_a_short_line_is_quoted_whole(book: DetectionBook, tmp_path: Path) -> None:
    book.raised("azure", "log", "ERROR offers: azure did not answer", 0, at=14)
    assert [notice.text for notice in lines(tmp_path)] == ["ERROR offers: azure did not answer"]


def test_the_log_tells_the_place(book: DetectionBook, tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    tail = LogTail(log, PLAN.upstreams)
    append(log, "ERROR \x1b[31m" + "x " * 400 + "azure did not answer\n")
    tail.look(book)
    tail.finish(book)
    assert "azure did not answer" in lines(tmp_path)[0].text
