"""Dotted paths into a scenario, `faults[0].for`, as `--set` and `matrix.vary` write them. Pure."""

from __future__ import annotations

import re

from harness.scenario.composed import DEPTH_MAX
from harness.scenario.located import Leaf, Listing, Mapping, Node, Place
from harness.scenario.problems import Path

_STEP = re.compile(r"([^.\[\]\s][^.\[\]]*)((?:\[\d{1,6}\])*)")


class BadPath(ValueError):
    """The message says what is wrong with the path, for a person."""


def parse_path(text: str) -> Path:
    """Raises BadPath."""
    path: list[str | int] = []
    for part in text.split("."):
        match = _STEP.fullmatch(part)
        if not match:
            raise BadPath(f"`{text}` is not a path; write one such as load.rate or faults[0].for")
        path.append(match[1])
        path.extend(int(index) for index in re.findall(r"\d+", match[2]))
    if len(path) > DEPTH_MAX:
        raise BadPath(f"`{text}` has more than {DEPTH_MAX} steps; write one such as load.rate or faults[0].for")
    return tuple(path)


def assign(root: Mapping, path: Path, value: Node, place: Place) -> Mapping:
    """The tree with the value at the path; mappings on the way are made, list entries are not. Raises BadPath."""
    changed = _assigned(root, path, value, place, "")
    assert isinstance(changed, Mapping)
    return changed


def _assigned(node: Node, path: Path, value: Node, place: Place, walked: str) -> Node:
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        if not isinstance(node, Listing):
            raise BadPath(f"`{walked}` is not a list")
        if step >= len(node.items):
            raise BadPath(f"there is no `{walked}[{step}]`: entries are counted from 0, and it has {len(node.items)}")
        items = list(node.items)
        items[step] = _assigned(items[step], tuple(rest), value, place, f"{walked}[{step}]")
        return Listing(node.place, tuple(items), node.flow)
    here = f"{walked}.{step}" if walked else step
    if isinstance(node, Leaf) and (node.value is None or not walked):
        node = Mapping(place)
    if isinstance(node, Listing):
        raise BadPath(f"`{walked}` is a list; write {walked}[0].{step}")
    if not isinstance(node, Mapping):
        raise BadPath(f"`{walked}` is not a mapping, so it has no `{step}`")
    inner = node.entries.get(step, Leaf(place, None) if rest else value)
    return node.with_entry(step, _assigned(inner, tuple(rest), value, place, here), place)
