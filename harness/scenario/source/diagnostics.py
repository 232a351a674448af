"""Diagnostics: a mistake at a path in a scenario becomes a `Problem` with file, line and column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from harness.errors import Problem
from harness.model.tree import MappingNode, Node, Position, ScalarNode, SequenceNode

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake, or as a warning something doubtful, at a path.

    `at_key`: it is about the key, not the value. `offset`: characters from the beginning of the text at the path.
    `is_secret`: the text at the path holds a secret, so it is not shown.
    `meant_key`: for an unknown key, the known one of its mapping that is similar, empty if none is; None: no key is
    unknown.
    """

    path: Path
    message: str
    fix: str = ""
    at_key: bool = False
    offset: int = 0
    is_secret: bool = False
    meant_key: str | None = None


def findings_of(error: ValidationError) -> Iterator[Diagnostic]:
    """Every error of a pydantic ValidationError whose models are `harness.model.strict_model.StrictModel`s."""
    for detail in error.errors(include_url=False):
        path = tuple(detail["loc"])
        context = detail.get("ctx", {})
        at_key = bool(context.get("at_key"))
        if path and path[-1] == "[key]":  # pydantic's mark for the key of a mapping
            path, at_key = path[:-1], True
        message, fix = context.get("message", detail["msg"]), context.get("fix", "")
        is_secret, meant_key = bool(context.get("is_secret")), context.get("meant_key")
        yield Diagnostic(path, message, fix, at_key, is_secret=is_secret, meant_key=meant_key)


def format_path(path: Path) -> str:
    """`faults[0].for`."""
    spelled = ""
    for step in path:
        spelled += f"[{step}]" if isinstance(step, int) else f".{step}" if spelled else step
    return spelled


def node_at(root: Node, path: Path) -> Node | None:
    node: Node = root
    for step in path:
        inner = _inner(node, step)
        if inner is None:
            return None
        node = inner
    return node


def locate(root: Node, finding: Diagnostic) -> Problem:
    """The diagnostic with the position of its path, or of the longest part of the path that the file contains."""
    node: Node = root
    key: Position | None = None
    reached = 0
    for step in finding.path:
        inner = _inner(node, step)
        if inner is None:
            break
        key = node.keys[str(step)] if isinstance(node, MappingNode) else None
        node = inner
        reached += 1
    place = node.place
    # point at the key of a block, since its value begins on the next line only
    if key and (finding.at_key or (isinstance(node, MappingNode | SequenceNode) and node.place.line != key.line)):
        place = key
    offset = finding.offset if reached == len(finding.path) else 0
    if offset:
        offset = _offset_on_line(node, offset)
    problem = place.problem(format_path(finding.path), finding.message, finding.fix, offset=offset)
    return _without_its_text(problem, place) if finding.is_secret else problem


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sorted by position, without duplicates."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: (problem.file, problem.line, problem.col, problem.message)))


def in_cells(problem: Problem, cells: Sequence[str], of: int) -> Problem:
    """The problem; its message names the cells of the matrix that have it, unless all `of` of them have."""
    if len(cells) == of:
        return problem
    few = ", ".join(cells[:3]) + (" …" if len(cells) > 3 else "")
    return replace(problem, message=f"{problem.message} (in cell {few})")


def _without_its_text(problem: Problem, place: Position) -> Problem:
    """The problem without the line of the file, or without the value in the name of a `--set`."""
    if place.source.has_lines:
        return replace(problem, source="")
    return replace(problem, file=f"{problem.file.partition('=')[0]}=…")


def _inner(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return node.entries.get(str(step))
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def _offset_on_line(node: Node, offset: int) -> int:
    """Characters from the node's first one; 0 where its text is folded over lines or escaped."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or not node.place.source.has_lines:
        return 0
    line = node.place.source.lines[node.place.line - 1]
    start = node.place.col - 1 + (0 if node.plain else 1)
    if line[start : start + len(node.value)] != node.value:
        return 0
    return start + offset - (node.place.col - 1)
