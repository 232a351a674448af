"""Parses a YAML text into a tree with positions, or reports all that is wrong with its structure.

The text is read by the YAML 1.2 core schema, event by event with ruamel.yaml, so that a document that is too large or
too deep is refused before it is built. Refused are duplicate keys, merge keys (unless the caller allows them), tags,
keys that are not text, several documents in a file, aliases that grow without end, and characters that cannot be
written to a UTF-8 file. All structural problems of a file are reported at once; a syntax error is reported alone, since
nothing can be read after it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from harness.errors import Problem
from harness.model.tree import MappingNode, Node, Position, Scalar, ScalarNode, SequenceNode, Source

NODES_MAX: Final = 20_000
DEPTH_MAX: Final = 64
BYTES_MAX: Final = 1_000_000
UNHOLDABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""NUL and lone surrogates. Escapes in double quotes can produce them; no argument, file name, header or UTF-8 file may
contain them."""


def parse(
    text: str,
    source: Source,
    *,
    noun: str = "scenario",
    merges: bool = False,
    not_yaml: str = "not YAML",
    nodes_most: int = NODES_MAX,
) -> tuple[Node | None, tuple[Problem, ...]]:
    """The document in `text` (None: empty) and what is wrong with its structure. Never raises.

    `noun`: what the document is, for messages. `not_yaml`: how the message of a syntax error begins. `merges`: whether
    `<<` merges mappings, as YAML 1.1 has it and compose files use it. `nodes_most`: keys and values; an alias counts as
    often as what it stands for.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    reader = _Reader(source, noun, merges=merges, nodes_most=nodes_most)
    try:
        node = reader.document(YAML(typ="safe", pure=True).parse(text))
    except _Refused as exc:
        return None, (*reader.problems, exc.problem)
    except MarkedYAMLError as exc:
        return None, (_syntax_problem(exc, source, noun, not_yaml),)
    except ReaderError as exc:
        before = text[: exc.position]
        place = Position(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return None, (place.problem("", f"YAML allows no character {ord(text[exc.position]):#04x}", "remove it"),)
    except (YAMLError, ValueError) as exc:
        return None, (Problem(source.name, 0, 0, "", f"{not_yaml}: {_why(exc)}", "correct the YAML"),)
    # no tree: every later check would report such a character again
    return (None if reader.unholdable else node), tuple(reader.problems)


class _Refused(Exception):
    """Parsing stops at this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class _Reader:
    """Builds a tree from the parser's events, and collects problems."""

    def __init__(self, source: Source, noun: str, *, merges: bool, nodes_most: int) -> None:
        self._source = source
        self._noun = noun
        self._merges = merges
        self._nodes_most = nodes_most
        self._events: Iterator[Any] = iter(())
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        """The node of each anchor and its number of nodes; None while the node is still being read."""
        self._count = 0
        self.problems: list[Problem] = []
        self.unholdable = False

    def document(self, events: Iterator[Any]) -> Node | None:
        """The one document of the stream. Raises _Refused."""
        self._events = events
        node: Node | None = None
        for event in events:
            match type(event).__name__:
                case "DocumentStartEvent" if node is not None:
                    message = f"a file contains one {self._noun}, and this one begins a second"
                    self._refuse(self._place(event.start_mark), "", message, "move it to a file of its own")
                case "ScalarEvent" | "SequenceStartEvent" | "MappingStartEvent" | "AliasEvent":
                    node = self._read(event, "", 0)
        return node

    def _read(self, event: Any, path: str, depth: int) -> Node:
        place = self._place(event.start_mark)
        before = self._count
        self._counted(1, place)
        if type(event).__name__ == "AliasEvent":
            return self._aliased(event.anchor, place)
        if depth > DEPTH_MAX:
            self._refuse(
                place, path, f"more than {DEPTH_MAX} levels are too deep for a {self._noun}", "make it flatter"
            )
        if event.tag is not None and not str(event.tag).startswith("tag:yaml.org,2002:"):
            self._report(place, path, f"the tag `{event.tag}` means nothing here", "remove it")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._content(event, path, depth, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _aliased(self, anchor: str, place: Position) -> Node:
        known = self._anchors.get(anchor)
        if known is None:
            if anchor in self._anchors:
                self._refuse(place, "", f"`*{anchor}` is within the value that it stands for", "write the value out")
            fix = f"name a value `&{anchor}` before it; a text that begins with `*` needs quotes"
            self._refuse(place, "", f"there is no anchor `&{anchor}` before this", fix)
        node, size = known
        self._counted(size - 1, place)
        return node

    def _content(self, event: Any, path: str, depth: int, place: Position) -> Node:
        match type(event).__name__:
            case "ScalarEvent":
                text = str(event.value)
                if found := UNHOLDABLE.search(text):
                    self._report(
                        place, path, f"a text may not contain the character U+{ord(found[0]):04X}", "remove it"
                    )
                    self.unholdable = True
                # with a style (quotes, | or >) every scalar is text
                return ScalarNode(place, text, plain=False) if event.style else ScalarNode(place, _core_scalar(text))
            case "SequenceStartEvent":
                items: list[Node] = []
                while type(inner := next(self._events)).__name__ != "SequenceEndEvent":
                    items.append(self._read(inner, f"{path}[{len(items)}]", depth + 1))
                return SequenceNode(place, tuple(items), flow=bool(event.flow_style))
        return self._mapping(path, depth, place)

    def _mapping(self, path: str, depth: int, place: Position) -> MappingNode:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        merged: list[MappingNode] = []
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key_place = self._place(event.start_mark)
            key = self._key(event, path, depth)
            inner = path if key is None else f"{path}.{key}" if path else key
            value = self._read(next(self._events), inner, depth + 1)
            if key is None:
                self._report(key_place, path, "a key must be text", "write `key: value`; quote a key with brackets")
            elif key == "<<" and self._merges:
                merged += self._merge_sources(value, key_place, inner)
            elif key == "<<":
                fix = "use `extends`" if self._noun == "scenario" else "write them out"
                self._report(key_place, inner, "merge keys (`<<`) are not part of YAML 1.2", fix)
            elif key in entries:
                first = f"the first is on line {keys[key].line}; keep one"
                self._report(key_place, inner, f"`{key}` is written twice", first)
            else:
                # the parser gives a missing value the position of whatever comes next
                empty = isinstance(value, ScalarNode) and value.value is None and value.place.line != key_place.line
                entries[key] = ScalarNode(key_place, None) if empty else value
                keys[key] = key_place
        for below in merged:  # a key of the mapping itself wins, then the first mapping that has it
            entries = {**below.entries, **entries}
            keys = {**below.keys, **keys}
        return MappingNode(place, entries, keys)

    def _merge_sources(self, value: Node, place: Position, path: str) -> list[MappingNode]:
        nodes = value.items if isinstance(value, SequenceNode) else (value,)
        mappings = [node for node in nodes if isinstance(node, MappingNode)]
        if len(mappings) < len(nodes):
            self._report(place, path, "`<<` merges mappings only", "name the anchor of a mapping")
        return mappings

    def _key(self, event: Any, path: str, depth: int) -> str | None:
        """The key as written; None if it is not text, and is then skipped."""
        node = self._read(event, path, depth + 1)
        if type(event).__name__ == "ScalarEvent":
            return str(event.value)
        return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None

    def _counted(self, nodes: int, place: Position) -> None:
        self._count += nodes
        if self._count > self._nodes_most:
            what = f"a {self._noun} has at most {self._nodes_most:,} keys and values, with aliases written out"
            self._refuse(place, "", what, "write a shorter one")

    def _refuse(self, place: Position, path: str, message: str, fix: str) -> NoReturn:
        raise _Refused(place.problem(path, message, fix))

    def _place(self, mark: Any) -> Position:
        return Position(self._source, mark.line + 1, mark.column + 1)

    def _report(self, place: Position, path: str, message: str, fix: str) -> None:
        self.problems.append(place.problem(path, message, fix))


_INT = re.compile(r"[-+]?[0-9]{1,30}")
_OTHER_INT = re.compile(r"0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,3})?")


def _core_scalar(text: str) -> Scalar:
    """A plain scalar's value by the core schema of YAML 1.2: `yes`, `on` and `12:30` are text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _OTHER_INT.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


# ---------------------------------------------------------------- syntax errors and their usual causes

_TRAP_MOST: Final = 1_000
"""Characters of a line that are searched: the search for a template is quadratic in the length."""
_TEMPLATE: Final = re.compile(r"(?<![\"'{$\w])[^\s\"',{}\[\]]*(\{[a-z][a-z0-9.-]*\})")


def _syntax_problem(exc: Any, source: Source, noun: str, not_yaml: str) -> Problem:
    mark = exc.problem_mark or exc.context_mark
    if mark is None:
        return Problem(source.name, 0, 0, "", f"{not_yaml}: {exc.problem or exc.context}")
    place = Position(source, mark.line + 1, mark.column + 1)
    what = str(exc.problem or exc.context or "cannot be read").replace("\n", " ")
    if "<document start>" in what:
        return place.problem(
            "", f"nothing may follow here: the {noun} has ended", "correct the indentation, or remove this"
        )
    if "\\t" in what or "'\t'" in what:
        return place.problem("", "YAML is indented with spaces, and this is a tab", "indent with spaces")
    for line in _lines_before(source, mark.line):
        template = _TEMPLATE.search(line[:_TRAP_MOST].split(" #")[0])
        if template and ("{" in line[: template.start(1)] or "[" in line[: template.start(1)]):
            return place.problem(
                "",
                f"the unquoted {template[1]} inside {{ }} or [ ] is read as a mapping",
                f'put the whole value in quotes, like "{template[0].strip()}"',
            )
    return place.problem("", f"{not_yaml}: {what}", _hint(what))


def _why(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__


def _lines_before(source: Source, index: int) -> Iterator[str]:
    """The line of the error and the one before it, since the parser may notice an error one line late."""
    for number in (index, index - 1):
        if 0 <= number < len(source.lines):
            yield source.lines[number]


def _hint(what: str) -> str:
    if "mapping values are not allowed" in what:
        return "quote a text that contains `: `, or correct the indentation"
    if "expected <block end>" in what:
        return "check the indentation: the keys of a mapping, and the dashes of a list, begin in the same column"
    if "expected ',' or" in what or "did not find expected" in what:
        return "a bracket or a comma is missing, or a text with brackets needs quotes"
    return "correct the YAML here; nothing after it could be read"
