"""The level of a log line: whether the line states one, whether that is WARN or worse, and the line without it. Pure.

It reads text, logfmt and JSON as loggers of many languages write them. It does not guess: a word that only looks like a
level is none, and a line that states no level has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_RAISED_WORDS: Final = (
    "warn", "warning", "error", "err", "critical", "crit", "fatal", "severe", "alert", "emerg", "emergency", "panic",
    "fail", "wrn", "ftl", "pnc",
)  # fmt: skip
_QUIET_WORDS: Final = (
    "trace", "verbose", "debug", "dbug", "info", "information", "notice", "trc", "vrb", "dbg", "inf",
)  # fmt: skip
_WORDS: Final = "|".join(sorted((*_RAISED_WORDS, *_QUIET_WORDS), key=len, reverse=True))
_RAISED: Final = frozenset(_RAISED_WORDS)
_LEVEL_KEYS: Final = ("level", "levelname", "severity", "lvl", "loglevel", "log.level", "log_level", "levelno")
_LEVEL: Final = re.compile(
    # level=error, "level":"error": also within a JSON line too long to be read whole
    rf"(?<![?&])\b(?:level|levelname|severity|lvl|loglevel|log\.level)[\"']?\s*[=:]\s*[\"']?(?P<pair>(?ai:{_WORDS}))\b"
    rf"|[\[<(](?P<bracket>(?ai:{_WORDS}))\s{{0,8}}[\]>)]"
    r"|\[(?P<letter>[CDEFITVW])\]"
    # syslog: fanout[12]: warning: azure
    rf"|\[\d{{1,10}}\]:\s{{0,3}}(?P<program>(?ai:{_WORDS}))(?=[:|\s\]])"
    # the first word, or the first after a time
    rf"|^[\d\-TZ:.,+/|\s\[\]]*(?P<first>(?ai:{_WORDS}))(?=[:|\s\]])"
    # ERROR=0 counts errors
    rf"|(?<![\w-])(?P<upper>{_WORDS.upper()})(?![\w=-])"
    # klog: W0102 15:04:05.678901
    r"|^(?P<klog>[IWEF])\d{4}\s\d\d:"
)
_RAISED_LETTERS: Final = "CEFW"
_QUERY: Final = re.compile(r"\?[\w.%-]+=[^\s\"']*")
"""`/offers?backend=gcp&level=error` has no level."""
_QUOTED: Final = re.compile(r"=\s{0,2}(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
"""The value of a field is not taken for the level if the line has another one: `msg="azure WARN budget" level=info`."""
_TIME: Final = r"(?:[\d\-/.]{6,12}[T ])?\d\d:\d\d[\d:.,+\-Z]{0,20}\s{1,8}"
_OWN_LEVEL: Final = re.compile(
    # `%(levelname)8s`, and what Rust's tracing prints; pino's `    err: {` belongs to the line above it
    rf"[\d\-TZ:.,+/|\s\[\]]*(?:{_WORDS.upper()})(?=[:|\s\]])"
    rf"|{_TIME}(?ai:{_WORDS})(?=[:|\s\]])|(?:{_TIME})?\[(?ai:{_WORDS})\s{{0,8}}\]|(?:level|lvl|severity)="
)
_STAMP: Final = re.compile(r"\[?(?:\d{4}-\d\d-\d\d|\d\d/\d\d/\d\d|\d{4}/\d\d/\d\d)[T\s]\d\d:\d\d:\d\d")


def begins_with_level(text: str) -> bool:
    """Whether an indented line, without its indentation, begins like a log line of its own."""
    return _OWN_LEVEL.match(text) is not None


def begins_with_time(text: str) -> bool:
    """Whether a text begins with a date and a time."""
    return _STAMP.match(text) is not None


def says_level(line: str) -> bool:
    """Whether a line states a level anywhere."""
    return _LEVEL.search(line) is not None


def raised_and_rest(line: str) -> tuple[bool, str]:
    """Whether the line is at WARN or worse, and its text without the word of the level: an upstream may be called
    `error`."""
    document = _document(line)
    if document is not None:
        level = next((key for key in document if key.lower() in _LEVEL_KEYS), None)
        if level is not None:
            others = {key: value for key, value in document.items() if key != level}
            return _is_raised(level, document[level]), "\n".join(_texts(others))
        for nested in document.values():
            if isinstance(nested, dict) and "level" in nested:  # {"log": {"level": "error"}}
                return _is_raised("level", nested.pop("level")), "\n".join(_texts(document))
        line = "\n".join(_texts(document))
    match = _level(line)
    if match is None:
        return False, line
    group = match.lastgroup or ""
    word = match[group]
    raised = word in _RAISED_LETTERS if group in ("klog", "letter") else word.lower() in _RAISED
    return raised, f"{line[: match.start(group)]} {line[match.end(group) :]}"


def _level(line: str) -> re.Match[str] | None:
    """The first place where the line states its level. A place in a quoted text counts only if there is no other."""
    without_query = _QUERY.sub(_spaces, line) if "?" in line else line
    unquoted = _QUOTED.sub(_spaces, without_query) if "=" in without_query else without_query
    return _LEVEL.search(unquoted) or _LEVEL.search(without_query)


def _spaces(found: re.Match[str]) -> str:
    """Spaces of the same length. A quoted single word, such as `level="info"`, is kept."""
    return " " * len(found[0]) if found.re is _QUERY or " " in found[0] else found[0]


def _document(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is or ends in (log collectors put a prefix before it); None if there is none."""
    text = line.rstrip()
    begin = text.find("{")
    if begin < 0 or not text.endswith("}"):
        return None
    try:
        found = json.loads(text[begin:])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_raised(key: str, level: object) -> bool:
    """Whether a level is WARN or worse: by its name, by its number in pino, bunyan and syslog, or by Python's
    (`levelno`)."""
    if isinstance(level, str) and not (level.isascii() and level.isdecimal()):
        word = level.strip()
        return word.lower() in _RAISED or (len(word) == 1 and word in _RAISED_LETTERS)
    if isinstance(level, bool) or not isinstance(level, int | float | str):
        return False
    try:
        number = float(level)
    except OverflowError:  # a JSON number of four hundred digits
        return False
    if number < 10:  # syslog and GELF: 0 emergency … 4 warning, 5 notice
        return number <= 4
    return number >= (30 if key.lower() == "levelno" else 40)


def _texts(value: Any) -> Iterator[str]:
    """Every key with its value, at any depth. It does not recurse, so whatever json.loads could nest raises nothing
    here."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        key, found = stack.pop()
        if isinstance(found, dict):
            yield key
            stack.extend(reversed(found.items()))
        elif isinstance(found, list):
            yield key
            stack.extend(("", item) for item in reversed(found))
        else:
            yield f"{key} {found}"
