"""Who the service says is at fault, written to notices.ndjson while it runs: from its log, and from its alert metric.

The log file is looked at every 50 ms, as far as it has grown; a bounded part a look, since a service in trouble may
write megabytes. What is skipped is recorded. The alert is asked of the service itself, not through its gateway, and
not counted as load; a question that fails is recorded and nothing more. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from harness.legible import one_line
from harness.naming import LINE_MOST, Blame, Names, alerts, is_metrics, plain
from harness.notice_record import FILE, Notice, Recorded, Source, Unheeded, Unread
from harness.plan import Plan, PlannedUpstream
from harness.redaction import redact
from harness.stack import probe
from harness.units import NS_PER_S

LOOK_S: Final = 0.05
LOOK_BYTES: Final = 64 * 1024
"""Ten milliseconds of work at most: the supervisor also applies the faults."""
BEHIND_MOST_BYTES: Final = 1024 * 1024
"""A log that is further ahead of us than this is caught up with by skipping."""
APART_S: Final = 0.25
"""Sightings of one upstream by one source closer than this become one line."""
UNHEEDED_APART_S: Final = 2.0
"""The same of lines that name nobody, of which there may be many more."""
POLL_S: Final = 0.5
POLL_TIMEOUT_S: Final = 1.0
TEXT_MOST: Final = 300
_CUT_AT: Final = 250
_ANSWER_MOST: Final = 80


class NoticeBook:
    """The one writer of notices.ndjson. `secrets` grows while the run goes on; none of them is written."""

    def __init__(self, run_dir: Path, secrets: Collection[str]) -> None:
        self._file = (run_dir / FILE).open("ab", buffering=0)
        self._secrets = secrets
        self._written_ns: dict[tuple[str, Source], int] = {}
        self._waiting: dict[tuple[str, Source], Notice] = {}
        self._unheeded_ns: dict[str, int] = {}
        self._unheeded: dict[str, Unheeded] = {}

    def raised(self, upstream: str, source: Source, text: str, t_ns: int) -> None:
        """The first at once, those that follow closely together once their time has come (`flush`)."""
        key = upstream, source
        earlier = self._waiting.pop(key, None)
        lines = earlier.lines + 1 if earlier else 1
        # the text of the first will do, and legible texts cost
        shown = earlier.text if earlier else self._legible(text)
        notice = Notice(t_ns=t_ns, upstream=upstream, source=source, lines=lines, text=shown)
        if t_ns - self._written_ns.get(key, -NS_PER_S) >= APART_S * NS_PER_S:
            self._write(notice)
        else:
            self._waiting[key] = notice

    def normal(self, upstream: str, text: str, t_ns: int) -> None:
        """An alert that is not raised, told when that is news."""
        if (waiting := self._waiting.pop((upstream, "alert"), None)) is not None:
            self._write(waiting)
        shown = self._legible(text)
        self._write(Notice(t_ns=t_ns, upstream=upstream, source="alert", state="normal", text=shown))

    def unread(self, source: Source, text: str, t_ns: int, skipped_bytes: int = 0) -> None:
        shown = self._legible(text)
        self._append(Unread(t_ns=t_ns, source=source, text=shown, skipped_bytes=skipped_bytes))

    def unheeded(self, upstream: str, text: str, t_ns: int) -> None:
        """The first at once, those of the next two seconds together."""
        earlier = self._unheeded.pop(upstream, None)
        shown = earlier.text if earlier else self._legible(text)
        line = Unheeded(t_ns=t_ns, upstream=upstream, lines=earlier.lines + 1 if earlier else 1, text=shown)
        self._unheeded[upstream] = line
        if self._is_due(line, t_ns):
            self._write_unheeded(upstream)

    def flush(self, now_ns: int | None = None) -> None:
        """Write what has waited long enough; everything, where no time is given."""
        for key, notice in tuple(self._waiting.items()):
            if now_ns is None or now_ns - self._written_ns[key] >= APART_S * NS_PER_S:
                del self._waiting[key]
                self._write(notice)
        for upstream, line in tuple(self._unheeded.items()):
            if now_ns is None or self._is_due(line, now_ns):
                self._write_unheeded(upstream)

    def close(self) -> None:
        self._file.close()

    def _write(self, notice: Notice) -> None:
        self._written_ns[notice.upstream, notice.source] = notice.t_ns
        self._append(notice)

    def _is_due(self, line: Unheeded, now_ns: int) -> bool:
        written_ns = self._unheeded_ns.get(line.upstream)
        return written_ns is None or now_ns - written_ns >= UNHEEDED_APART_S * NS_PER_S

    def _write_unheeded(self, upstream: str) -> None:
        line = self._unheeded.pop(upstream)
        self._unheeded_ns[upstream] = line.t_ns
        self._append(line)

    def _append(self, line: Recorded) -> None:
        if not self._file.closed:  # what comes after the end is nobody's business
            self._file.write(line.model_dump_json().encode() + b"\n")

    def _legible(self, text: str) -> str:
        shown = one_line(redact(plain(text).strip(), self._secrets), _CUT_AT)
        return shown if len(shown) <= TEXT_MOST else f"{shown[: TEXT_MOST - 1]}…"


# ---------------------------------------------------------------- the log


async def tail_forever(log: Path, upstreams: Sequence[PlannedUpstream], book: NoticeBook) -> None:
    """Until cancelled. Raises OSError where the book's disk takes no more."""
    tail = LogTail(log, upstreams)
    try:
        while True:
            tail.look(book)
            book.flush(time.monotonic_ns())
            await asyncio.sleep(LOOK_S)
    finally:
        tail.look(book)  # the last words
        tail.close()
        book.flush()


