"""Reads a scenario file into its tree, merges what it `extends` and applies `--set`. Errors become `Problem`s."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Problem
from harness.model.tree import MappingNode, Position, ScalarNode, Source
from harness.model.value_types import closest
from harness.model.yaml_parser import BYTES_MAX, parse
from harness.scenario.source.catalog import catalog_names
from harness.scenario.source.overrides import OverrideError, apply_override, parse_path

DEPTH_MAX = 5
_WRITE_ONE = "`tailgate init` writes a scenario to start from"


@dataclass(frozen=True, slots=True)
class MergedScenario:
    """`text` is the file as given; `digest` (SHA-256) covers every file and `--set` that the tree consists of."""

    text: str
    tree: MappingNode | None
    problems: tuple[Problem, ...]
    digest: str


def read_scenario(path: Path, sets: Sequence[str]) -> MergedScenario:
    """The merged tree, or None with the problems. Never raises, whatever the file contains."""
    meant = closest(path.stem, catalog_names()) if path.parent == Path() else ""
    text, problems = _read_text(path, str(path), f"did you mean the catalog's `{meant}`?" if meant else _WRITE_ONE)
    if problems:
        return MergedScenario(text, None, problems, "")
    parts = [text]
    tree, found = _extended(path, text, (), parts)
    for one in sets:
        parts.append(f"--set {one}")
        tree, more = _with_set(tree, one)
        found = (*found, *more)
    # an argument that is not UTF-8 comes as lone surrogates
    digest = hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()
    return MergedScenario(text, tree, found, digest)


def _read_text(path: Path, shown: str, missing: str = _WRITE_ONE) -> tuple[str, tuple[Problem, ...]]:
    def refused(message: str, fix: str) -> tuple[str, tuple[Problem, ...]]:
        return "", (Problem(shown, 0, 0, "", message, fix),)

    try:
        if path.is_dir():
            return refused("this is a directory", "name the scenario file in it")
        if path.exists() and not path.is_file():
            # opening a FIFO without a writer would block for ever
            return refused("this is not a regular file", "write the scenario to one")
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return refused("there is no such file", missing)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        return refused(f"cannot be read: {reason}", "name a YAML file")
    if len(raw) > BYTES_MAX:
        return refused("a scenario has at most a megabyte", "name a YAML file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        return refused(f"not UTF-8 (byte {raw[exc.start]:#04x} on line {line})", "save it as UTF-8")
    # normalized, so that line numbers agree with YAML's
    return text.replace("\r\n", "\n").replace("\r", "\n"), ()


def _extended(
    path: Path, text: str, chain: tuple[Path, ...], parts: list[str]
) -> tuple[MappingNode | None, tuple[Problem, ...]]:
    """The file's tree, merged on top of what it extends."""
    source = Source(str(path), path.parent, tuple(text.split("\n")))
    tree, problems = parse(text, source)
    if tree is None:
        return None, problems or (_empty(source),)
    if not isinstance(tree, MappingNode):
        return None, (*problems, tree.place.problem("", "a scenario is a mapping", "begin with `name: …`"))
    base = tree.entries.get("extends")
    if not isinstance(base, ScalarNode) or not isinstance(base.value, str):
        return tree, problems
    base_path = path.parent / base.value
    chain = (*chain, path.resolve())

    def refused(message: str, fix: str) -> tuple[None, tuple[Problem, ...]]:
        # no tree: without the base, everything that the scenario leaves to it would be reported as missing
        return None, (*problems, base.place.problem("extends", message, fix))

    try:
        cyclic = base_path.resolve() in chain
    except (OSError, ValueError, RuntimeError):
        return refused("this is not a path", "name a scenario file")
    if cyclic:
        return refused("this file extends itself, directly or through others", "extend another file")
    if len(chain) > DEPTH_MAX:
        return refused(f"more than {DEPTH_MAX} files extend each other", "merge some of them")
    base_text, unread = _read_text(base_path, str(base_path))
    if unread:
        return refused(f"{base_path}: {unread[0].message}", "the path is relative to this file")
    parts.append(base_text)
    below, found = _extended(base_path, base_text, chain, parts)
    if below is None:
        return None, (*problems, *found)
    return merge(below, tree), (*problems, *found)


def merge(below: MappingNode, above: MappingNode) -> MappingNode:
    """`above` merged onto `below`: mappings merge deeply, lists and scalars replace, null removes a key."""
    entries, keys = dict(below.entries), dict(below.keys)
    for key, node in above.entries.items():
        under = entries.get(key)
        if isinstance(node, ScalarNode) and node.value is None and under is not None:
            del entries[key], keys[key]
            continue
        entries[key] = merge(under, node) if isinstance(under, MappingNode) and isinstance(node, MappingNode) else node
        keys[key] = above.keys[key]
    return MappingNode(above.place, entries, keys)


def _with_set(tree: MappingNode | None, one: str) -> tuple[MappingNode | None, tuple[Problem, ...]]:
    name = f"--set {one}"
    source = Source(name, Path.cwd(), (one,), has_lines=False)
    place = Position(source, 1, 1)
    if not one.isascii() and one != one.encode(errors="replace").decode():
        return tree, (place.problem("", "a setting must be UTF-8", "write it in UTF-8, or put it into the file"),)
    path_text, equals, value_text = one.partition("=")
    if not equals:
        return tree, (place.problem("", "a setting is PATH=VALUE", "write --set load.rate=20/s"),)
    try:
        path = parse_path(path_text.strip())
    except OverrideError as exc:
        return tree, (place.problem("", str(exc), "write --set PATH=VALUE, such as load.rate=20/s"),)
    value, problems = parse(value_text, source, not_yaml="the value is not YAML")
    if problems:
        return tree, (place.problem(path_text, problems[0].message, "put the value in quotes"),)
    if tree is None:
        return None, ()
    try:
        return apply_override(tree, path, value or ScalarNode(place, None), place), ()
    except OverrideError as exc:
        return tree, (place.problem(path_text, str(exc), "see the scenario for what there is"),)


def _empty(source: Source) -> Problem:
    return Problem(source.name, 0, 0, "", "the file is empty", _WRITE_ONE)
