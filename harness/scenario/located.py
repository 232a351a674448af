"""A YAML file as a tree in which every key and value knows its file, line and column.

YAML 1.2 core schema, read by ruamel.yaml. Refuses duplicate keys, merge keys, tags, keys that are
not text, several documents in a file, and aliases that would grow without end. All of a file's
structural problems come at once; a syntax error comes alone, since nothing can be read after it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.errors import Problem

Scalar = str | int | float | bool | None

NODES_MAX: Final = 20_000
BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A text that nodes come from. `name` is what messages call it; `folder` is what its paths are relative to."""

    name: str
    folder: Path
    lines: tuple[str, ...]
    has_lines: bool = True
    """False for `--set`, whose name is its whole text."""


@dataclass(frozen=True, slots=True)
class Place:
    """`line` and `col` count from 1."""

    source: Source
    line: int
    col: int

    def problem(self, path: str, message: str, fix: str = "", *, offset: int = 0) -> Problem:
        if not self.source.has_lines:
            return Problem(self.source.name, 0, 0, path, message, fix)
        text = self.source.lines[self.line - 1] if self.line <= len(self.source.lines) else ""
        return Problem(self.source.name, self.line, self.col + offset, path, message, fix, text.rstrip())


@dataclass(frozen=True, slots=True)
class Leaf:
    place: Place
    value: Scalar
    plain: bool = True
    """Unquoted, so that column + offset points into its text."""


@dataclass(frozen=True, slots=True)
class Listing:
    place: Place
    items: tuple[Node, ...]
    flow: bool = False
    """Written in [ ]."""


@dataclass(frozen=True, slots=True)
class Mapping:
    place: Place
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)

    def with_entry(self, key: str, node: Node, place: Place) -> Mapping:
        return Mapping(self.place, {**self.entries, key: node}, {**self.keys, key: self.keys.get(key, place)})

    def without(self, key: str) -> Mapping:
        return Mapping(
            self.place,
            {name: node for name, node in self.entries.items() if name != key},
            {name: place for name, place in self.keys.items() if name != key},
        )


Node = Leaf | Listing | Mapping


def plain(node: Node) -> Any:
    """The tree as dicts, tuples and scalars, the shapes that strict pydantic models take."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Listing):
        return tuple(plain(item) for item in node.items)
    return {key: plain(value) for key, value in node.entries.items()}


def compose(text: str, source: Source) -> tuple[Node | None, tuple[Problem, ...]]:
    """The document in `text` (None: empty) and what is wrong with its structure. Never raises."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as exc:
        return None, (_syntax_problem(exc, source),)
    except RecursionError:
        return None, (Problem(source.name, 0, 0, "", "the file is nested too deeply to be a scenario"),)
    except ReaderError as exc:
        before = text[: exc.position]
        place = Place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return None, (place.problem("", f"YAML allows no character {ord(text[exc.position]):#04x}", "remove it"),)
    except (YAMLError, ValueError) as exc:
        return None, (Problem(source.name, 0, 0, "", f"not YAML: {str(exc).strip() or type(exc).__name__}"),)
    if root is None:
        return None, ()
    reader = _Reader(source)
    try:
        node = reader.read(root, "")
    except _Endless as exc:
        return None, (exc.place.problem("", "aliases make this document grow without end", "write the value out"),)
    return node, tuple(reader.problems)


