"""One hostile scenario through `tailgate validate`, in this process, and what is wrong with how it ended.

The command is the real one, twice: for people and with `--json`, on streams as strict as a terminal's. It is bounded
in processor time by a signal, since a hang in C code of the standard library is a hang all the same.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from bench.scenario_mutations import Beside, Case

CPU_S: Final = 20.0
"""Ten thousand broken faults take 3.5 s where a million additions in Python take 0.07 s; the same machine has needed
0.16 s for those an hour later, and others are slower still."""
MEMORY_BYTES: Final = 512 * 1024 * 1024
OUTPUT_BYTES: Final = 2_000_000
"""More than this is no message: nobody reads it, and a log of CI would drown in it."""
_LINE: Final = re.compile(
    r".+: (error|warning): .+|\s*\d+ \| .*| +\| *\^?|  fix: .+|\d+ problems?; nothing was started"
    r"|… and [\d,]+ more, which --json lists|error: .+|fix: .+"
)


class TooLong(BaseException):
    """No `except Exception` may swallow it."""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int | None
    out: bytes
    err: bytes


def bound_memory() -> None:
    """For this process from now on: what it has, and half a gigabyte."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextmanager
def laid_out(case: Case, folder: Path) -> Iterator[list[str]]:
    """The case on disk for as long as this lasts; yields the words of the command line."""
    made: list[Path] = []
    try:
        parts = case.beside if case.text is None else (*case.beside, Beside(case.name, "file", case.text))
        for part in parts:
            path = folder / part.name
            try:
                _lay(path, part)
            except (OSError, ValueError):
                continue  # a name that no file can have is a case all the same
            made.append(path)
        yield [str(folder / case.name), *(word for one in case.sets for word in ("--set", one))]
    finally:
        for path in made:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _lay(path: Path, part: Beside) -> None:
    match part.kind:
        case "file":
            with path.open("xb") as file:
                file.write(part.content)
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(os.fsdecode(part.content))
        case "folder":
            path.mkdir()


def examine(words: list[str]) -> tuple[str, str]:
    """`valid` or `refused`, and what is wrong with that; nothing where all is right."""
    try:
        for_people = _validated(words)
        for_programs = _validated([*words, "--json"])
    except TooLong as exc:
        return "lost", f"hangs: more than {CPU_S:g} s of processor in {exc}"
    except BaseException as exc:
        return "lost", f"raises: {type(exc).__name__}: {exc}\n{traceback.format_exc(limit=-4)}"
    end = "valid" if for_people.code == 0 else "refused"
    if for_people.code != for_programs.code:
        return end, f"codes: {for_people.code} for people, {for_programs.code} with --json"
    return end, _wrong_for_people(for_people) or _wrong_for_programs(for_programs)


def _validated(words: list[str]) -> Ended:
    from harness.cli import main

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    former = sys.stdout, sys.stderr
    code: int | None = None
    sys.stdout, sys.stderr = out, err
    try:
        with _bounded(), warnings.catch_warnings():
            warnings.simplefilter("error")
            main(["validate", *words[1:], "--", words[0]])
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else None
    finally:
        sys.stdout, sys.stderr = former
    return Ended(code, *(stream.buffer.getvalue() for stream in (out, err)))


@contextmanager
def _bounded() -> Iterator[None]:
    def late(_number: int, frame: FrameType | None) -> None:
        raise TooLong(f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?")

    former = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def _wrong_for_people(ended: Ended) -> str:
    text = ended.out.decode("utf-8", "replace") + ended.err.decode("utf-8", "replace")
    if ended.code not in (0, 2):
        return f"code: {ended.code}\n{text[-1500:]}"
    if len(text) > OUTPUT_BYTES:
        return f"flood: {len(text):,} characters of output"
    if hidden := _hidden(text):
        return f"hidden: {hidden} in the output"
    if "Traceback (most recent call last)" in text:
        return f"traceback: {text[-1500:]}"
    if ended.code == 2:
        lines = ended.err.decode("utf-8", "replace").splitlines()
        odd = next((line for line in lines if not _LINE.fullmatch(line)), None)
        if odd is not None:
            return f"line: not one of ours: {odd[:200]!r}"
        if ended.out:
            return f"stdout: {ended.out[:200]!r} beside problems"
    return ""


def _wrong_for_programs(ended: Ended) -> str:
    if hidden := _hidden(ended.out.decode("utf-8", "replace")):
        return f"hidden: {hidden} in the JSON"
    try:
        document = json.loads(ended.out.decode("utf-8"))
    except ValueError as exc:
        return f"json: {exc}: {ended.out[:200]!r}"
    if ended.code == 0:
        return "" if document["kind"] == "validate" and document["scenarios"] else f"json: {document}"
    if (document["kind"], document["exit_code"]) != ("error", 2) or not document["problems"]:
        return f"json: {str(document)[:500]}"
    return next(filter(None, map(_wrong_problem, document["problems"])), "")


def _wrong_problem(problem: dict[str, Any]) -> str:
    if not problem["message"].strip() or problem["message"].startswith("not YAML: expected '<document start>'"):
        return f"message: {problem}"
    if not problem["file"] and "option" not in problem["message"].lower():
        return f"file: {problem}"
    if (problem["line"] == 0) != (problem["col"] == 0) or problem["line"] < 0 or problem["col"] < 0:
        return f"place: {problem}"
    path = Path(problem["file"])
    if problem["line"] and path.is_file():
        lines = path.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if problem["line"] > len(lines) or problem["col"] > len(lines[problem["line"] - 1]) + 1:
            return f"place: {problem} is not in the file"
    return ""


def _hidden(text: str) -> str:
    """The first character that acts on a terminal or cannot be seen; ends of lines excepted."""
    for char in text:
        if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return f"U+{ord(char):04X}"
    return ""
