"""Whom a service blames: which upstreams a line of its log names, and which its alert metric holds raised. Pure.

A line names an upstream when it has a level of WARN or worse and holds the upstream's name as a whole word, or the
address of its listener. INFO and DEBUG lines name nobody; a line of a traceback, or an indented one without a level of
its own, has the level of what it belongs to. It refuses to guess: a line without any level names nobody, and a name
within a longer word is not that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from harness.plan import PlannedUpstream

LINE_MOST: Final = 16_384
"""Of a longer line only the beginning is looked at."""
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
"""What a field says is no level, if another is to be found: `msg="azure WARN budget" level=info`."""
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_CONTINUES: Final = re.compile(
    r"\s|Traceback \(most recent|Caused by:|During handling of|The above exception|\.\.\. \d+ more|goroutine \d"
)
_TRACEBACK: Final = re.compile(r"[\s|+]*(?:Traceback \(most recent|Exception Group Traceback|File \")")
"""Of Python's, which ends in a line at the margin."""
_TIME: Final = r"(?:[\d\-/.]{6,12}[T ])?\d\d:\d\d[\d:.,+\-Z]{0,20}\s{1,8}"
_OWN_LEVEL: Final = re.compile(
    # `%(levelname)8s`, and what Rust's tracing prints; pino's `    err: {` is a part of what it stands below
    rf"[\d\-TZ:.,+/|\s\[\]]*(?:{_WORDS.upper()})(?=[:|\s\]])"
    rf"|{_TIME}(?ai:{_WORDS})(?=[:|\s\]])|(?:{_TIME})?\[(?ai:{_WORDS})\s{{0,8}}\]|(?:level|lvl|severity)="
)
"""How an indented line begins that is a line of its own."""
_ENDS_TRACEBACK: Final = re.compile(r"[A-Za-z_][\w.$]*(?::|$)")
_ALERT_LINE: Final = re.compile(
    r"(?P<metric>[A-Za-z_:][\w:]*)(?:\{(?P<labels>(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\})?\s+(?P<value>\S+)"
)
_LABEL_VALUE: Final = re.compile(r"=\s*\"((?:[^\"\\]|\\.)*)\"")
_ESCAPE: Final = re.compile(r"\\(.)")


class Names:
    """The words by which upstreams are known: names as whole words in any case, and `HOST:PORT` or `port N`."""

    def __init__(self, upstreams: Sequence[PlannedUpstream]) -> None:
        self._of_port = {str(upstream.listen_port): upstream.name for upstream in upstreams}
        names = "|".join(re.escape(upstream.name) for upstream in upstreams)
        ports = "|".join(self._of_port)
        # a hyphen joins: the upstream gcp is not meant by gcp-eu, nor azure by azure-west
        word = rf"(?<!\w)(?<!\w-)(?P<name>(?ai:{names}))(?!\w)(?!-\w)"
        # 127.0.0.1:41000, and as Python prints a pair: ('127.0.0.1', 41000)
        host = r"(?:\d|\]|\blocalhost|//[\w.-]+):|(?:\d{1,3}(?:\.\d{1,3}){3}|::1|\blocalhost)[\"'],\s?"
        address = rf"(?:{host}|\bport[\"']?[\s=:]+[\"']?)(?P<port>{ports})(?!\w)"
        self._pattern = re.compile(f"{word}|{address}" if upstreams else r"(?!)")

    def within(self, text: str) -> frozenset[str]:
        """The upstreams that `text` holds a word for, whatever its level."""
        return frozenset(
            match["name"].lower() if match["name"] else self._of_port[match["port"]]
            for match in self._pattern.finditer(text)
        )


