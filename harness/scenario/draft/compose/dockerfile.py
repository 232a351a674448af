"""How a Dockerfile starts its program: ENTRYPOINT and CMD of the last stage. Nothing else in it is understood."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from harness.scenario.draft.source_kind import source_text

_INSTRUCTION: Final = re.compile(r"[ \t]*(FROM|CMD|ENTRYPOINT)[ \t]+(\S.*)", re.IGNORECASE)
_OF_A_SHELL: Final = re.compile(r"[|&;<>$`*?~(){}\\]")


def start_of(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """ENTRYPOINT and CMD as words, empty where the file has none or cannot be read. Variables stay as written."""
    try:
        text = source_text(path)
    except UsageError:
        return (), ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    for line in re.sub(r"\\[ \t]*\n", " ", text).split("\n"):
        match = _INSTRUCTION.fullmatch(line)
        if match is None:
            continue
        match match[1].upper():
            case "FROM":
                entrypoint, command = (), ()
            case "ENTRYPOINT":
                entrypoint = _words(match[2].strip())
            case _:
                command = _words(match[2].strip())
    return entrypoint, command


def _words(text: str) -> tuple[str, ...]:
    """The exec form, a JSON list, or the shell form."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return ()
        return tuple(found) if isinstance(found, list) and all(isinstance(word, str) for word in found) else ()
    if _OF_A_SHELL.search(text):
        return "sh", "-c", text
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return ()
