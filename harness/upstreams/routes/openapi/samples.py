"""A sample of a schema: made from a Random, so the same seed gives the same sample. Pure.

Every property is there to a depth of three, below that only required ones. Strings do not follow `pattern`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any, Final

from harness.upstreams.routes.openapi.flat_schema import SchemaFlattener, ends_in_null

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
            return self._string(flat)
        if kind in ("integer", "number"):
            return self._number(flat, whole=kind == "integer")
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

    def _string(self, flat: dict[str, Any]) -> str:
        least = max(math.ceil(flat.get("minLength", 0)), 0)
        most = max(math.floor(min(flat.get("maxLength", CHARACTERS_MOST), max(self._characters, 0))), 0)
        text = self._formatted(flat.get("format", ""))
        if text is None or not least <= len(text) <= most:
            letters = ("bdfgklmnprstvz", "aeiou")
            length = min(max(least, min(6, most)), most)
            text = "".join(self._random.choice(letters[index % 2]) for index in range(length))
        self._flattener.cut |= len(text) < least
        self._characters -= len(text)
        return text

    def _formatted(self, kind: str) -> str | None:
        draw = self._random.randrange
        date, time = (
            f"20{draw(10, 30)}-{draw(1, 13):02}-{draw(1, 29):02}",
            f"{draw(24):02}:{draw(60):02}:{draw(60):02}Z",
        )
        digits = f"{self._random.getrandbits(128):032x}"
        return {
            "date": date,
            "date-time": f"{date}T{time}",
            "time": time,
            "duration": f"PT{draw(1, 60)}M",
            "uuid": f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}",
            "email": f"user{draw(1000)}@example.com",
            "idn-email": f"user{draw(1000)}@example.com",
            "uri": f"https://example.com/{draw(1000)}",
            "url": f"https://example.com/{draw(1000)}",
            "iri": f"https://example.com/{draw(1000)}",
            "uri-reference": f"/{draw(1000)}",
            "ipv4": f"192.0.2.{draw(1, 255)}",
            "ipv6": f"2001:db8::{draw(1, 9999)}",
            "hostname": f"host{draw(1000)}.example.com",
            "byte": "c2FtcGxl",
            "json-pointer": f"/{draw(1000)}",
            "regex": f"a{{{draw(1, 100)}}}",
        }.get(kind)

    def _number(self, flat: dict[str, Any], *, whole: bool) -> int | float:
        low, high = flat.get("minimum"), flat.get("maximum")
        above, below = flat.get("exclusiveMinimum"), flat.get("exclusiveMaximum")
        lows = [Fraction(value) for value in (low, above) if value is not None]
        highs = [Fraction(value) for value in (high, below) if value is not None]
        least = max(lows) if lows else min(min(highs) - 100 if highs else Fraction(1), Fraction(1))
        most = min(highs) if highs else max(least, Fraction(0)) + 100
        step = Fraction(str(flat["multipleOf"])) if "multipleOf" in flat else None
        for unit in (
            [step] if step else [Fraction(1)] if whole else [Fraction(1, 100), max(most - least, Fraction(0)) / 64]
        ):
            unit = Fraction(unit.numerator) if whole else unit  # noqa: PLW2901
            if not unit:
                continue
            first, last = math.ceil(least / unit), math.floor(most / unit)
            ends = [first, first + 1, last - 1, last, 0]
            for count in [self._random.randint(first, last) for _ in range(_TRIES) if first <= last] + ends:
                value = _plain(count * unit)
                inside = least <= Fraction(value) <= most and value not in (above, below)
                if inside and (step is None or (value / flat["multipleOf"]) % 1 == 0):
                    return value
        return _plain(least)


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


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
