"""A schema without references, `allOf`, `oneOf` and `anyOf`: all that holds for one value, in one mapping. Pure.

Of `oneOf` and `anyOf` the first option that is not null is taken; that a sample of it fits no other option of `oneOf`
is not checked. Keywords with values of a wrong type are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
NOT_HONOURED: Final = (
    *("pattern", "not", "if", "contains", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    *("unevaluatedItems", "propertyNames", "$dynamicRef", "patternProperties"),
)
"""Constraints that a sample may break."""
_LEAST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_MOST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_GIVEN: Final = ("example", "examples", "default")
_FITS: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys((*_LEAST, *_MOST, "multipleOf"), (int, float)),
    **dict.fromkeys(("required", "enum", "examples", "prefixItems"), (list,)),
    **dict.fromkeys(("allOf", "oneOf", "anyOf"), (list,)),
    **dict.fromkeys(("items", "additionalProperties"), (dict, bool)),
    **dict.fromkeys(("uniqueItems", "writeOnly", "nullable"), (bool,)),
    **dict.fromkeys(("properties", "discriminator"), (dict,)),
    **dict.fromkeys(("format", "$ref"), (str,)),
}
_ANNOTATIONS: Final = ("title", "description", "externalDocs", "deprecated", "xml", "$comment")


class SchemaFlattener:
    """`target` finds what a reference stands for. `work_left` bounds all calls together: when it is used up, schemas
    are taken as empty and `cut` is set. `broken_rules`: keywords met that samples may not honour."""

    def __init__(self, target: Callable[[str], Any], work: int) -> None:
        self._target = target
        self._outer: frozenset[str] = frozenset()
        self.work_left = work
        self.cut = False
        self.broken_rules: set[str] = set()

    def flat(self, schema: Any, above: frozenset[str] = frozenset()) -> tuple[dict[str, Any], frozenset[str]]:
        """The schema as one mapping, `type` in it always a list if there is one, and the references that it came by
        added to those `above` it. A schema that refers to itself alone is empty."""
        self.work_left -= 1
        if self.work_left < 0 or len(above) > 200:
            self.cut = True
            return {}, above
        if not isinstance(schema, dict):
            return {}, above
        self._outer = above
        return self._flat(_normalised(schema), above, frozenset())

    def _flat(
        self, schema: dict[str, Any], above: frozenset[str], chain: frozenset[str]
    ) -> tuple[dict[str, Any], frozenset[str]]:
        self.work_left -= 1
        if self.work_left < 0 or len(chain) > 32:
            self.cut = True
            return {}, above
        self.broken_rules.update(key for key in NOT_HONOURED if key in schema)
        parts: list[Any] = list(schema.get("allOf", ()))
        if "$ref" in schema:
            parts.insert(0, {"$ref!": schema["$ref"]})
        for keyword in ("oneOf", "anyOf"):
            if options := schema.get(keyword):
                parts.append(self._option(options, schema.get("discriminator")))
        merged: dict[str, Any] = {}
        for part in parts:
            inner, above = self._part(part, above, chain)
            merged = _both(merged, {key: value for key, value in inner.items() if not _is_partial(key, value)})
            if part is parts[0] and len(parts) == 1 and "properties" not in schema:
                merged.update({key: inner[key] for key in _GIVEN if key in inner})
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "oneOf", "anyOf")}
        return _both(merged, own), above

    def _part(self, part: Any, above: frozenset[str], chain: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        if not isinstance(part, dict):
            return {}, above
        reference = part.get("$ref!")
        if reference is None:
            return self._flat(_normalised(part), above, chain)
        if reference in chain:
            return {}, above
        target = self._target(reference)
        if not isinstance(target, dict):
            return {}, above | {reference}
        return self._flat(_normalised(target), above | {reference}, chain | {reference})

    def _option(self, options: list[Any], discriminator: Any) -> Any:
        """The first option that is not null, and does not lead back to where it came from if another does not."""
        usable = [one for one in options if not (isinstance(one, dict) and one.get("type") in ("null", ["null"]))]
        ending = [one for one in usable if not _leads_to(one, self._outer)]
        option = (ending or usable or options)[0]
        name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
        if not isinstance(name, str) or not isinstance(option, dict) or not isinstance(option.get("$ref"), str):
            return option
        mapping = discriminator.get("mapping")
        kinds = mapping.items() if isinstance(mapping, dict) else ()
        last = option["$ref"].rsplit("/", 1)[-1]
        kind = next((str(key) for key, ref in kinds if ref in (option["$ref"], last)), last)
        return {"allOf": [option, {"properties": {name: {"enum": [kind]}}}]}


def _leads_to(option: Any, above: frozenset[str]) -> bool:
    """Whether the option, or a property that it requires, is a reference to one of `above`."""
    if not isinstance(option, dict):
        return False
    required, properties = option.get("required"), option.get("properties")
    inner: list[Any] = []
    if isinstance(required, list) and isinstance(properties, dict):
        inner = [properties.get(name) for name in required if isinstance(name, str)]
    references = [one.get("$ref") for one in (option, *inner) if isinstance(one, dict)]
    return any(isinstance(reference, str) and reference in above for reference in references)


def ends_in_null(schema: Any) -> bool:
    """Whether null is an option of the schema as it is written."""
    if not isinstance(schema, dict):
        return False
    options = [one for key in ("oneOf", "anyOf") if isinstance(schema.get(key), list) for one in schema[key]]
    return any(isinstance(one, dict) and one.get("type") in ("null", ["null"]) for one in options)


def _is_partial(key: str, value: Any) -> bool:
    """An example of one part of `allOf` is not an example of the whole, unless it is no object."""
    return key in _GIVEN and (isinstance(value, dict) or key == "examples")


def _normalised(schema: dict[str, Any]) -> dict[str, Any]:
    """The 3.0 forms of null and exclusive limits as those of 3.1; values of a wrong type and annotations left out."""
    fitting = {
        key: value
        for key, value in schema.items()
        if key not in _ANNOTATIONS
        and not (key in _FITS and not isinstance(value, _FITS[key]))
        # booleans are integers in Python
        and not (isinstance(value, bool) and key in (*_LEAST, *_MOST, "multipleOf") and not key.startswith("exclusive"))
    }
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(flag := fitting.get(exclusive), bool):
            del fitting[exclusive]
            if flag and limit in fitting:
                fitting[exclusive] = fitting.pop(limit)
    types = fitting.pop("type", None)
    kinds = [kind for kind in (types if isinstance(types, list) else [types]) if kind in TYPES]
    if kinds:
        fitting["type"] = [*kinds, "null"] if fitting.get("nullable") is True and "null" not in kinds else kinds
    if "const" in fitting:
        fitting["enum"] = [fitting.pop("const")]
    if "multipleOf" in fitting and not fitting["multipleOf"] > 0:
        del fitting["multipleOf"]
    fitting["properties"] = fitting.get("properties", {})
    fitting["required"] = [name for name in fitting.get("required", ()) if isinstance(name, str)]
    return {key: value for key, value in fitting.items() if key not in ("properties", "required") or value}


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What holds where both hold; of annotations and formats the other's."""
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        merged[key] = _narrowed(key, one[key], other[key])
    if "properties" in merged:
        names = dict.fromkeys((*one.get("properties", ()), *other.get("properties", ())))
        properties = {name: _all_of(_property(one, name), _property(other, name)) for name in names}
        merged["properties"] = {name: value for name, value in properties.items() if value is not False}
    return merged


def _narrowed(key: str, one: Any, other: Any) -> Any:
    if key in _LEAST:
        return min(one, other)
    if key in _MOST:
        return max(one, other)
    if key == "required":
        return list(dict.fromkeys((*one, *other)))
    if key == "type":
        shared = [kind for kind in one if kind in other or (kind == "integer" and "number" in other)]
        return shared or (["integer"] if "number" in one and "integer" in other else other)
    if key == "enum":
        return [value for value in one if value in other] or other
    if key == "multipleOf":
        first, second = Fraction(str(one)), Fraction(str(other))
        bottom = first.denominator * second.denominator
        both = Fraction(math.lcm(int(first * bottom), int(second * bottom)), bottom)
        return int(both) if both.denominator == 1 else float(both)
    if key in ("items", "additionalProperties"):
        return _all_of(one, other)
    return (one or other) if key in ("uniqueItems", "writeOnly") else other


def _property(schema: dict[str, Any], name: str) -> Any:
    return schema.get("properties", {}).get(name, schema.get("additionalProperties", True))


def _all_of(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    return other if one is True else one if other is True else {"allOf": [one, other]}
