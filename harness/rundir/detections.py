"""notices.ndjson: the upstreams that the service's log or alert named, gaps in both, and mentions that do not count.

The supervisor is the only writer (`harness.stack.detection.detection_book`); the judge reads. This module holds the
lines' shapes only: `harness.stack.detection.log_matcher` decides which upstream a line names, and gates judge it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from harness.model.frozen import Frozen
from harness.rundir.ndjson import read_ndjson

Source = Literal["log", "alert"]

FILE: Final = "notices.ndjson"
_DIGITS: Final = re.compile(r"\d+")


class Detection(Frozen):
    """An upstream was named. Detections close together whose texts differ only in digits are one, of so many
    `lines`."""

    kind: Literal["notice"] = "notice"
    t_ns: int
    """When the first of them was read, up to half a second after it was written or raised."""
    until_ns: int | None = None
    """When the last of them was read; None if there is only one."""
    upstream: str
    source: Source
    state: Literal["raised", "normal"] = "raised"
    """`normal`: an alert that is not, or no longer, raised. A line of a log is always `raised`."""
    lines: int = 1
    text: str = ""
    """The text, sanitized and shortened: its beginning, or what surrounds the name if that is further on."""


class DetectionGap(Frozen):
    """A part of a source that could not be read; which upstreams it named is unknown."""

    kind: Literal["unread"] = "unread"
    t_ns: int
    source: Source
    text: str
    since_ns: int | None = None
    """The gap lasted from then until `t_ns`; None: it is at `t_ns` only."""
    skipped_bytes: int = 0
    """Skipped in a log that grows faster than it can be read."""


class Mention(Frozen):
    """Lines of the log that contain an upstream's name but are no detection: their level is below WARN or unknown, or
    the name is in program text. The lines within two seconds are one mention; `t_ns` is the last line's."""

    kind: Literal["unheeded"] = "unheeded"
    t_ns: int
    upstream: str
    lines: int = 1
    text: str = ""
    """The first of them."""


Recorded = Detection | DetectionGap | Mention
_LINE: Final[TypeAdapter[Recorded]] = TypeAdapter(Annotated[Recorded, Field(discriminator="kind")])


def without_digits(text: str) -> str:
    """The text without its digits: lines that differ only in times, counts and ids have the same text."""
    return _DIGITS.sub("", text)


def read_detections(path: Path) -> Iterator[Recorded]:
    """Every whole line; none without a file. Skips a last line that is cut short; other damage raises ValueError."""
    return read_ndjson(path, _LINE.validate_json, "a notice")
