"""notices.ndjson: whom the service named, in its log or by its alert, and what of both could not be read or counted.

The supervisor is the only writer (`harness.stack.detection.detection_book`); the judge reads. This module holds the
lines' shapes only: `harness.stack.detection.log_matcher` says which upstream is named, the gates what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from harness.rundir.ndjson import read_ndjson
from harness.rundir.plan import Frozen

Source = Literal["log", "alert"]

FILE: Final = "notices.ndjson"
_DIGITS: Final = re.compile(r"\d+")


class Detection(Frozen):
    """An upstream named. Sightings close together whose texts differ by digits alone are one: `lines` so many."""

    kind: Literal["notice"] = "notice"
    t_ns: int
    """When the first of them was seen, up to half a second after it was written or raised."""
    until_ns: int | None = None
    """When the last of them was seen, where they are several."""
    upstream: str
    source: Source
    state: Literal["raised", "normal"] = "raised"
    """`normal`: an alert that is not, or no longer, raised. A log only ever raises."""
    lines: int = 1
    text: str = ""
    """What was read, legible and short: the beginning, or what surrounds the name where that stands further on."""


class LogGap(Frozen):
    """Something of a source that could not be read: whom it may have named nobody knows."""

    kind: Literal["unread"] = "unread"
    t_ns: int
    source: Source
    text: str
    since_ns: int | None = None
    """What was said from then until `t_ns` is not known; None: at `t_ns`."""
    skipped_bytes: int = 0
    """Of a log that grows faster than it can be read."""


class Mention(Frozen):
    """Lines of the log that held an upstream's name and blamed nobody: of INFO or less, of no level that is known, or
    in text of a program. Those of two seconds are one: `t_ns` is the last one's."""

    kind: Literal["unheeded"] = "unheeded"
    t_ns: int
    upstream: str
    lines: int = 1
    text: str = ""
    """The first of them."""


Recorded = Detection | LogGap | Mention
_LINE: Final[TypeAdapter[Recorded]] = TypeAdapter(Annotated[Recorded, Field(discriminator="kind")])


def without_digits(text: str) -> str:
    """Times, counts and ids differ from line to line; that makes no other text."""
    return _DIGITS.sub("", text)


def read_detections(path: Path) -> Iterator[Recorded]:
    """Every whole line. A last line cut short is passed over; other damage raises ValueError; no file, no lines."""
    return read_ndjson(path, _LINE.validate_json, "a notice")
