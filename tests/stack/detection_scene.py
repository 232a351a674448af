"""What tests of the detection share: a plan of two upstreams, a log, and what was written of both."""

from __future__ import annotations

from pathlib import Path

from harness.rundir.detections import FILE, Detection, Recorded, read_detections
from harness.stack.detection.detection_book import DetectionBook
from tests.rundir.recording import make_plan

PLAN = make_plan(upstreams=("azure", "gcp"))
MS = 1_000_000


def lines(folder: Path) -> list[Recorded]:
    return list(read_detections(folder / FILE))


def named(folder: Path, book: DetectionBook) -> list[str]:
    """Each upstream as often as it was seen."""
    book.flush()
    return [line.upstream for line in lines(folder) if isinstance(line, Detection) for _ in range(line.lines)]


def append(log: Path, text: str | bytes) -> None:
    with log.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
