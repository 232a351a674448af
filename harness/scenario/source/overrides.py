"""Dotted paths into a scenario, `faults[0].for`, as `--set` and `matrix.vary` write them. Pure."""

from __future__ import annotations

import re

from harness.model.tree import MappingNode, Node, Position, ScalarNode, SequenceNode
from harness.model.yaml_parser import DEPTH_MAX
from harness.scenario.source.diagnostics import Path

_STEP = re.compile(r"([^.\[\]\s][^.\[\]]*)((?:\[\d{1,6}\])*)")


class OverrideError(ValueError):
    """A path cannot be used; the message tells the user why."""


def parse_path(text: str) -> Path:
    """`faults[0].for` as ("faults", 0, "for"). Raises OverrideError."""
    path: list[str | int] = []
    for part in text.split("."):
        match = _STEP.fullmatch(part)
        if not match:
            raise OverrideError(f"`{text}` is not a path; write one such as load.rate or faults[0].for")
        path.append(match[1])
        path.extend(int(index) for index in re.findall(r"\d+", match[2]))
    if len(path) > DEPTH_MAX:
        raise OverrideError(f"`{text}` has more than {DEPTH_MAX} steps; write one such as load.rate or faults[0].for")
    return tuple(path)


def apply_override(root: MappingNode, path: Path, value: Node, place: Position) -> MappingNode:
    """The tree with the value at the path. Creates missing mappings on the way, but no list entries.

    Raises OverrideError.
    """
    changed = _assigned(root, path, value, place, "")
    assert isinstance(changed, MappingNode)
    return changed


def _assigned(node: Node, path: Path, value: Node, place: Position, walked: str) -> Node:
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        if not isinstance(node, SequenceNode):
            raise OverrideError(f"`{walked}` is not a list")
        if step >= len(node.items):
            raise OverrideError(
                f"there is no `{walked}[{step}]`: entries are counted from 0, and it has {len(node.items)}"
            )
        items = list(node.items)
        items[step] = _assigned(items[step], tuple(rest), value, place, f"{walked}[{step}]")
        return SequenceNode(node.place, tuple(items), node.flow)
    here = f"{walked}.{step}" if walked else step
    if isinstance(node, ScalarNode) and (node.value is None or not walked):
        node = MappingNode(place)
    if isinstance(node, SequenceNode):
        raise OverrideError(f"`{walked}` is a list; write {walked}[0].{step}")
    if not isinstance(node, MappingNode):
        raise OverrideError(f"`{walked}` is not a mapping, so it has no `{step}`")
    inner = node.entries.get(step, ScalarNode(place, None) if rest else value)
    return node.with_entry(step, _assigned(inner, tuple(rest), value, place, here), place)
