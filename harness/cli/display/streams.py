"""stdout and stderr of a command: a reader that leaves, a closed stream or a narrow encoding does not end the command.

`tailgate validate X | head -1` closes the pipe after a line. What is written then goes nowhere, and the exit code is
still the verdict's. A full disk stays an error, because a file that lacks its end would look whole.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from harness.errors import RigError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NAMES: Final = ("stdin", "stdout", "stderr")


class _LastingStream(io.RawIOBase):
    """Writes to the file of a standard stream, and drops what is written after its reader has left.

    `of`: the stream, kept open. `must_arrive`: whether another failure, such as a full disk, raises RigError. It is
    raised once, since what is buffered is written again when the process ends.
    """

    def __init__(self, of: io.TextIOWrapper, *, must_arrive: bool) -> None:
        self._of = of
        self._must_arrive = must_arrive
        self._is_broken = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._of.fileno()

    def isatty(self) -> bool:
        return self._of.isatty()

    def write(self, content: ReadableBuffer, /) -> int:
        size = memoryview(content).nbytes
        if self._is_broken:
            return size
        try:
            return os.write(self._of.fileno(), content)
        except OSError as exc:
            self._is_broken = True
            if self._must_arrive and not isinstance(exc, BrokenPipeError):
                raise RigError(f"the output cannot be written: {exc.strerror}", "free some space on its disk") from exc
            return size


def prepare_streams() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams that bear what the module says. Streams that are no files of
    the process, such as those of a test, only get to spell any character."""
    _open_closed()
    sys.stdout, sys.stderr = _lasting(sys.stdout, must_arrive=True), _lasting(sys.stderr)


def _open_closed() -> None:
    """Open the null device for each standard stream that the caller closed (`>&-`); else the next file that is opened
    would get its number, and children would write into that file."""
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                null = os.open(os.devnull, os.O_RDWR)
                if null != number:
                    os.dup2(null, number)
                    os.close(null)
                os.set_inheritable(number, True)
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115


def _lasting(stream: TextIO, *, must_arrive: bool = False) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")  # a terminal that cannot spell a character gets its number
    if not isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_LastingStream(stream, must_arrive=must_arrive)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,
    )
