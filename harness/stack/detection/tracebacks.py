"""Tracebacks in a log: which lines are program text, and which line is the exception's own. Pure; reads line by line.

It knows Python's tracebacks, chained ones and those of exception groups, and rich's in their boxes. A traceback that
never ends does not hide the rest of the log: a line with a level or a time of its own ends it, and so does a line at
the margin that is no exception. Frames that can be recognised by themselves, those of other languages, are left to
`harness.stack.detection.program_text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from harness.stack.detection.log_level import begins_with_level, begins_with_time, says_level

Kind = Literal["own", "beneath", "program", "exception"]
"""`own`: not a line of a traceback. `beneath`: it belongs to the line above it and is no program text. `exception`: the
last line of a traceback, `TimeoutError: azure did not answer`."""

LINES_MOST: Final = 2_000
"""A traceback that is longer counts as ended."""
_OWED_LINES: Final = 3
"""A line of another thread may cut a frame off. For this many lines after it, the source line of its `File "…", line 3,
in ask` may still follow."""
_HEADER: Final = re.compile(
    # rich breaks the line here if the terminal has 80 columns
    r"(?:Exception Group )?(?P<word>Traceback|Stack) \(most(?: recent(?: call(?: last\):?)?)?)?\s*$"
)
_FILE: Final = re.compile(r"\s*File \"[^\"]*\"")
_FILE_MARGIN: Final = re.compile(r"(?P<margin>[\s|+]*?)(?:  )?File \"[^\"]*\"")
_MARGIN: Final = " \t|+-"
_DIGIT: Final = re.compile(r"\d")
_WIDE: Final = 8
"""RichHandler prints messages at least this far to the right, and a source line that is too long continues there."""
_EXCEPTION: Final = re.compile(r"[A-Za-z_][\w.$]*\s*(?::|$)")
_SURE_EXCEPTION: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*|\w*(?:error|exit|interrupt|timeout))\s*(?::|$)")

_OF_GROUP: Final = re.compile(r"\s*[|+] \S")
_BETWEEN: Final = re.compile(r"\s*$|During handling of |The above exception ")
"""Lines between the tracebacks of a chain."""

_BOX: Final = re.compile(
    r"[╭┌┏][─━]+ ?(?P<title>[^─━]*?) ?[─━]*[╮┐┓]\s*$"
    r"|\+-+ (?P<ascii>Traceback \(most[^-]*|Sub-exception #\d+) -+\+\s*$"
)
_SIDES: Final = "│┃|"
_BOTTOM: Final = re.compile(r"[╰└┗][─━]|\+-")


@dataclass(slots=True)
class _Block:
    """A traceback without a box. `margin`: what comes before its header in the line."""

    margin: str
    has_exception: bool
    """False: a stack that was printed (`stack_info=True`) ends without an exception."""
    lines: int = 0
    source_due: bool = False

    @property
    def is_wide(self) -> bool:
        return len(self.margin) >= _WIDE and not self.margin[:_WIDE].strip()


class Tracebacks:
    """Reads a log line by line, in order."""

    def __init__(self) -> None:
        self._block: _Block | None = None
        self._boxes: list[bool] = []
        """From the outermost: whether the box contains the messages of a group's exceptions, and not program text."""
        self._box_margin = ""
        self._box_lines = 0
        self._exception_due = False
        self._chain_margin = ""
        """What a log collector put before the last traceback. Another one of the same chain may follow."""
        self._owed = 0

    def read(self, line: str) -> Kind:
        """The kind of the log's next line. Colours must have been removed."""
        if self._boxes:
            return self._in_box(line)
        if self._block:
            return self._in_block(line, self._block)
        if self._exception_due and line.strip():
            self._exception_due = False
            if _is_exception(line.strip()):
                return "exception"
        if self._chain_margin:
            margin = self._chain_margin
            if _alike(line[: len(margin.rstrip())], margin.rstrip()) and _BETWEEN.match(line, len(margin)):
                return "beneath"
            self._chain_margin = ""
        if "(most" in line and (header := _HEADER.search(line)):
            return self._begun(line, header)
        if ("╭" in line or "┌" in line or "┏" in line or "+-" in line) and (box := _BOX.search(line)):
            return self._boxed(line[: box.start()], box)
        if line[:1] in " \t|" and line:
            return self._frame(line)
        self._owed = max(0, self._owed - 1)
        return "own"

    # ------------------------------------------------------------ without a box

    def _begun(self, line: str, header: re.Match[str]) -> Kind:
        """A traceback begins. `ERROR azure failed: Traceback …` is a line of its own; a log collector may have put a
        name before the header."""
        margin = line[: header.start()]
        self._block = _Block(margin, header["word"] == "Traceback")
        if not margin.strip(_MARGIN):
            return "program"
        return "own" if says_level(margin) else "beneath"

    def _frame(self, line: str) -> Kind:
        """An indented line outside any traceback. It may be a frame that a line of another thread cut off."""
        if 'File "' in line and (frame := _FILE_MARGIN.match(line)):
            self._block = _Block(frame["margin"], has_exception=True, source_due=True)
            return "program"
        if self._owed and line.startswith("    ") and not begins_with_level(line.lstrip()):
            self._owed = 0
            self._block = _Block("", has_exception=True)
            return "program"
        self._owed = max(0, self._owed - 1)
        return "own"

    def _in_block(self, line: str, block: _Block) -> Kind:
        block.lines += 1
        inner = _inner(line, block)
        if inner is None or block.lines > LINES_MOST:
            return self._over(line, block)
        if not inner.strip():
            return "program"
        if "(most" in line and (header := _HEADER.search(line)):
            return self._begun(line, header)
        text = inner.lstrip(_MARGIN) if block.is_wide else inner
        if inner[0].isspace() or (block.is_wide and not _SURE_EXCEPTION.match(text)):
            # a source line may look like anything: `    ERROR: Final = "lambda"`
            if not block.source_due and (begins_with_level(inner.lstrip()) or begins_with_time(inner.lstrip())):
                return self._over(line, block)
            if block.is_wide and _SURE_EXCEPTION.match(text) and _OF_GROUP.match(inner):
                self._block = None
                return "exception"
            block.source_due = _FILE.match(inner) is not None
            return "program"
        if block.has_exception and _EXCEPTION.match(text) and not says_level(text):
            self._block = None
            self._chain_margin = block.margin.strip(_MARGIN) and block.margin
            return "exception"
        return self._over(line, block)

    def _over(self, line: str, block: _Block) -> Kind:
        """The traceback ended before this line."""
        self._block = None
        self._owed = _OWED_LINES if block.source_due else 0
        return self.read(line)

    # ------------------------------------------------------------ in a box

    def _boxed(self, margin: str, box: re.Match[str]) -> Kind:
        """A box opens. A box with a title of the service's own contains the service's own lines."""
        title = box["title"] if box["title"] is not None else box["ascii"]
        is_prose = title.startswith("Sub-exception")
        if title and not (is_prose or title.startswith("Trac")):
            return "own"
        if not self._boxes:
            self._box_margin, self._box_lines = margin, 0
        self._boxes.append(is_prose)
        return "program"

    def _in_box(self, line: str) -> Kind:
        self._box_lines += 1
        margin = self._box_margin
        text = line
        if margin.strip() and _alike(line[: len(margin)], margin):
            text = line[len(margin) :]
        text = text.strip()
        for depth, is_prose in enumerate(self._boxes):
            if _BOTTOM.match(text):
                del self._boxes[depth:]
                self._exception_due = True
                return "program"
            if text[:1] not in _SIDES or not text or self._box_lines > LINES_MOST:
                self._boxes.clear()
                return self.read(line)
            if not is_prose:
                return "program"
            text = text[1:].rstrip().rstrip(_SIDES).strip()
        if box := _BOX.match(text):
            return self._boxed("", box)
        return "exception" if _is_exception(text) else "beneath"


def _inner(line: str, block: _Block) -> str | None:
    """The line without the margin. None if it begins further left, and so does not belong to the traceback."""
    margin = block.margin
    if block.is_wide:
        indent, least = _blanks(line), _blanks(margin)
        return None if indent < _WIDE and line.strip() else line[min(indent, least) :]
    head = line[: len(margin)]
    if not margin.strip(_MARGIN):
        return None if head.strip(_MARGIN) else line[len(margin) :]
    return line[len(margin) :] if _alike(head, margin) else line


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _alike(one: str, other: str) -> bool:
    """Whether the same prefix was put before both lines. Digits may differ, as times and numbers do."""
    return _DIGIT.sub("0", one) == _DIGIT.sub("0", other)


def _is_exception(text: str) -> bool:
    return _EXCEPTION.match(text) is not None and not says_level(text)
