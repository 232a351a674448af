"""The one writer of notices.ndjson: which upstreams were named, in few lines however often, readable and without
secrets.

Detections that follow closely and have the same text become one line. Nothing is judged and nothing is lost: a
detection that waits for others to join it is written when its time is over, or when the book is closed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.rundir.detections import FILE, Detection, DetectionGap, Mention, Recorded, Source, without_digits
from harness.secrets.redact import redact
from harness.stack.detection.log_matcher import plain
from harness.text import one_line
from harness.units import NS_PER_S

APART_S: Final = 0.25
"""Detections of one upstream from one source that have the same text and are closer than this become one line."""
TEXTS_MOST: Final = 4
"""How many texts of an upstream and a source are kept apart at a time: a log that never repeats a text must not fill
the disk."""
UNHEEDED_APART_S: Final = 2.0
"""The same for mentions, lines that contain an upstream's name but are no detection. There may be many more of them."""
TEXT_MOST: Final = 300
_CUT_AT: Final = 250
_FROM_START: Final = 150
"""If a line names an upstream further on than this, the part around that place is quoted."""
_LETTERS_BEFORE: Final = 80
_LETTERS_AFTER: Final = 110
_EACH_SIDE_MOST: Final = (TEXT_MOST - 2) // 2


@dataclass(slots=True)
class _Group:
    written_ns: int
    waiting: Detection | None = None


class DetectionBook:
    """`secrets` grows during the run; none of them is written. Raises OSError if the disk is full."""

    def __init__(self, run_dir: Path, secrets: Collection[str]) -> None:
        self._file = (run_dir / FILE).open("ab", buffering=0)
        self._secrets = secrets
        self._groups: dict[tuple[str, Source, str], _Group] = {}
        self._mention_written_ns: dict[str, int] = {}
        self._mentions: dict[str, Mention] = {}

    def raised(self, upstream: str, source: Source, text: str, t_ns: int, *, at: int = 0) -> None:
        """Write the first detection at once. Those that follow closely are written together once their time is over
        (`flush`).

        `at`: where in `text` the upstream is named. Of a long text the part around it is kept.
        """
        key = self._key(upstream, source, text, at)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = _Group(t_ns)
            self._append(Detection(t_ns=t_ns, upstream=upstream, source=source, text=self._readable(text, at)))
            return
        if group.waiting:
            lines = group.waiting.lines + 1
            group.waiting = group.waiting.model_copy(update={"until_ns": t_ns, "lines": lines})
        else:
            group.waiting = Detection(t_ns=t_ns, upstream=upstream, source=source, text=self._readable(text, at))
        if _is_over(group, t_ns):
            self._write(group)

    def normal(self, upstream: str, text: str, t_ns: int) -> None:
        """Record that an alert is not raised. The caller reports this only when it is new."""
        for key in [key for key in self._groups if key[:2] == (upstream, "alert")]:
            self._write(self._groups.pop(key))
        shown = self._readable(text)
        self._append(Detection(t_ns=t_ns, upstream=upstream, source="alert", state="normal", text=shown))

    def gap(self, source: Source, text: str, since_ns: int, t_ns: int, skipped_bytes: int = 0) -> None:
        """Record that the log or the alert could not be read, or only late, from `since_ns` to `t_ns`."""
        shown = self._readable(text)
        self._append(DetectionGap(t_ns=t_ns, source=source, text=shown, since_ns=since_ns, skipped_bytes=skipped_bytes))

    def mention(self, upstream: str, text: str, t_ns: int, *, at: int = 0) -> None:
        """Write the first mention at once, and those of the next two seconds together."""
        earlier = self._mentions.pop(upstream, None)
        shown = earlier.text if earlier else self._readable(text, at)
        line = Mention(t_ns=t_ns, upstream=upstream, lines=earlier.lines + 1 if earlier else 1, text=shown)
        self._mentions[upstream] = line
        if self._is_due(line, t_ns):
            self._write_mention(upstream)

    def flush(self, now_ns: int | None = None) -> None:
        """Write what has waited long enough, or everything if no time is given."""
        for key, group in tuple(self._groups.items()):
            if group.waiting and (now_ns is None or _is_over(group, now_ns)):
                self._write(group)
            elif now_ns is not None and _is_over(group, now_ns):
                del self._groups[key]
        for upstream, line in tuple(self._mentions.items()):
            if now_ns is None or self._is_due(line, now_ns):
                self._write_mention(upstream)

    def close(self) -> None:
        """Write everything that still waits, and close the file. Calls after that write nothing."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _key(self, upstream: str, source: Source, text: str, at: int) -> tuple[str, Source, str]:
        key = upstream, source, without_digits(text[_around(text, at)])
        if key in self._groups or sum(other[:2] == key[:2] for other in self._groups) < TEXTS_MOST:
            return key
        return upstream, source, ""

    def _write(self, group: _Group) -> None:
        if group.waiting:
            group.written_ns = group.waiting.until_ns or group.waiting.t_ns
            self._append(group.waiting)
            group.waiting = None

    def _is_due(self, line: Mention, now_ns: int) -> bool:
        written_ns = self._mention_written_ns.get(line.upstream)
        return written_ns is None or now_ns - written_ns >= UNHEEDED_APART_S * NS_PER_S

    def _write_mention(self, upstream: str) -> None:
        line = self._mentions.pop(upstream)
        self._mention_written_ns[upstream] = line.t_ns
        self._append(line)

    def _append(self, line: Recorded) -> None:
        if not self._file.closed:  # what comes after the end is of no use to anyone
            self._file.write(line.model_dump_json().encode() + b"\n")

    def _readable(self, text: str, at: int = 0) -> str:
        """What is written of a text: its beginning, or the part around the place if that is further on."""
        bare = plain(text)
        if at > _FROM_START:
            # a secret that is cut in two would not be found, so the whole text is redacted before the place is computed
            redacted = one_line(redact(bare.strip(), self._secrets), len(text))
            place = min(len(one_line(redact(bare[:at].lstrip(), self._secrets), len(text))), len(redacted))
            if place > _FROM_START:
                part = _around(redacted, place)
                return f"…{redacted[part]}{'…' if part.stop < len(redacted) else ''}"
        shown = one_line(redact(bare.strip(), self._secrets), _CUT_AT)
        return shown if len(shown) <= TEXT_MOST else f"{shown[: TEXT_MOST - 1]}…"


def _around(text: str, at: int) -> slice:
    """The part of a text around a place. Digits do not count: lines that differ only in digits must be cut alike, or
    each would look new."""
    if at <= _FROM_START:
        return slice(0, TEXT_MOST)
    begin, letters = at, 0
    while begin > 0 and letters < _LETTERS_BEFORE and at - begin < _EACH_SIDE_MOST:
        begin -= 1
        letters += not text[begin].isdecimal()
    end, letters = at, 0
    while end < len(text) and letters < _LETTERS_AFTER and end - at < _EACH_SIDE_MOST:
        letters += not text[end].isdecimal()
        end += 1
    return slice(begin, end)


def _is_over(group: _Group, now_ns: int) -> bool:
    return now_ns - group.written_ns >= APART_S * NS_PER_S
