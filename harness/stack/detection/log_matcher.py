"""Which upstreams a line of the service's log names. Pure.

A line names an upstream if it has a level of WARN or worse and contains the upstream's name as a whole word, or the
address of its listener. INFO and DEBUG lines name no upstream. A line of a traceback, or an indented line without a
level of its own, has the level of the line that it belongs to. Nothing is guessed: a line without any level names no
upstream, a name within a longer word is not that name, and text of a program (`harness.stack.detection.program_text`)
does not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.detection.log_level import begins_with_level, raised_and_rest
from harness.stack.detection.program_text import prose, without_type
from harness.stack.detection.tracebacks import Tracebacks

LINE_MOST: Final = 16_384
"""In characters. Only the beginning of a longer line is read."""
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_CONTINUES: Final = re.compile(r"\s|Caused by:|During handling of|The above exception|\.\.\. \d+ more|goroutine \d")


class UpstreamMatcher:
    """Finds the words of upstreams: names and added spellings as whole words in any case, and `HOST:PORT` or `port N`
    of listeners."""

    def __init__(self, upstreams: Sequence[PlannedUpstream]) -> None:
        self._of_port = {str(upstream.listener.port): upstream.name for upstream in upstreams}
        of_word = {word: upstream.name for upstream in upstreams for word in spelled(upstream)}
        self._of_word = {word.lower(): name for word, name in of_word.items()}
        self.spellings = frozenset(self._of_word)
        """In lower case."""
        self._marks = (*self._of_word, *self._of_port)
        # the longest first: `aws lambda` before `aws`
        words = "|".join(re.escape(word) for word in sorted(of_word, key=len, reverse=True))
        ports = "|".join(self._of_port)
        # a hyphen joins words: gcp-eu is not the upstream gcp, nor is azure-west azure
        word = rf"(?<!\w)(?<!\w-)(?P<name>(?ai:{words}))(?!\w)(?!-\w)"
        # 127.0.0.1:41000, and as Python prints a pair: ('127.0.0.1', 41000)
        host = r"(?:\d|\]|\blocalhost|//[\w.-]+):|(?:\d{1,3}(?:\.\d{1,3}){3}|::1|\blocalhost)[\"'],\s?"
        address = rf"(?:{host}|\bport[\"']?[\s=:]+[\"']?)(?P<port>{ports})(?!\w)"
        self._pattern = re.compile(f"{word}|{address}" if upstreams else r"(?!)")

    def places(self, text: str) -> dict[str, int]:
        """The upstreams that `text` has a word of, whatever its level, each with the index of the first one."""
        found: dict[str, int] = {}
        small = text.lower()
        # true of nearly every line, and much faster than the pattern
        if not any(mark in small for mark in self._marks):
            return found
        for match in self._pattern.finditer(text):
            word = match["name"]
            name = self._of_word[word.lower()] if word else self._of_port[match["port"]]
            found.setdefault(name, match.start("name" if word else "port"))
        return found


def spelled(upstream: PlannedUpstream) -> tuple[str, ...]:
    """All words that mean this upstream."""
    return upstream.name, *upstream.known_as


class LogParser:
    """Reads a log line by line, in order: a traceback's lines have the level of the line before it."""

    def __init__(self, names: UpstreamMatcher) -> None:
        self._names = names
        self._tracebacks = Tracebacks()
        self._head = ""
        self._head_is_raised: bool | None = None
        """None: not computed yet, because only a line with an upstream's name below the head needs it."""

    def named(self, line: str) -> frozenset[str]:
        """The upstreams that the log's next line names."""
        return frozenset(self.heard(line)[0])

    def heard(self, line: str) -> tuple[dict[str, int], dict[str, int]]:
        """For the log's next line: the upstreams that it names, and, if it names none, those that it only mentions.
        Each with the index of the word in the line without colours."""
        line = plain(line[:LINE_MOST])
        kind = self._tracebacks.read(line)
        continues = kind != "own" or _continues(line)
        if not continues:
            self._head, self._head_is_raised = line, None
        mentioned = self._names.places(line)
        if not mentioned or kind == "program":  # decided before anything costly
            return {}, mentioned
        if continues and self._head_is_raised is None:
            self._head_is_raised = raised_and_rest(self._head)[0]
        is_raised, rest = (self._head_is_raised, line) if continues else raised_and_rest(line)
        if not is_raised:
            return {}, mentioned
        text = prose(line, self._names.spellings)
        if kind == "exception":
            text = without_type(text)
        if text != line:
            rest = text if continues else raised_and_rest(text)[1]
        in_prose = mentioned if text == line else self._names.places(text)
        named = {name: in_prose.get(name, 0) for name in self._names.places(rest)}
        return named, {} if named else mentioned


def _continues(line: str) -> bool:
    """Whether a line belongs to the line before. An empty line does: it separates the tracebacks of a chain."""
    if not line:
        return True
    return _CONTINUES.match(line) is not None and not (line[0].isspace() and begins_with_level(line.lstrip()))


def plain(line: str) -> str:
    """The line without colours and the other escape sequences that a terminal does not show."""
    return _ANSI.sub("", line) if "\x1b" in line else line
