"""A sample fits its schema, is the same for the same seed, and ends for every schema."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_schema_validator import OAS30ReadValidator

from harness.upstreams.routes.openapi.document import Document
from harness.upstreams.routes.openapi.samples import CHARACTERS_MOST, Sampler

DEFINITIONS: dict[str, Any] = {
    "Pet": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    },
    "Node": {
        "type": "object",
        "required": ["value", "children"],
        "properties": {
            "value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
            "parent": {"$ref": "#/components/schemas/Node"},
        },
    },
    "Chain": {
        "type": "object",
        "required": ["next"],
        "properties": {"next": {"anyOf": [{"$ref": "#/components/schemas/Chain"}, {"type": "null"}]}},
    },
    "Sum": {
        "oneOf": [
            {"type": "object", "required": ["left"], "properties": {"left": {"$ref": "#/components/schemas/Sum"}}},
            {"type": "integer"},
        ]
    },
    "Self": {"$ref": "#/components/schemas/Self"},
    "Mutual": {"allOf": [{"$ref": "#/components/schemas/Mutual"}, {"type": "object"}]},
    "Endless": {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": {"$ref": "#/components/schemas/Endless"}, "b": {"$ref": "#/components/schemas/Endless"}},
    },
    **{
        f"Double{number}": {"allOf": [{"$ref": f"#/components/schemas/Double{number + 1}"}] * 2} for number in range(30)
    },
    "Double30": {"type": "integer"},
}
DOCUMENT = Document({"components": {"schemas": DEFINITIONS}})
PET = {"$ref": "#/components/schemas/Pet"}


def sampler(seed: int = 1) -> Sampler:
    return Sampler(DOCUMENT.target, Random(seed))


def sample(schema: Any, seed: int = 1) -> Any:
    return sampler(seed).sample(schema)


def assert_fits(schema: Any, value: Any) -> None:
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator({"components": DOCUMENT.root["components"], **schema}, format_checker=checker).validate(value)


FITTING: list[dict[str, Any]] = [
    {},
    {"type": "string"},
    {"type": "string", "minLength": 50},
    {"type": "string", "maxLength": 1},
    {"type": "string", "maxLength": 0},
    *(
        {"type": "string", "format": kind}
        for kind in (
            "date",
            "date-time",
            "time",
            "uuid",
            "email",
            "uri",
            "ipv4",
            "ipv6",
            "hostname",
            "byte",
            "password",
        )
    ),
    {"type": "string", "enum": ["a", "b"]},
    {"enum": [None, 3]},
    {"const": {"a": 1}},
    {"type": "integer"},
    {"type": "integer", "minimum": 7, "maximum": 7},
    {"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9},
    {"type": "integer", "maximum": -1_000},
    {"type": "integer", "minimum": 10**15},
    {"type": "integer", "multipleOf": 7, "minimum": 8, "maximum": 15},
    {"type": "integer", "multipleOf": 1.5},
    {"type": "number", "multipleOf": 0.01},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    {"type": "number", "minimum": 1e-9, "maximum": 1e-9},
    {"type": "number", "maximum": -1e300},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["null", "string"]},
    {"type": "array"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 5},
    {"type": "array", "items": PET, "maxItems": 1},
    {"type": "array", "maxItems": 0},
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "maxItems": 9},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "items": False},
    PET,
    {"type": "object", "required": ["other"], "properties": {"id": {"type": "integer"}}},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 4},
    {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
    {"type": "object", "maxProperties": 1, "required": ["b"], "properties": {"a": {}, "b": {"type": "integer"}}},
    {"properties": {"a": {"type": "integer"}}},
    {"allOf": [PET, {"type": "object", "required": ["tag"], "properties": {"tag": {"type": "string"}}}]},
    {"allOf": [{"minimum": 3}, {"maximum": 4}, {"type": "integer"}]},
    {"allOf": [{"type": ["integer", "string"]}, {"type": ["string", "null"]}]},
    {"allOf": [{"type": "number"}, {"type": "integer"}]},
    {"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 4]}]},
    {"allOf": [{"type": "integer", "multipleOf": 4}, {"multipleOf": 6}]},
    {"allOf": [{"properties": {"a": {"minimum": 3}}}, {"properties": {"a": {"type": "integer", "maximum": 3}}}]},
    {"allOf": [{"additionalProperties": False, "properties": {"a": {}}}, {"properties": {"a": {}, "b": {}}}]},
    {"oneOf": [{"type": "null"}, PET]},
    {"anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": 200},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"$ref": "#/components/schemas/Node"},
    {"$ref": "#/components/schemas/Chain"},
    {"$ref": "#/components/schemas/Sum"},
    {"$ref": "#/components/schemas/Pet", "required": ["name"]},
]


@pytest.mark.parametrize("schema", FITTING, ids=lambda schema: json.dumps(schema)[:60])
def test_a_sample_fits_its_schema(schema: dict[str, Any]) -> None:
    for seed in range(20):
        one = sampler(seed)
        assert_fits(schema, one.sample(schema))
        assert not one.broken_rules


NUMBERS = st.integers(-1_000, 1_000)
LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.tuples(NUMBERS, st.integers(0, 50)).map(lambda n: {"type": "integer", "minimum": n[0], "maximum": n[0] + n[1]}),
    st.tuples(NUMBERS, st.floats(0.1, 50)).map(lambda n: {"type": "number", "minimum": n[0], "maximum": n[0] + n[1]}),
    st.builds(lambda n: {"type": ["null", "number"], "exclusiveMinimum": n}, NUMBERS),
    st.builds(lambda n: {"type": "integer", "multipleOf": n}, st.integers(1, 99)),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
        lambda n: {"type": "string", "minLength": n[0], "maxLength": n[0] + n[1]}
    ),
    st.builds(lambda kind: {"type": "string", "format": kind}, st.sampled_from(["date", "uuid", "email", "ipv4"])),
    st.builds(lambda values: {"enum": values}, st.lists(st.none() | NUMBERS | st.text(max_size=5), min_size=1)),
)
NAMES = st.sampled_from("abcd")


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def bounded(items: Any, least: int) -> dict[str, Any]:
        return {"type": "array", "items": items, "minItems": least, "maxItems": least + 1}

    return st.one_of(
        st.builds(bounded, inner, st.integers(0, 3)),
        st.builds(
            lambda properties, required, more: {
                "type": "object",
                "properties": properties,
                "required": sorted(required),
                "additionalProperties": more,
            },
            st.dictionaries(NAMES, inner, max_size=3),
            st.sets(NAMES),
            inner | st.just(True),
        ),
        st.builds(lambda one, more: {"allOf": [one, {"description": "x"}], "anyOf": [{}, more]}, inner, inner),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, _containers, max_leaves=8), st.integers(0, 5))
def test_a_sample_fits_whatever_schema_it_is_of(schema: dict[str, Any], seed: int) -> None:
    one = sampler(seed)
    value = one.sample(schema)
    assert one.cut or Draft202012Validator(schema).is_valid(value), (schema, value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "exclusiveMinimum": True, "maximum": 6},
        {"type": "number", "minimum": 5, "maximum": 6, "exclusiveMaximum": True, "exclusiveMinimum": False},
        {"type": "string", "nullable": True},
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string", "writeOnly": True}, "b": {}}},
    ],
)
def test_a_sample_fits_a_schema_of_openapi_3_0(schema: dict[str, Any]) -> None:
    for seed in range(10):
        OAS30ReadValidator(schema).validate(sample(schema, seed))


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "string", "example": "x", "default": "y"}, "x"),
        ({"type": "string", "examples": ["x", "z"]}, "x"),
        ({"type": "string", "default": "y"}, "y"),
        ({"const": 5}, 5),
        ({"allOf": [{"$ref": "#/components/schemas/Pet"}], "example": {"id": 3}}, {"id": 3}),
        ({"type": "string", "nullable": True, "enum": [None, "a"]}, "a"),
    ],
)
def test_what_the_description_gives_is_taken(schema: dict[str, Any], wanted: object) -> None:
    assert sample(schema) == wanted


def test_an_example_of_a_part_does_not_stand_for_the_whole() -> None:
    part = {"type": "object", "properties": {"a": {"type": "integer"}}, "example": {"a": 1}}
    assert set(sample({"allOf": [part, {"properties": {"b": {"type": "integer"}}}]})) == {"a", "b"}


def test_read_only_stays_and_write_only_goes() -> None:
    properties = {"id": {"type": "integer", "readOnly": True}, "password": {"type": "string", "writeOnly": True}}
    assert set(sample({"type": "object", "required": ["password"], "properties": properties})) == {"id"}


def test_optional_properties_end_at_depth_three_and_required_ones_do_not() -> None:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(5):
        inner = {"type": "object", "required": ["r"], "properties": {"r": inner, "o": {"type": "integer"}}}
    value, depths = sample(inner), []
    while isinstance(value, dict):
        depths.append(set(value))
        value = value["r"]
    assert depths == [{"r", "o"}] * 3 + [{"r"}] * 2


def test_arrays_have_two_items() -> None:
    assert len(sample({"type": "array", "items": PET})) == 2


def test_the_discriminator_names_the_option_that_was_taken() -> None:
    kinds = {"propertyName": "kind", "mapping": {"dog": "#/components/schemas/Pet"}}
    assert sample({"oneOf": [PET], "discriminator": kinds})["kind"] == "dog"
    assert sample({"oneOf": [PET], "discriminator": {"propertyName": "kind"}})["kind"] == "Pet"


@pytest.mark.parametrize("name", ["Self", "Mutual", "Endless", "Double0", "Node", "Chain", "Sum"])
def test_circular_schemas_end_within_their_bounds(name: str) -> None:
    assert len(json.dumps(sample({"$ref": f"#/components/schemas/{name}"}))) < 2 * CHARACTERS_MOST


def test_a_schema_without_end_is_said_to_be_cut() -> None:
    one = sampler()
    one.sample({"$ref": "#/components/schemas/Endless"})
    assert one.cut
    other = sampler()
    other.sample(PET)
    assert not other.cut


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**12},
        {"type": "array", "minItems": 10**12, "items": {"type": "string", "minLength": 1_000}},
        {"type": "object", "minProperties": 10**12},
        {"type": "array", "minItems": 100, "items": {"type": "array", "minItems": 100, "items": {"type": "integer"}}},
    ],
)
def test_a_large_sample_is_cut(schema: dict[str, Any]) -> None:
    one = sampler()
    assert len(json.dumps(one.sample(schema))) < 3 * CHARACTERS_MOST
    assert one.cut


@pytest.mark.parametrize("rule", ["pattern", "not", "if", "contains"])
def test_rules_that_samples_may_break_are_told(rule: str) -> None:
    one = sampler()
    one.sample({"properties": {"a": {rule: "x" if rule == "pattern" else {}}}})
    assert one.broken_rules == {rule}


def test_the_seed_decides() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 5}
    assert sample(schema, 3) == sample(schema, 3) != sample(schema, 4)
