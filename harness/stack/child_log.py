"""Reads the end of a child's log, for messages. What it returns is sanitized, but not redacted."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from harness.text import one_line, shorten_middle

LOG_TAIL_BYTES: Final = 16_384
"""How much of a log's end is read."""
EXCERPT_LINES: Final = 12
_BLOCK_LINES: Final = 200
"""How far back the first line of an indented block, such as a traceback, is looked for."""
_WORD_MOST: Final = 1_024
"""Characters in which the end of a cut first word is looked for."""


def log_tail(path: Path, lines: int = EXCERPT_LINES, since_bytes: int = 0) -> list[str]:
    """The last non-empty lines of a log from the offset `since_bytes` on, sanitized; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(since_bytes, size - LOG_TAIL_BYTES)
            file.seek(begin)
            text = file.read().decode("utf-8", "replace")
            if begin > since_bytes:
                text = _after_a_word(text)
    except OSError:
        return []
    # lines are not shortened here: callers redact secrets first, and some read the end of a line
    return [one_line(line.rstrip(), LOG_TAIL_BYTES) for line in text.splitlines() if line.strip()][-lines:]


def log_excerpt(path: Path, lines: int = EXCERPT_LINES) -> list[str]:
    """The last `lines` lines of a log. If the first of them is indented, as in a traceback, the excerpt begins with the
    line that begins the block, and is shortened in the middle to `lines`.
    """
    found = log_tail(path, _BLOCK_LINES)
    begin = max(0, len(found) - lines)
    while begin > 0 and found[begin].startswith(" "):  # `one_line` has turned tabs into spaces
        begin -= 1
    return shorten_middle(found[begin:], lines)


def _after_a_word(text: str) -> str:
    """`text` without its first word, which may be the end of a secret whose beginning was cut off: redaction would not
    recognise it.
    """
    space = re.search(r"\s", text[:_WORD_MOST])
    return text[space.end() if space else _WORD_MOST :]
