"""incomplete-<worker>.ndjson and answers/: the first answers that were ok and lacked an upstream, for people to read.

The load workers write both (`scenarios.drive.incomplete`). The index is what the judge reads; the bodies beside it are
read by reports only. No verdict depends on either, so a damaged line is skipped.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from harness.model.frozen import Frozen
from harness.rundir.ndjson import readable_lines

FOLDER: Final = "answers"
KEPT_MOST: Final = 5
"""Answers that one run keeps, whatever the number of its workers."""
BYTES_MOST: Final = 64_000
"""The most bytes of one answer's decoded body, and of its file."""
_INDEX_MOST: Final = 1_000_000
ANSWER_FILE: Final = rf"{FOLDER}/[0-9]{{1,20}}(-[0-9]{{1,3}})?\.txt"


class IncompleteAnswer(Frozen):
    """An answer that was kept, as the worker saw it."""

    seq: int
    part: int = 0
    t_ns: int
    """Intended, absolute monotonic."""
    request: str
    status: int
    missing: tuple[str, ...]
    """The upstreams that the request asked for, that are not in the answer, and that no planned fault excuses."""
    file: Annotated[str, Field(pattern=f"^{ANSWER_FILE}$")] | None
    """Relative to the run directory; None: it could not be written, and `trouble` says why."""
    bytes: int
    """Of the whole decoded body."""
    cut: bool
    """The file holds its beginning only."""
    trouble: str = ""


def index_name(worker: int) -> str:
    return f"incomplete-{worker}.ndjson"


def answer_name(seq: int, part: int) -> str:
    """Relative to the run directory."""
    return f"{FOLDER}/{seq}{f'-{part}' if part else ''}.txt"


def read_incomplete(run_dir: Path, workers: int) -> tuple[IncompleteAnswer, ...]:
    """By time, at most KEPT_MOST; empty where a run kept none."""
    found = [
        answer
        for worker in range(workers)
        for answer in readable_lines(
            run_dir / index_name(worker), IncompleteAnswer.model_validate_json, bytes_most=_INDEX_MOST
        )
    ]
    return tuple(sorted(found, key=lambda answer: (answer.t_ns, answer.seq, answer.part))[:KEPT_MOST])


def read_beginning(run_dir: Path, file: str, most: int) -> str | None:
    """The first `most` bytes of a kept answer (in a pool below `run-N/`). None if it is gone, is not a regular file, or
    has another name than tailgate gives: results may come from an untrusted source."""
    if not re.fullmatch(rf"(run-[0-9]+/)?{ANSWER_FILE}", file):
        return None
    try:
        handle = os.open(run_dir / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(handle, most).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(handle)
