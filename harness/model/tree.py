"""A document as a tree in which every key and value has its file, line and column. It is independent of YAML.

`harness.model.yaml_parser` builds it from a text; merging and `--set` keep the positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import Problem
from harness.text import shorten

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """The text that nodes come from. `name` is its name in messages; its relative paths are relative to `folder`."""

    name: str
    folder: Path
    lines: tuple[str, ...]
    has_lines: bool = True
    """False for `--set`, whose name contains its whole text."""


@dataclass(frozen=True, slots=True)
class Position:
    """`line` and `col` count from 1."""

    source: Source
    line: int
    col: int

    def problem(self, path: str, message: str, fix: str = "", *, offset: int = 0) -> Problem:
        path, message, fix = shorten(path), shorten(message), shorten(fix)
        if not self.source.has_lines:
            return Problem(self.source.name, 0, 0, path, message, fix)
        text = self.source.lines[self.line - 1] if self.line <= len(self.source.lines) else ""
        return Problem(self.source.name, self.line, self.col + offset, path, message, fix, text.rstrip())


@dataclass(frozen=True, slots=True)
class ScalarNode:
    place: Position
    value: Scalar
    plain: bool = True
    """Unquoted, so that column + offset points into its text."""


@dataclass(frozen=True, slots=True)
class SequenceNode:
    place: Position
    items: tuple[Node, ...]
    flow: bool = False
    """Written in [ ]."""


@dataclass(frozen=True, slots=True)
class MappingNode:
    place: Position
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Position] = field(default_factory=dict)

    def with_entry(self, key: str, node: Node, place: Position) -> MappingNode:
        return MappingNode(self.place, {**self.entries, key: node}, {**self.keys, key: self.keys.get(key, place)})

    def without(self, key: str) -> MappingNode:
        return MappingNode(
            self.place,
            {name: node for name, node in self.entries.items() if name != key},
            {name: place for name, place in self.keys.items() if name != key},
        )


Node = ScalarNode | SequenceNode | MappingNode


def plain(node: Node, sequence: type[tuple[Any, ...]] | type[list[Any]] = tuple) -> Any:
    """The tree as dicts, sequences and scalars. Strict pydantic models accept tuples, and JSON has lists."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return sequence(plain(item, sequence) for item in node.items)
    return {key: plain(value, sequence) for key, value in node.entries.items()}
