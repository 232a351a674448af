"""Where in a user's locustfile something happened: the innermost line of the file's own folder."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType


class Positions:
    """Finds lines of the locustfile and of the modules beside it."""

    def __init__(self, locustfile: Path) -> None:
        self._folder = f"{locustfile.parent}/"
        self._ours = f"{Path(__file__).parents[3]}/"

    def of_caller(self) -> str:
        """`users.py:12` of whatever called this; empty if no line of the locustfile did."""
        return self.of_frame(sys._getframe(1))

    def of_frame(self, frame: FrameType | None) -> str:
        """`users.py:12` of a running or suspended frame, or of the nearest one that called it."""
        return self._first(_callers(frame))

    def of_error(self, error: BaseException) -> str:
        """`users.py:12`: the innermost line of the locustfile in the traceback; empty if there is none."""
        frames = traceback.extract_tb(error.__traceback__)
        return self._first((frame.filename, frame.lineno or 0) for frame in reversed(frames))

    def _first(self, lines: Iterable[tuple[str, int]]) -> str:
        for name, number in lines:
            if name.startswith(self._folder) and not name.startswith(self._ours) and "site-packages" not in name:
                return f"{name.removeprefix(self._folder)}:{number}"
        return ""


def missing_file_hint(error: BaseException) -> str:
    """What to add to the message of a file that was looked for by a relative path and not found: in which folder. Empty
    for every other error."""
    name = error.filename if isinstance(error, FileNotFoundError) else None
    if not isinstance(name, str) or Path(name).is_absolute():
        return ""
    return f" (looked for in {Path.cwd()}, where tailgate was started)"


def _callers(frame: FrameType | None) -> Iterable[tuple[str, int]]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
