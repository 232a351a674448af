"""Makes untrusted text safe to show or store: no hidden characters, no terminal or CI commands, a bounded length.

Names, log lines, error texts and reasons come from scenarios, services and backends. Every output format applies this
module first, and then escapes for HTML, Markdown, XML or a shell by itself. Secrets are redacted by
`harness.secrets.redact` (known values) and `reports.redacted` (what looks like a secret).
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from typing import Any, Final

# C0 (except tab and newline), C1, bidi marks, zero-width and filler characters, line separators, tags, interlinear
# marks, lone surrogates and non-characters: they hide or reverse text, control a terminal, or are invalid in XML
_HIDDEN_SET: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_HIDDEN: Final = re.compile(f"[{_HIDDEN_SET}]")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_HIDDEN_OR_BREAK: Final = re.compile(f"[\n{_HIDDEN_SET}]")
# a CI runner would interpret this in tailgate's output as a command
_COMMAND: Final = re.compile(r"^(\s*):(?=:)|#(#(?=\[))")
_QUOTED: Final = re.compile(r"`([^`]{81,})`")
LINE_MOST: Final = 400
"""The most characters of one untrusted line that are shown."""
MESSAGE_MOST: Final = 1_000
DOCUMENT_MOST: Final = 5_000
FOLDER_BYTES: Final = 120
"""Most file systems allow 255 bytes, some only half of that."""


def sanitize(text: str) -> str:
    """`text` with every hidden character escaped (`\\x1b`, `\\u202e`). Tab and newline stay."""
    return _HIDDEN.sub(_spelled, text)


def is_sanitized(text: str) -> bool:
    return _HIDDEN.search(text) is None


def one_line(text: str, most: int = LINE_MOST) -> str:
    """`text` as one sanitized line of at most about `most` characters: tabs become spaces, line breaks `\\n`."""
    return escape_control(_HIDDEN_OR_BREAK.sub(_spelled, cut(text, most).replace("\t", " ")))


def escape_control(line: str) -> str:
    """The line, escaped so that no CI runner interprets it as a command (`::error …`, `##[error]…`)."""
    return _COMMAND.sub(lambda match: f"{match[1]}\\x3a" if match[2] is None else f"\\x23{match[2]}", line)


def paragraph(text: str, lines: int = 40) -> str:
    """`text` as at most `lines` lines, each sanitized and cut, with a note if there were more."""
    written = text.split("\n")
    more = [f"… ({len(written):,} lines)"] if len(written) > lines else []
    return "\n".join([*(one_line(line, MESSAGE_MOST) for line in written[:lines]), *more])


def split_quote(message: str) -> tuple[str, tuple[str, ...]]:
    """The first line of a message, and the lines after it (of a log, or a command) without their common indentation."""
    sentence, *lines = message.split("\n")
    return sentence, tuple(textwrap.dedent("\n".join(lines)).split("\n")) if lines else ()


def shorten_middle(lines: Sequence[str], most: int) -> list[str]:
    """At most `most` lines: the first third and the end, with a note of how many are left out between them."""
    if len(lines) <= most:
        return list(lines)
    first = most // 3
    last = most - first - 1
    return [*lines[:first], f"… ({len(lines) - first - last:,} lines)", *lines[-last:]]


def folder_name(text: str) -> str:
    """`text` as a folder name that is valid on every file system; empty if no valid character is left."""
    name = re.sub(r"[^\w.=-]+", "-", text).encode("utf-8", "ignore")[:FOLDER_BYTES].decode("utf-8", "ignore")
    return name.strip("-.")


def cut(text: str, most: int) -> str:
    """At most about `most` characters, with a note of how many there were."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… (cut, {len(text):,} characters)"


def listed(names: Sequence[str], most: int) -> str:
    """`a, b, c`; of more than `most` the first, and how many more there are: `a, b and 9 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def enumerated(names: Sequence[str], most: int) -> str:
    """As `listed`, with an `and` before the last one of a few: `a, b and c`."""
    if len(names) < 2 or len(names) > most:
        return listed(names, most)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def shorten(message: str) -> str:
    """A message that quotes untrusted texts in backticks: long quotes are shortened, the rest stays."""
    return cut(_QUOTED.sub(lambda match: f"`{match[1][:60]}…`", message), MESSAGE_MOST)


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """JSON with sorted keys in which hidden characters are JSON escapes, so that it is safe on a terminal.

    It parses to the same document, except for lone surrogates (from bytes of a file name that are not UTF-8): most
    parsers refuse them, so they become text (`\\udc80`).
    """
    text = _HIDDEN.sub(_escaped, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False))
    return _NOT_ASCII.sub(_escaped, text) if ascii_only else text


def sanitize_document(value: Any) -> Any:
    """A JSON-like document in which every string is one sanitized line."""
    if isinstance(value, dict):
        return {one_line(str(key)): sanitize_document(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [sanitize_document(item) for item in value]
    return one_line(value, DOCUMENT_MOST) if isinstance(value, str) else value


def _spelled(match: re.Match[str]) -> str:
    if match[0] == "\n":
        return "\\n"
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        return f"\\\\u{code:04x}"
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
