"""Text of a program within one line of a log: source code, frames, file names, module paths. Pure.

Prose is left as it is. In program text every letter becomes `_`, so that no word is left in it and every index stays
the same. JSON and logfmt are read field by field, and a traceback within a field line by line. Nothing is guessed: a
word that could be either is prose. docs/monitoring.md has the rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from harness.stack.detection.tracebacks import Kind, Tracebacks

_LETTER: Final = re.compile(r"\w")
_ESCAPES: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)")
_PIECE: Final = re.compile(r"(?:[^\\]++|\\(?!n).|\\$)++|\\n")
"""Each line, and each break, of a text whose line breaks are written as `\\n`."""

_TEXTS_KEPT: Final = 128
"""How many texts are cached. A call that fails again and again has the same traceback each time; only the line around
it differs."""

# ---------------------------------------------------------------- whole lines

_FRAME: Final = re.compile(
    # Java, JavaScript and .NET: at com.example.Azure.ask(Azure.java:17), at azure (/x/azure.js:3:5), at /x/azure.js:3:5
    r"\s*at (?:async |new )?(?:[^()]{1,300}\("
    r"(?:[^()]*(?:/[^()]*|\.[A-Za-z]\w*):\d+(?::\d+)?|Native Method|Unknown Source|<anonymous>|index \d+)\)"
    r"|(?:file:|node:|\.{0,2}/|[A-Z]:)\S+:\d+(?::\d+)?|[^()]{1,300}\([^()]*\) in \S.*:line \d+"
    r"|[\w<>`]+(?:[.+][\w<>`\[\],]+)+\([^()]*\))\s*$"
    # Go's files, and the calls of a goroutine
    r"|\s*\S+\.go:\d+(?: \+0x[0-9a-f]+)?\s*$|created by \S+(?: in goroutine \d+)?\s*$"
    r"|[\w./*()-]+\((?:0x[0-9a-f]+|\.\.\.|\{)[^ ]*(?:, [^ ]+)*\)\s*$"
    # Rust's `   3: offers::azure`, PHP's and gdb's `#3 …`
    r"|\s+\d+:\s+\S*::\S*\s*$|\s*#\d+\s+(?:\S+\(\d+\):|0x[0-9a-f]+ in )"
    # the marks under a source line, such as ~~~^^^
    r"|\s*[~^▲]+\s*$"
)
_GO_FILE: Final = re.compile(r"(?:\\t|\s)+\S+\.go:\d+")
_TYPE: Final = re.compile(r"(?:^|(?<=[\s|│┃]))[A-Za-z_][\w.$]*(?=\s*(?::|[\s|│┃]*$))")

# ---------------------------------------------------------------- parts of a line

_SOURCE_FILE: Final = re.compile(
    r"\.(?:pyx?|pyc|pyi|[cm]?[jt]sx?|go|rs|java|kt|scala|rb|php|cs|fs|vb|c|cc|cpp|h|hpp|ex|exs|erl|swift|lua|pl|sh|so|jar"
    r"|whl|dll|json|ya?ml|toml|ini|cfg|conf|env|log|txt|csv|sql|sock|pem|crt|key|lock)(?::\d+)*$"
)
_HOST: Final = re.compile(r"\.(?:com|net|org|io|dev|cloud|svc|internal|local|lan|localdomain|example|test|invalid)$")
_PORT: Final = re.compile(r":\d{4,5}(?!\w)")
_PLACES: Final = (
    "file", "filename", "filepath", "pathname", "module", "func", "funcname", "function", "caller", "lineno",
)  # fmt: skip
"""Fields that state where in a program a line was logged."""
_FAILED: Final = (
    "failed|failing|fails|timeout|down|gone|dead|slow|hangs|hung|late|lost|refused|unreachable|unavailable|error|broken"
    "|degraded|offline|recovered|stuck"
)
_PART: Final = re.compile(
    # prose all the same: a URL or a request is no file, and the name of a host is no module
    r"(?P<said>\b(?!file:)[a-z][a-z0-9+.-]{0,20}://[^\s\"']*|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\s[^\s\"']+"
    r"|\bhost(?:name)?\b[\s=:\"']{1,4}[\w.-]+)"
    r"|(?P<program>"
    # Python's frames and Ruby's
    r"File \\?\"[^\"\n]*\", line \d+(?:, in [^\s\"\\]+)?|(?<![^\s:\"])[^\s:\"]+\.rb:\d+:in [`'][^'`]*'"
    # Python's names for code without a name, and how it prints functions and classes
    r"|<(?:lambda|module|listcomp|genexpr|dictcomp|setcomp|locals|string|stdin|frozen [\w.]+)>"
    r"|<(?:function|bound method|built-in \w+|class|module|coroutine object|generator object)\s[^>\n]{0,200}>"
    # key=lambda i: i.price; but not: lambda failed: no answer
    r"|(?:\b\w+=|(?<=[(,\[{:=])\s?|return )lambda (?:_|\*{0,2}(?P<param>[a-z_]\w*)"
    r"(?=[^:\n]{0,80}:.{0,200}?(?<!\w)(?P=param)(?!\w)))[^:\n]{0,80}:"
    r"|\blambda [a-z_](?:, ?\w+){0,9}:|\b\w+=lambda:\s*[\[({\d\"'\w]+[\])}]"
    r"|\bfrom [\w.]+ import [\w.*(]+(?:, ?\w+)*|\bimport \w+(?:\.\w+)+(?: as \w+)?|\bimport \w+ as \w+"
    # an import on its own; but not: import failed; no answer from import today
    r"|cannot import name|(?:^|(?<=[:;>\"'`(\]])|(?<=[:;>\]] )|(?<=[A-Z]{4} ))import "
    rf"(?!(?:{_FAILED})\b)[a-z_]\w*(?=[;\"'`)]|\s*$)"
    # a definition or a call
    r"|\b(?:await|return|def|class|raise|yield|func|fn|function) [\w.]+\s?\("
    r"|(?<![\w.])[\w.]+\(\)"
    # where loguru logs, offers.azure:ask:42 - the module is kept, because it may name an upstream
    r"|(?<=\w):[\w<>]+:\d+(?= - )"
    rf"|(?<![\w.-])(?i:(?:\w+\.)*(?:{'|'.join(_PLACES)}))=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]+)"
    r")"
    r"|(?<![\w./~@+-])(?P<path>(?:file://)?[\w.~@+-]*/[\w./~@+-]*(?::\d+)*)"
    r"|(?<![\w.:-])(?P<dotted>[\w-]++(?:(?:\.|::)[A-Za-z_$][\w$-]*+)++)"
)

_PATH_PART: Final = re.compile(r"(?P<dotted>[\w-]++(?:\.[A-Za-z_$][\w$-]*+)++)")
_WORDS_MOST: Final = 8
"""How many parts of a module path are compared with the added spellings."""
_MARK: Final = re.compile(r"[/\\(<#^~\u25b2]|[.:][A-Za-z_$:]|lambda[: ]|import |\bat ")
_FIELD_MARK: Final = re.compile(
    rf"[\s\".](?i:{'|'.join(_PLACES)}|frame|locals|vars|call_?stack|stack|traceback|backtrace)[\w-]*[\"=]"
)
"""A line without any of these marks, and without _MARK, has no program text. Nearly every line that names an upstream
is such a line."""


def prose(line: str, spellings: frozenset[str] = frozenset()) -> str:
    """The line with every letter of program text replaced by `_`, of the same length. JSON in it stays JSON.

    `spellings`: the added spellings, in lower case. One that looks like a module path names its upstream all the same.
    """
    if _MARK.search(line) is None and _FIELD_MARK.search(line) is None:
        return line
    fields = _JSON.search(line)
    if fields is None:
        return _lines(line, spellings)
    begin = fields.start()
    return _lines(line[:begin], spellings) + _json(line[begin:], spellings)


def without_type(line: str) -> str:
    """The line of an exception without its type: `struct.error: no answer from azure` does not name an upstream
    `error`."""
    return _TYPE.sub(_hidden, line, count=1)


def _hidden(match: re.Match[str]) -> str:
    return _hide(match[0])


def _hide(text: str) -> str:
    return _LETTER.sub("_", text)


@lru_cache(maxsize=_TEXTS_KEPT)
def _lines(text: str, spellings: frozenset[str]) -> str:
    """A text that may have several lines, with line breaks written as `\\n`."""
    if "\\n" not in text:
        return _line(text, "own", spellings)
    reader = Tracebacks()
    pieces = _PIECE.findall(text)
    read: list[str] = []
    for number, piece in enumerate(pieces):
        if piece == "\\n":
            read.append(piece)
            continue
        kind = reader.read(piece.replace('\\"', '"').replace("\\t", "\t"))
        # Go prints a call in the line above its file
        below = pieces[number + 2] if number + 2 < len(pieces) else ""
        read.append(_hide(piece) if _GO_FILE.match(below) else _line(piece, kind, spellings))
    return "".join(read)


def _line(line: str, kind: Kind, spellings: frozenset[str]) -> str:
    if kind == "program" or _FRAME.match(line):
        return _hide(line)
    if kind == "exception":
        line = without_type(line)

    def part(match: re.Match[str]) -> str:
        text = match[0]
        if match["said"]:
            return text
        if match["path"]:
            return _hide(text) if _SOURCE_FILE.search(text) else _PATH_PART.sub(lambda m: _dotted(m, spellings), text)
        return _dotted(match, spellings) if match["dotted"] else _hide(text)

    return _PART.sub(part, line)


def _dotted(match: re.Match[str], spellings: frozenset[str]) -> str:
    """The last part of a module path may name an upstream (`offers.azure`), the parts before it do not
    (`azure.client`), nor does a file name (`azure.py`). The name of a host is no module path."""
    text, end = match["dotted"], match.end()
    if _SOURCE_FILE.search(text):
        return _hide(text)
    is_host = _HOST.search(text) or _PORT.match(match.string, end)
    if is_host or match.string[end : end + 1] == "=" or _is_spelled(text, spellings):
        return text
    last = max(text.rfind("."), text.rfind(":")) + 1
    return _hide(text[:last]) + text[last:]


def _is_spelled(text: str, spellings: frozenset[str]) -> bool:
    """Whether the path is, or ends in, an added spelling: `models.BackendType.LAMBDA`."""
    words = text.lower().rsplit(".", _WORDS_MOST)
    return any(".".join(words[first:]) in spellings for first in range(len(words) - 1))


# ---------------------------------------------------------------- JSON

_JSON: Final = re.compile(r"\{\s*\"")
_TOKEN: Final = re.compile(r"\"(?P<text>(?:[^\"\\]++|\\.)*+)(?:\"|\\?$)|[{}\[\],:]")
_INNER: Final = ("frames", "frame", "locals", "vars", *_PLACES)
"""Everything under such a key is program text."""
_STACKS: Final = ("stack", "stacktrace", "traceback", "callstack", "backtrace")
"""A string under such a key is read like a log. In a list under it, mappings and indented strings are program text."""


@dataclass(slots=True)
class _Level:
    """A mapping or a list that is not closed yet."""

    is_mapping: bool
    is_program: bool
    is_stack: bool
    key: str | None = None


def _json(text: str, spellings: frozenset[str]) -> str:
    """Each string is read by the rule for its key. Keys are prose, unless they are within program text. The JSON may be
    cut off."""
    levels: list[_Level] = []
    parts: list[str] = []
    at = 0
    for token in _TOKEN.finditer(text):
        sign = token[0][0]
        level = levels[-1] if levels else None
        if sign in "{[":
            levels.append(_opened(sign == "{", level))
        elif sign in "}]":
            if levels:
                levels.pop()
        elif sign == "," and level and level.is_mapping:
            level.key = None
        elif sign == '"' and level:
            string = token["text"]
            if level.is_mapping and level.key is None:
                level.key = _key(string)
                read = _whole_escapes(string, _hide(string)) if level.is_program else string
            elif level.is_program or level.key in _INNER:
                read = _whole_escapes(string, _hide(string))
            elif level.is_stack and not level.is_mapping:
                # traceback.format_exception returns a list of such strings
                read = _whole_escapes(string, _of_stack(string, spellings))
            else:
                read = _whole_escapes(string, _lines(string, spellings))
            parts += text[at : token.start("text")], read
            at = token.end("text")
    return "".join([*parts, text[at:]])


def _opened(is_mapping: bool, level: _Level | None) -> _Level:
    """A mapping in a list under `stack` is a frame; one under `exception` may contain prose."""
    if level is None:
        return _Level(is_mapping, is_program=False, is_stack=False)
    is_stack = level.key in _STACKS or (not level.is_mapping and level.is_stack)
    is_program = level.is_program or level.key in _INNER or (is_mapping and level.is_stack and not level.is_mapping)
    return _Level(is_mapping, is_program, is_stack, None if is_mapping else level.key)


def _key(text: str) -> str:
    """`error.stack_trace`, `stackTrace` and `stack-trace` are the same key; `file.name` counts as `file`."""
    words = text.replace("_", "").replace("-", "").lower().split(".")
    return next((word for word in words if word in _INNER), words[-1])


def _of_stack(text: str, spellings: frozenset[str]) -> str:
    return _hide(text) if text[:1].isspace() else _lines(text, spellings)


def _whole_escapes(text: str, read: str) -> str:
    """The text as read, with its escapes put back: `\\n` and `\\u00e9` are no letters, and without them it would not be
    JSON any more."""
    if "\\" not in text:
        return read
    parts: list[str] = []
    at = 0
    for escape in _ESCAPES.finditer(text):
        parts += read[at : escape.start()], escape[0]
        at = escape.end()
    return "".join([*parts, read[at:]])