class Blame:
    """Reads a log line by line, in order: a traceback's lines have the level of the line before it."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._head = ""
        self._head_is_raised: bool | None = None
        """Not asked for yet: a head without a name in what follows costs nothing."""
        self._in_traceback = False

    def named(self, line: str) -> frozenset[str]:
        """The upstreams that this line, the log's next, names."""
        return self.heard(line)[0]

    def heard(self, line: str) -> tuple[frozenset[str], frozenset[str]]:
        """Of this line, the log's next: the upstreams that it names, and those that it holds without naming them."""
        line = plain(line[:LINE_MOST])
        continues = self._continues(line)
        if not continues:
            self._head, self._head_is_raised = line, None
        held = self._names.within(line)
        if not held:  # of nearly every line, so before anything costly
            return held, held
        if not continues:
            named = _blamed(line, self._names)
            return named, frozenset() if named else held
        if self._head_is_raised is None:
            self._head_is_raised = _level_and_rest(self._head)[0]
        return (held, frozenset()) if self._head_is_raised else (frozenset(), held)

    def _continues(self, line: str) -> bool:
        if not line:  # between the tracebacks of a chain
            return True
        own_level = line[0].isspace() and _OWN_LEVEL.match(line.lstrip()) is not None
        if not own_level and _CONTINUES.match(line):
            self._in_traceback = self._in_traceback or _TRACEBACK.match(line) is not None
            return True
        # the exception itself stands at the margin again: `TimeoutError: azure`
        ends = self._in_traceback and _ENDS_TRACEBACK.match(line) is not None and _LEVEL.search(line) is None
        self._in_traceback = False
        return ends


def plain(line: str) -> str:
    """Without colours and the other escape sequences that a terminal swallows."""
    return _ANSI.sub("", line) if "\x1b" in line else line


def _blamed(line: str, names: Names) -> frozenset[str]:
    raised, rest = _level_and_rest(line)
    return names.within(rest) if raised else frozenset()


def _level_and_rest(line: str) -> tuple[bool, str]:
    """Whether the line is of WARN or worse, and its text without the word that says so: an upstream may be called
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
    """The first place where the line says its level; what stands in a quoted text counts only if there is no other."""
    asked = _QUERY.sub(_spaces, line) if "?" in line else line
    unquoted = _QUOTED.sub(_spaces, asked) if "=" in asked else asked
    return _LEVEL.search(unquoted) or _LEVEL.search(asked)


def _spaces(found: re.Match[str]) -> str:
    """As long as what was found; a single word, such as `level="info"`, is kept."""
    return " " * len(found[0]) if found.re is _QUERY or " " in found[0] else found[0]


def _document(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is, or ends in (what collects logs puts a prefix before it)."""
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
    """A level by name, or by number as pino, bunyan and syslog count, or Python (`levelno`)."""
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
    """Every key with its value, at any depth. Raises nothing: what json.loads could nest, this can walk."""
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


def is_metrics(text: str) -> bool:
    """Whether an answer may be Prometheus' text: its first line is a comment or a sample, or it holds nothing."""
    first = next((line for line in text.splitlines() if line.strip()), "#")
    match = _ALERT_LINE.match(first)
    return first.startswith("#") or (match is not None and _number(match["value"]) is not None)


def holds_samples(text: str) -> bool:
    """Whether Prometheus' text says anything of anything."""
    return any(line.strip() and not line.startswith("#") for line in text.splitlines())


def alerts(text: str, metric: str, upstreams: Sequence[str]) -> dict[str, bool]:
    """Which upstreams samples of `metric` are about (any label's value is the name), and whether one is above zero.

    `text` is Prometheus' text format; lines that are not, and values that are no number, are passed over.
    """
    found: dict[str, bool] = {}
    for line in text.splitlines():
        if not line.startswith(metric):
            continue
        match = _ALERT_LINE.match(line)
        if match is None or match["metric"] != metric:
            continue
        value = _number(match["value"])
        if value is None:
            continue
        raised = value > 0
        values = {_ESCAPE.sub(r"\1", value) for value in _LABEL_VALUE.findall(match["labels"] or "")}
        for name in upstreams:
            if name in values:
                found[name] = found.get(name, False) or raised
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
