"""Which upstreams a line of the service's log names. Pure.

A line names an upstream when it has a level of WARN or worse and says the upstream's name as a whole word, or the
address of its listener. INFO and DEBUG lines name nobody; a line of a traceback, or an indented one without a level of
its own, has the level of what it belongs to. It refuses to guess: a line without any level names nobody, a name within
a longer word is not that name, and text of a program (`harness.stack.detection.program_text`) says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from harness.rundir.plan import PlannedUpstream
from harness.stack.detection.log_level import begins_with_level, raised_and_rest
from harness.stack.detection.program_text import prose, without_type
from harness.stack.detection.tracebacks import Tracebacks

LINE_MOST: Final = 16_384
"""Of a longer line only the beginning is looked at."""
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_CONTINUES: Final = re.compile(r"\s|Caused by:|During handling of|The above exception|\.\.\. \d+ more|goroutine \d")


class UpstreamMatcher:
    """The words by which upstreams are known: names and added spellings as whole words in any case, and `HOST:PORT` or
    `port N`."""

    def __init__(self, upstreams: Sequence[PlannedUpstream]) -> None:
        self._of_port = {str(upstream.listener.port): upstream.name for upstream in upstreams}
        of_word = {word: upstream.name for upstream in upstreams for word in spelled(upstream)}
        self._of_word = {word.lower(): name for word, name in of_word.items()}
        self.spellings = frozenset(self._of_word)
        """In small letters."""
        self._marks = (*self._of_word, *self._of_port)
        # `aws lambda` before `aws`
        words = "|".join(re.escape(word) for word in sorted(of_word, key=len, reverse=True))
        ports = "|".join(self._of_port)
        # a hyphen joins: the upstream gcp is not meant by gcp-eu, nor azure by azure-west
        word = rf"(?<!\w)(?<!\w-)(?P<name>(?ai:{words}))(?!\w)(?!-\w)"
        # 127.0.0.1:41000, and as Python prints a pair: ('127.0.0.1', 41000)
        host = r"(?:\d|\]|\blocalhost|//[\w.-]+):|(?:\d{1,3}(?:\.\d{1,3}){3}|::1|\blocalhost)[\"'],\s?"
        address = rf"(?:{host}|\bport[\"']?[\s=:]+[\"']?)(?P<port>{ports})(?!\w)"
        self._pattern = re.compile(f"{word}|{address}" if upstreams else r"(?!)")

    def places(self, text: str) -> dict[str, int]:
        """The upstreams that `text` holds a word for, whatever its level, and where it does first."""
        found: dict[str, int] = {}
        small = text.lower()
        if not any(mark in small for mark in self._marks):  # of nearly every line, and much faster than the pattern
            return found
        for match in self._pattern.finditer(text):
            word = match["name"]
            name = self._of_word[word.lower()] if word else self._of_port[match["port"]]
            found.setdefault(name, match.start("name" if word else "port"))
        return found


def spelled(upstream: PlannedUpstream) -> tuple[str, ...]:
    """All that means this upstream."""
    return upstream.name, *upstream.known_as


class LogParser:
    """Reads a log line by line, in order: a traceback's lines have the level of the line before it."""

    def __init__(self, names: UpstreamMatcher) -> None:
        self._names = names
        self._tracebacks = Tracebacks()
        self._head = ""
        self._head_is_raised: bool | None = None
        """Not asked for yet: a head without a name in what follows costs nothing."""

    def named(self, line: str) -> frozenset[str]:
        """The upstreams that this line, the log's next, names."""
        return frozenset(self.heard(line)[0])

    def heard(self, line: str) -> tuple[dict[str, int], dict[str, int]]:
        """Of this line, the log's next: the upstreams that it names, and, where it names none, those that it holds.
        Each with the place of the word in the line, colours left out."""
        line = plain(line[:LINE_MOST])
        kind = self._tracebacks.read(line)
        continues = kind != "own" or _continues(line)
        if not continues:
            self._head, self._head_is_raised = line, None
        held = self._names.places(line)
        if not held or kind == "program":  # before anything costly
            return {}, held
        if continues and self._head_is_raised is None:
            self._head_is_raised = raised_and_rest(self._head)[0]
        is_raised, rest = (self._head_is_raised, line) if continues else raised_and_rest(line)
        if not is_raised:
            return {}, held
        text = prose(line, self._names.spellings)
        if kind == "exception":
            text = without_type(text)
        if text != line:
            rest = text if continues else raised_and_rest(text)[1]
        said = held if text == line else self._names.places(text)
        named = {name: said.get(name, 0) for name in self._names.places(rest)}
        return named, {} if named else held


def _continues(line: str) -> bool:
    """Whether it belongs to the line before; an empty one stands between the tracebacks of a chain."""
    if not line:
        return True
    return _CONTINUES.match(line) is not None and not (line[0].isspace() and begins_with_level(line.lstrip()))


def plain(line: str) -> str:
    """Without colours and the other escape sequences that a terminal swallows."""
    return _ANSI.sub("", line) if "\x1b" in line else line
