"""An OpenAPI document as a tree: read from JSON or YAML within bounds, checked, its local references resolved.

Nothing is ever fetched: references to other files and hosts are refused where an answer needs them.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import unquote

from harness.model.tree import Source, plain
from harness.model.yaml_parser import DEPTH_MAX, UNHOLDABLE, parse
from harness.upstreams.routes.routes_read import UnreadableRoutes

BYTES_MOST: Final = 10_000_000
NODES_MOST: Final = 500_000
"""Keys and values; a YAML alias counts as often as what it stands for."""
HOPS_MOST: Final = 32
"""References that lead to references."""
_ERRORS_MOST: Final = 50


class Document:
    """A valid description."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def followed(self, node: Any) -> Any:
        """The node, or what it refers to. Raises UnreadableRoutes."""
        for _ in range(HOPS_MOST):
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return node
            node = self.target(node["$ref"])
        raise UnreadableRoutes(
            "a reference leads back to itself through other references", "let it refer to a definition"
        )

    def target(self, reference: str) -> Any:
        """What a local reference such as `#/components/schemas/Pet` stands for. Raises UnreadableRoutes."""
        if not reference.startswith("#"):
            where = "another host" if "://" in reference or reference.startswith("//") else "another file"
            raise UnreadableRoutes(
                f"the reference `{shortened(reference)}` is to {where}, and only the description itself is read",
                "bundle the description into one file",
            )
        node: Any = self.root
        pointer = unquote(reference[1:])
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isascii() and key.isdigit() and len(key) < 7 and int(key) < len(node):
                node = node[int(key)]
            else:
                self._leads_nowhere(reference)
        if pointer and not pointer.startswith("/"):
            self._leads_nowhere(reference)
        return node

    def _leads_nowhere(self, reference: str) -> NoReturn:
        fix = "correct it, or define what it refers to; anchors are not supported, only paths such as #/components"
        raise UnreadableRoutes(f"the reference `{shortened(reference)}` leads nowhere", fix)


def read_document(path: Path) -> Document:
    """The description in a file. Raises UnreadableRoutes, and OSError if the file cannot be read."""
    with path.open("rb") as file:
        content = file.read(BYTES_MOST + 1)
    if len(content) > BYTES_MOST:
        raise UnreadableRoutes(
            f"{path.name} is larger than {BYTES_MOST // 1_000_000} MB", "leave out operations that are not called"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UnreadableRoutes(f"byte {exc.start} of {path.name} is not UTF-8", "save the file as UTF-8") from exc
    try:
        tree = _parsed(text, path)
        _check_bounds(tree)
        return _checked(tree)
    except RecursionError as exc:
        raise UnreadableRoutes(f"{path.name} is nested too deeply", "make it flatter") from exc


def _parsed(text: str, path: Path) -> Any:
    if path.suffix.lower() == ".json" or text.lstrip()[:1] == "{":
        try:
            return json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
        except ValueError as exc:
            if path.suffix.lower() == ".json":
                raise UnreadableRoutes(f"{path.name} is not JSON: {exc}", "correct it") from exc
    return _parsed_yaml(text, path)


def _parsed_yaml(text: str, path: Path) -> Any:
    source = Source(path.name, path.parent, tuple(text.split("\n")))
    not_yaml = f"{path.name} is not YAML"
    node, problems = parse(text, source, noun="description", not_yaml=not_yaml, nodes_most=NODES_MOST)
    if problems:
        where = f"line {problems[0].line}: " if problems[0].line else ""
        raise UnreadableRoutes(f"{where}{problems[0].message}", problems[0].fix or "correct it")
    return None if node is None else plain(node, list)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key `{shortened(twice)}` stands twice in one object")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is no number that JSON can hold")
    return value


def _check_bounds(tree: Any) -> None:
    """Raises UnreadableRoutes. An alias's value is visited as often as it is written."""
    count = 0
    waiting: list[tuple[Any, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > NODES_MOST:
            raise UnreadableRoutes(
                f"the description has more than {NODES_MOST:,} keys and values",
                "leave out operations that are not called",
            )
        if depth > DEPTH_MAX:
            raise UnreadableRoutes(f"there are more than {DEPTH_MAX} levels", "make the description flatter")
        if isinstance(node, dict):
            waiting += [(inner, depth + 1) for pair in node.items() for inner in pair]
        elif isinstance(node, list):
            waiting += [(inner, depth + 1) for inner in node]
        elif isinstance(node, str) and (found := UNHOLDABLE.search(node)):
            raise UnreadableRoutes(f"a text contains the character U+{ord(found[0]):04X}", "remove the character")


def _checked(tree: Any) -> Document:
    if not isinstance(tree, dict) or not ("openapi" in tree or "swagger" in tree):
        fix = "name an OpenAPI 3.0 or 3.1 description; it begins with `openapi: 3.0.3` or similar"
        raise UnreadableRoutes("this is no OpenAPI description: it has no `openapi`", fix)
    version = str(tree.get("openapi", f"Swagger {tree.get('swagger')}"))
    if not re.fullmatch(r"3\.[01](\.[0-9]{1,4}(-[0-9A-Za-z.]{1,20})?)?", version):
        fix = "convert the description to OpenAPI 3.0 or 3.1; converters of Swagger 2.0 are common"
        raise UnreadableRoutes(f"descriptions by `{shortened(version)}` are not understood", fix)
    from jsonschema.exceptions import best_match  # type: ignore[import-untyped]
    from openapi_spec_validator.schemas import openapi_v30_schema_validator, openapi_v31_schema_validator

    validator = openapi_v31_schema_validator if version.startswith("3.1") else openapi_v30_schema_validator
    if error := best_match(islice(validator.iter_errors(tree), _ERRORS_MOST)):
        raise UnreadableRoutes(
            f"the description is not valid at `{shortened(error.json_path)}`: {_what_is_wrong(error)}",
            "correct it there",
        )
    if not tree.get("paths"):
        raise UnreadableRoutes("it describes no path", "name a description with `paths`")
    return Document(tree)


def _what_is_wrong(error: Any) -> str:
    if error.validator == "type":
        wanted = error.validator_value if isinstance(error.validator_value, str) else " or ".join(error.validator_value)
        return f"{shortened(json.dumps(error.instance), 40)} is not of the type {wanted}"
    if error.validator in ("oneOf", "anyOf"):
        return "it has none of the forms that are allowed here"
    return shortened(str(error.message), 200)


def shortened(text: str, most: int = 120) -> str:
    """One line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
