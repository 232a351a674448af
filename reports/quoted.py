"""The first incomplete answers as a page shows them: their phase, the upstreams they lack, and how they begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.gates.shares.missing import some
from harness.rundir.incomplete import read_beginning
from harness.text import paragraph
from harness.units import format_bytes
from reports import formatting
from reports.redacted import redacted
from reports.subject import Subject

CHARACTERS_MOST: Final = 900
LINES_MOST: Final = 12


@dataclass(frozen=True, slots=True)
class Quoted:
    file: str
    lacks: str
    where: str
    beginning: str
    """Of the file, legible and without what looks like a secret; empty where it is gone."""


def quoted(subject: Subject) -> Iterator[Quoted]:
    for each in subject.results.incomplete_answers:
        beginning = read_beginning(subject.run_dir, each.file, 4 * CHARACTERS_MOST) if each.file else None
        size = f"{format_bytes(each.bytes)}{', its beginning kept' if each.cut else ''}"
        yield Quoted(
            file=each.file or "not kept",
            lacks=some(each.missing),
            where=f"{each.phase} at {formatting.seconds(each.at_ms)} · {each.request} · {size}",
            beginning="" if beginning is None else _short(redacted(beginning)),
        )


def _short(text: str) -> str:
    more = "…" if len(text) > CHARACTERS_MOST else ""
    return paragraph(f"{text[:CHARACTERS_MOST]}{more}", LINES_MOST)
