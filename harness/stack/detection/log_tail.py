"""Reads the service's log as it grows, and writes to the detection book which upstreams it names.

It reads a slice every 50 ms, or sooner while there is more, but leaves time to the supervisor, which also applies the
faults. A service in trouble may write megabytes: what cannot be read within half a second is skipped and recorded as a
gap. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.detection.detection_book import DetectionBook
from harness.stack.detection.log_matcher import LINE_MOST, LogParser, UpstreamMatcher, plain
from harness.units import NS_PER_S

POLL_S: Final = 0.05
SLICE_BYTES: Final = 32 * 1024
"""The size of a slice: about ten milliseconds of work if every line names an upstream."""
BEHIND_MOST_BYTES: Final = 1024 * 1024
LATE_MOST_S: Final = 0.5
"""If the reading is later than this, it skips to near the end."""
LAST_WORDS_S: Final = 0.5
"""How long the end of the log is read when the tail is finished."""
_KNOWN_BYTES: Final = 64


async def tail_forever(log: Path, upstreams: Sequence[PlannedUpstream], book: DetectionBook) -> None:
    """Read until cancelled. Raises OSError if the disk of the book is full."""
    tail = LogTail(log, upstreams)
    try:
        while True:
            begin_s = time.monotonic()
            is_more = tail.look(book)
            book.flush(time.monotonic_ns())
            # half of the time is left to the supervisor's other tasks
            await asyncio.sleep(min(time.monotonic() - begin_s, POLL_S) if is_more else POLL_S)
    finally:
        tail.finish(book)


class LogTail:
    """Reads what was appended to a log since the last call, line by line. The file need not exist yet."""

    def __init__(self, log: Path, upstreams: Sequence[PlannedUpstream]) -> None:
        self._log = log
        self._parser = LogParser(UpstreamMatcher(upstreams))
        self._file: BinaryIO | None = None
        self._at = _size(log)
        self._begins = b""
        """The file's first bytes: a file that was emptied and is as long again begins differently."""
        self._caught_up_ns = time.monotonic_ns()
        """Everything written until then has been read, or recorded as unread."""
        self._partial = b""
        self._drop_line = False

    def look(self, book: DetectionBook) -> bool:
        """Read one slice; returns whether there is more. If too much is unread, all but its end is skipped."""
        now_ns = time.monotonic_ns()
        file = self._opened()
        if file is None:
            self._caught_up_ns = now_ns
            return False
        size = os.fstat(file.fileno()).st_size
        self._start_again_if_emptied(file, size, book, now_ns)
        late_s = (now_ns - self._caught_up_ns) / NS_PER_S
        behind = size - self._at
        if behind > BEHIND_MOST_BYTES or (behind > SLICE_BYTES and late_s > LATE_MOST_S):
            skipped = behind - SLICE_BYTES
            self._at += skipped
            self._partial, self._drop_line = b"", True  # the new position may be within a line
            book.gap("log", f"{skipped:,} bytes were skipped: it grew too fast", self._caught_up_ns, now_ns, skipped)
            late_s = 0.0
        chunk = os.pread(file.fileno(), SLICE_BYTES, self._at)
        self._at += len(chunk)
        has_named = bool(chunk) and self._read(chunk, book)
        if has_named and late_s > LATE_MOST_S:  # this task was delayed
            book.gap("log", f"it was read {late_s:.1f} s late", self._caught_up_ns, now_ns)
        if self._at >= size:
            self._caught_up_ns = now_ns
        return self._at < size

    def finish(self, book: DetectionBook) -> None:
        """Read the rest, including a last line without a line break, and close the file."""
        end_s = time.monotonic() + LAST_WORDS_S
        while self.look(book):
            if time.monotonic() > end_s:
                book.gap("log", "its end could not be read in time", self._caught_up_ns, time.monotonic_ns())
                break
        else:
            if self._partial and not self._drop_line:
                self._record(self._partial, book, time.monotonic_ns())
        if self._file:
            self._file.close()
            self._file = None
        book.flush()

    def _start_again_if_emptied(self, file: BinaryIO, size: int, book: DetectionBook, now_ns: int) -> None:
        begins = os.pread(file.fileno(), _KNOWN_BYTES, 0)
        if size < self._at or not begins.startswith(self._begins):
            self._at, self._partial, self._drop_line = 0, b"", False
            book.gap("log", "it was emptied, perhaps before all was read", self._caught_up_ns, now_ns)
        self._begins = begins

    def _read(self, chunk: bytes, book: DetectionBook) -> bool:
        """Whether a line of the chunk names an upstream."""
        t_ns = time.monotonic_ns()
        *whole, partial = (self._partial + chunk).split(b"\n")
        if whole and self._drop_line:
            self._drop_line = False
            del whole[0]
        named = [self._record(line, book, t_ns) for line in whole]
        # the beginning of an endless line is enough: its rest is not kept
        self._partial = partial[: LINE_MOST * 4]
        return any(named)

    def _record(self, line: bytes, book: DetectionBook, t_ns: int) -> bool:
        text = plain(line[: LINE_MOST * 4].decode("utf-8", "replace").rstrip("\r")[:LINE_MOST])
        named, mentioned = self._parser.heard(text)
        for upstream, at in sorted(named.items()):
            book.raised(upstream, "log", text, t_ns, at=at)
        for upstream, at in sorted(mentioned.items()):
            book.mention(upstream, text, t_ns, at=at)
        return bool(named)

    def _opened(self) -> BinaryIO | None:
        """None if there is no regular file: a service may put a link or a pipe where its log was, and that is not
        read."""
        if self._file is None:
            try:
                handle = os.open(self._log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                return None
            self._file = os.fdopen(handle, "rb", buffering=0)
        return self._file if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