class _Endless(Exception):
    """An alias that holds itself, or aliases of aliases that would fill the memory."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class _Reader:
    """Turns ruamel's nodes into ours, collecting problems."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: set[int] = set()
        self._count = 0
        self.problems: list[Problem] = []

    def read(self, node: Any, path: str) -> Node:
        place = self._place(node.start_mark)
        self._count += 1
        if self._count > NODES_MAX or id(node) in self._open:
            raise _Endless(place)
        if not str(node.tag).startswith("tag:yaml.org,2002:"):
            self._report(place, path, f"the tag `{node.tag}` means nothing here", "remove it")
        self._open.add(id(node))
        try:
            return self._content(node, path, place)
        finally:
            self._open.discard(id(node))

    def _content(self, node: Any, path: str, place: Place) -> Node:
        if node.id == "scalar":
            # a style (quotes, | or >) makes text of anything
            if node.style:
                return Leaf(place, str(node.value), plain=False)
            return Leaf(place, _core_scalar(str(node.value)))
        if node.id == "sequence":
            items = tuple(self.read(item, f"{path}[{index}]") for index, item in enumerate(node.value))
            return Listing(place, items, flow=bool(node.flow_style))
        return self._mapping(node, path, place)

    def _mapping(self, node: Any, path: str, place: Place) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key_place = self._place(key_node.start_mark)
            key = key_node.value if key_node.id == "scalar" else None
            if not isinstance(key, str):
                self._report(key_place, path, "a key must be text", "write `key: value`; quote a key with brackets")
                continue
            inner = f"{path}.{key}" if path else key
            if key == "<<":
                self._report(key_place, inner, "merge keys (`<<`) are not part of YAML 1.2", "use `extends`")
                continue
            if key in entries:
                self._report(
                    key_place, inner, f"`{key}` is written twice", f"the first is on line {keys[key].line}; keep one"
                )
                continue
            value = self.read(value_node, inner)
            # the parser places a value that was left out before whatever comes next
            empty = isinstance(value, Leaf) and value.value is None and value.place.line != key_place.line
            entries[key] = Leaf(key_place, None) if empty else value
            keys[key] = key_place
        return Mapping(place, entries, keys)

    def _place(self, mark: Any) -> Place:
        return Place(self._source, mark.line + 1, mark.column + 1)

    def _report(self, place: Place, path: str, message: str, fix: str) -> None:
        self.problems.append(place.problem(path, message, fix))


_INT = re.compile(r"[-+]?[0-9]{1,30}")
_OTHER_INT = re.compile(r"0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,3})?")


def _core_scalar(text: str) -> Scalar:
    """A plain scalar by the core schema of YAML 1.2: `yes`, `on` and `12:30` are text."""
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


# ---------------------------------------------------------------- syntax errors and the traps behind them

_TEMPLATE: Final = re.compile(r"(?<![\"'{$\w])[^\s\"',{}\[\]]*(\{[a-z][a-z0-9.-]*\})")


def _syntax_problem(exc: Any, source: Source) -> Problem:
    mark = exc.problem_mark or exc.context_mark
    if mark is None:
        return Problem(source.name, 0, 0, "", f"not YAML: {exc.problem or exc.context}")
    place = Place(source, mark.line + 1, mark.column + 1)
    what = str(exc.problem or exc.context or "cannot be read").replace("\n", " ")
    if "single document" in what or "single document" in str(exc.context):
        return place.problem("", "a file holds one scenario, this one begins a second", "move it to a file of its own")
    if "\\t" in what or "'\t'" in what:
        return place.problem("", "a tab where YAML wants spaces", "indent with spaces")
    for line in _lines_before(source, mark.line):
        template = _TEMPLATE.search(line.split(" #")[0])
        if template and ("{" in line[: template.start(1)] or "[" in line[: template.start(1)]):
            return place.problem(
                "",
                f"the unquoted {template[1]} inside {{ }} or [ ] is read as a mapping",
                f'put the whole value in quotes, like "{template[0].strip()}"',
            )
    return place.problem("", f"not YAML: {what}", _hint(what))


def _lines_before(source: Source, index: int) -> Iterator[str]:
    """The line of the error and the one before it: the parser stumbles late."""
    for number in (index, index - 1):
        if 0 <= number < len(source.lines):
            yield source.lines[number]


def _hint(what: str) -> str:
    if "mapping values are not allowed" in what:
        return "quote a text that holds `: `, or mend the indentation"
    if "expected ',' or" in what or "did not find expected" in what:
        return "a bracket or a comma is missing, or a text with brackets needs quotes"
    if "undefined alias" in what or "found undefined" in what:
        return "an unquoted text may not begin with `*`"
    return "mend the YAML here; nothing after this place could be read"
