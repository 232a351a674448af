"""A sample of a schema: made from a Random, so the same seed gives the same sample. Pure.

Every property is there to a depth of three, below that only required ones. Strings do not follow `pattern`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random
from typing import Any, Final

from harness.upstreams.routes.openapi.flat_schema import SchemaFlattener, ends_in_null
from harness.upstreams.routes.openapi.scalars import number_of, text_of

WORK_MOST: Final = 5_000
"""Schemas that are visited for one sample."""
CHARACTERS_MOST: Final = 100_000
DEPTH_FULL: Final = 3
DEPTH_MOST: Final = 12
ITEMS: Final = 2
_TRIES: Final = 30
_CHECKS: Final[dict[str, type | tuple[type, ...]]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


class Sampler:
    """`target` finds what a reference stands for. After a sample, `cut` says whether a bound left parts of it out, and
    `broken_rules` which keywords were met that samples may not honour."""

    def __init__(self, target: Callable[[str], Any], random: Random) -> None:
        self._flattener = SchemaFlattener(target, WORK_MOST)
        self._random = random
        self._characters = CHARACTERS_MOST

    @property
    def cut(self) -> bool:
        return self._flattener.cut

    @property
    def broken_rules(self) -> set[str]:
        return self._flattener.broken_rules

    def sample(self, schema: Any) -> Any:
        """A JSON value. Raises what `target` raises."""
        return self._value(schema, 0, frozenset())

    def _value(self, schema: Any, depth: int, above: frozenset[str]) -> Any:
        if depth > DEPTH_FULL and ends_in_null(schema):
            return None
        flat, refs = self._flattener.flat(schema, above)
        types = flat.get("type") or [_implied_type(flat)]
        for given in (flat.get("example"), *flat.get("examples", ())[:1], flat.get("default")):
            if given is not None:
                return given
        if options := flat.get("enum"):
            fitting = [value for value in options if any(_is_of(value, kind) for kind in types)] or options
            return self._random.choice([value for value in fitting if value is not None] or fitting)
        if "null" in types and ((depth > DEPTH_FULL and refs & above) or depth >= DEPTH_MOST):
            return None
        kind = next((kind for kind in types if kind != "null"), "null")
        if kind in ("object", "array") and (depth >= DEPTH_MOST or self._characters <= 0):
            self._flattener.cut = True
            return {} if kind == "object" else []
        if kind == "object":
            return self._object(flat, depth, refs)
        if kind == "array":
            return self._array(flat, depth, refs)
        if kind == "string":
            text = text_of(flat, self._random, max(self._characters, 0))
            self._flattener.cut |= len(text) < flat.get("minLength", 0)
            self._characters -= len(text)
            return text
        if kind in ("integer", "number"):
            return number_of(flat, self._random, whole=kind == "integer")
        return self._random.random() < 0.5 if kind == "boolean" else None

    def _object(self, flat: dict[str, Any], depth: int, refs: frozenset[str]) -> dict[str, Any]:
        properties, required = flat.get("properties", {}), flat.get("required", [])
        most, least = flat.get("maxProperties", math.inf), flat.get("minProperties", 0)
        more = flat.get("additionalProperties", True)
        names = list(dict.fromkeys((*required, *properties)))
        found: dict[str, Any] = {}
        for name in names:
            schema = properties.get(name, more)
            if isinstance(schema, dict) and self._flattener.flat(schema)[0].get("writeOnly") is True:
                continue
            wanted = depth < DEPTH_FULL or len(found) < least
            if name in required or (wanted and schema is not False and len(found) < most):
                found[name] = self._value(schema, depth + 1, refs)
        extra = 1 if isinstance(more, dict) and depth < DEPTH_FULL else 0
        for number in range(1, min(max(extra, math.ceil(least) - len(found)), 100) + 1):
            if more is not False and len(found) < most:
                found.setdefault(f"key{number}", self._value(more, depth + 1, refs))
        self._characters -= sum(map(len, found))
        self._flattener.cut |= len(found) < least
        ordered = [name for name in properties if name in found]
        return {name: found[name] for name in dict.fromkeys((*ordered, *found))}

    def _array(self, flat: dict[str, Any], depth: int, refs: frozenset[str]) -> list[Any]:
        least = math.ceil(min(flat.get("minItems", 0), CHARACTERS_MOST))
        first, rest = flat.get("prefixItems", []), flat.get("items", True)
        wanted = max(least, max(ITEMS, len(first)) if depth < DEPTH_FULL else 0)
        wanted = int(min(wanted, flat.get("maxItems", math.inf), len(first) if rest is False else math.inf))
        found: list[Any] = []
        seen: set[str] = set()
        tries = wanted + _TRIES
        while len(found) < wanted and tries > 0 and self._characters > 0 and self._flattener.work_left > 0:
            tries -= 1
            schema = first[len(found)] if len(found) < len(first) else rest
            value = self._value(schema, depth + 1, refs)
            text = json.dumps(value, sort_keys=True, default=str)
            if not (flat.get("uniqueItems") and text in seen):
                seen.add(text)
                found.append(value)
        self._flattener.cut |= len(found) < least
        return found


def _is_of(value: Any, kind: str) -> bool:
    return isinstance(value, _CHECKS[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))


def _implied_type(flat: dict[str, Any]) -> str:
    """The type that a schema without `type` seems to be about."""
    if "enum" in flat:
        return next(kind for kind in _CHECKS if any(_is_of(value, kind) for value in flat["enum"] or [None]))
    hints = {
        "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
        "string": ("minLength", "maxLength", "format", "pattern"),
        "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
    object_keys = ("properties", "required", "additionalProperties", "minProperties")
    if any(key in flat for key in object_keys):
        return "object"
    return next((kind for kind, keys in hints.items() if any(key in flat for key in keys)), "object")