class LogTail:
    """What has been appended to a log since the last look, line by line. The file need not exist yet."""

    def __init__(self, log: Path, upstreams: Sequence[PlannedUpstream]) -> None:
        self._log = log
        self._blame = Blame(Names(upstreams))
        self._file: BinaryIO | None = None
        self._at = _size(log)
        self._half = b""
        self._drop_line = False

    def look(self, book: NoticeBook) -> None:
        """Read at most LOOK_BYTES; more than BEHIND_MOST_BYTES of backlog is skipped but for its end."""
        file = self._opened()
        if file is None:
            return
        size = os.fstat(file.fileno()).st_size
        if size < self._at:  # emptied by somebody
            self._at, self._half, self._drop_line = 0, b"", False
        if size - self._at > BEHIND_MOST_BYTES:
            skipped = size - self._at - LOOK_BYTES
            self._at += skipped
            self._half, self._drop_line = b"", True  # we are now within some line
            book.unread("log", f"{skipped:,} bytes were skipped: it grew too fast", time.monotonic_ns(), skipped)
        chunk = os.pread(file.fileno(), LOOK_BYTES, self._at)
        self._at += len(chunk)
        if chunk:
            self._read(chunk, book)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _read(self, chunk: bytes, book: NoticeBook) -> None:
        t_ns = time.monotonic_ns()
        *whole, half = (self._half + chunk).split(b"\n")
        for number, line in enumerate(whole):
            if number == 0 and self._drop_line:
                self._drop_line = False
                continue
            text = line[: LINE_MOST * 4].decode("utf-8", "replace").rstrip("\r")
            named, held = self._blame.heard(text)
            for upstream in sorted(named):
                book.raised(upstream, "log", text[:LINE_MOST], t_ns)
            for upstream in sorted(held):
                book.unheeded(upstream, text[:LINE_MOST], t_ns)
        # of a line without end the beginning is enough: its rest is not kept
        self._half = half[: LINE_MOST * 4]

    def _opened(self) -> BinaryIO | None:
        """A service may put a link or a pipe where its log was: such a thing is not read."""
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


# ---------------------------------------------------------------- the alert


@dataclass(slots=True)
class AlertPoll:
    """What the service's alert metric says of each upstream, asked again and again."""

    url: str
    metric: str
    headers: Mapping[str, str]
    upstreams: tuple[str, ...]
    known: dict[str, bool]

    @classmethod
    def of(cls, plan: Plan, base_url: str, headers: Mapping[str, str]) -> Self | None:
        """None where the plan names no alert."""
        service = plan.service
        if service.alerts_path is None or service.alerts_metric is None or not plan.upstreams:
            return None
        names = tuple(upstream.name for upstream in plan.upstreams)
        return cls(f"{base_url}{service.alerts_path}", service.alerts_metric, headers, names, {})

    def note(self, text: str, book: NoticeBook, t_ns: int) -> None:
        """`text`: what it answered. A sample that is there no more is an alert that is over."""
        found = alerts(text, self.metric, self.upstreams)
        for upstream in self.upstreams:
            before, now = self.known.get(upstream), found.get(upstream)
            said = f'{self.metric}{{…"{upstream}"}}'
            if now:
                book.raised(upstream, "alert", f"{said} > 0", t_ns)
            elif before or (before is None and now is False):
                book.normal(upstream, f"{said} is 0" if now is False else f"{said} is gone", t_ns)
            if now is not None or before is not None:
                self.known[upstream] = bool(now)


async def poll_forever(poll: AlertPoll, book: NoticeBook) -> None:
    """Until cancelled, about twice a second; a poll that fails is recorded once a second at most."""
    next_s = time.monotonic()
    told_s = float("-inf")
    while True:
        failed = ""
        try:
            answer = await probe.get(poll.url, headers=poll.headers, timeout_s=POLL_TIMEOUT_S)
            text = answer.body.decode("utf-8", "replace")
            failed = "" if answer.status == 200 else f"answered {answer.status}"
            if not failed and not is_metrics(text) and not alerts(text, poll.metric, poll.upstreams):
                failed = f"the answer is no metrics: {text.strip()[:_ANSWER_MOST]}"
        except TimeoutError:
            failed = f"no answer within {POLL_TIMEOUT_S:g} s"
        except (OSError, ValueError) as exc:
            failed = str(exc) or type(exc).__name__
        t_ns = time.monotonic_ns()
        if not failed:
            poll.note(text, book, t_ns)
        elif time.monotonic() - told_s >= 1:
            told_s = time.monotonic()
            book.unread("alert", f"the alert could not be read: {failed}", t_ns)
        next_s = max(next_s + POLL_S, time.monotonic())
        await asyncio.sleep(next_s - time.monotonic())
