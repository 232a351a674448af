"""A scenario as a tree that can be made wrong, and written as YAML with whatever came of it.

A mapping may hold a key twice, and any value may be a text that stands in the YAML as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from bench.nasty import KEYS, NASTY, Raw


class Entries(list[list[Any]]):
    """A mapping as [key, value] lists, since a hostile one holds a key twice."""


def grow(value: Any) -> Any:
    """Plain YAML data as a tree that can be mutated."""
    if isinstance(value, Mapping):
        return Entries([key, grow(inner)] for key, inner in value.items())
    return [grow(item) for item in value] if isinstance(value, list | tuple) else value


def emitted(tree: Any, random: Random) -> str:
    """As YAML: the top in block style, what is below in either."""
    if not isinstance(tree, Entries):
        return _flow(tree) + "\n"
    return "".join(f"{_flow(key)}:{_block(value, '  ', random)}\n" for key, value in tree)


def _block(node: Any, indent: str, random: Random) -> str:
    if not isinstance(node, list) or not node or random.random() < 0.5:
        return f" {_flow(node)}"
    if isinstance(node, Entries):
        return "".join(f"\n{indent}{_flow(key)}:{_block(value, indent + '  ', random)}" for key, value in node)
    return "".join(f"\n{indent}- {_flow(item)}" for item in node)


def _flow(node: Any) -> str:
    if isinstance(node, Raw):
        return str(node)
    if isinstance(node, Entries):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in node) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(_flow(item) for item in node) + "]"
    if isinstance(node, str) and re.fullmatch(r"[A-Za-z/][A-Za-z0-9 ./?=<>%-]*[A-Za-z0-9%]", node):
        return node
    return json.dumps(node)


def _slots(tree: Any) -> Iterator[tuple[list[Any], int]]:
    """Every place of the tree that holds a value, as the list and the index to write it by."""
    if isinstance(tree, Entries):
        for pair in tree:
            yield pair, 1
            yield from _slots(pair[1])
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield tree, index
            yield from _slots(item)


def _lists(tree: Any) -> list[list[Any]]:
    found = [node for holder, index in _slots(tree) if isinstance(node := holder[index], list) and node]
    return [tree, *found] if isinstance(tree, list) and tree else found


def copied(node: Any) -> Any:
    if isinstance(node, Entries):
        return Entries([key, copied(value)] for key, value in node)
    return [copied(item) for item in node] if isinstance(node, list) else node


TREE_WAYS: Final = (
    "nasty", "nasty", "nasty", "kin", "kin", "delete", "double", "move", "swap", "key", "graft", "repeat", "wrap",
)  # fmt: skip


def mutate_tree(tree: Any, others: list[Any], random: Random) -> str:
    """Change the tree in place once; says how."""
    slots, lists = list(_slots(tree)), _lists(tree)
    if not slots or not lists:
        return "nothing left"
    holder, index = random.choice(slots)
    some = random.choice(lists)
    at = random.randrange(len(some))
    way = random.choice(
        ("nasty", "nasty", "kin", "kin", "delete", "double", "move", "swap", "key", "graft", "repeat", "wrap")
    )
    match way:
        case "nasty":
            holder[index] = random.choice(NASTY)
        case "kin":
            _like_others(random.choice(lists), others, random)
        case "delete":
            del some[at]
        case "double":
            some.insert(random.randrange(len(some) + 1), copied(some[at]))
        case "move":
            moved = some[at][1] if isinstance(some, Entries) else some[at]
            holder[index] = copied(moved)
            if some is not holder:
                del some[at]
        case "swap":
            other, place = random.choice(slots)
            one, two = copied(holder[index]), copied(other[place])
            holder[index], other[place] = two, one
        case "key":
            _new_key(random.choice(lists), random)
        case "graft":
            holder[index] = copied(random.choice(_lists(random.choice(others)) or [[]]))
        case "repeat":
            some.extend(copied(some[at]) for _ in range(random.choice((2, 20, 300))))
        case "wrap":
            inner = copied(holder[index])
            holder[index] = [inner] if random.random() < 0.5 else Entries([[random.choice(KEYS), inner]])
    return way


def _like_others(node: list[Any], others: list[Any], random: Random) -> None:
    """A value that stands under the same key elsewhere: right by itself, and wrong with the rest if at all."""
    if isinstance(node, Entries):
        pair = random.choice(node)
        found = [value for tree in others for value in _under(tree, pair[0])]
        pair[1] = copied(random.choice(found)) if found else pair[1]


def _under(tree: Any, key: Any) -> Iterator[Any]:
    for node in [tree, *_lists(tree)]:
        if isinstance(node, Entries):
            yield from (value for name, value in node if name == key)


def _new_key(node: list[Any], random: Random) -> None:
    if not isinstance(node, Entries):
        node.append(random.choice(NASTY))
    elif random.random() < 0.5:
        random.choice(node)[0] = random.choice((*KEYS, *NASTY[:40], "\x1b[1m", "\u202e", "raet", "k" * 3_000))
    else:
        node.append([random.choice(KEYS), random.choice(NASTY)])
