"""JSON Schema of scenarios and of results.json, for editors (yaml-language-server) and for programs.

It is draft 7, which editors support best, and helps while typing. Whether a scenario is valid is decided by
`harness.scenario.load`, which also checks what a schema cannot express.
"""

from __future__ import annotations

from typing import Any, Final

from harness.faults import FAULTS
from harness.gates import GATES
from harness.model.strict_model import StrictModel
from harness.model.value_types import NAME_PATTERN
from harness.scenario.schema.scenario import MODELS, Load, Scenario, Service
from harness.upstreams.kinds import upstream_kinds

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_REF: Final = "#/$defs/{model}"
_GATES: Final = tuple(example for kind in GATES.kinds() for example in kind.EXAMPLES)


def scenario_schema() -> dict[str, Any]:
    schema = Scenario.model_json_schema(by_alias=True, ref_template=_REF)
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    properties = schema["properties"]
    definitions["Fault"] = _fault(definitions)
    definitions["Upstream"] = _upstream(definitions)
    for model in ("Request", "SentRequest"):
        definitions[model] = {
            "anyOf": [dict(definitions[model]["properties"]["request"]), definitions[model]],
            "description": "METHOD PATH, or a mapping",
        }
    properties["faults"]["items"] = {"$ref": "#/$defs/Fault"}
    properties["upstreams"] = {
        "type": "object",
        "description": "The backends that the service asks, by name; each gets a Toxiproxy listener before it",
        "maxProperties": 64,
        "additionalProperties": {"$ref": "#/$defs/Upstream"},
        "propertyNames": {"pattern": NAME_PATTERN},
    }
    for variant in properties["gates"]["anyOf"]:
        if variant.get("type") == "array":
            variant["items"] = {"type": "string", "minLength": 1, "examples": list(_GATES)}
    required = schema.pop("required")
    varied = definitions["Matrix"].pop("required")
    return {
        "$schema": DRAFT,
        "title": "tailgate scenario",
        **_tidied({key: value for key, value in schema.items() if key not in ("title", "description")}),
        # a scenario that extends another may leave out whatever that one contains
        "if": {"required": ["extends"]},
        "else": {
            "required": required,
            "properties": {"service": _either(Service), "load": _load(), "matrix": {"required": varied}},
        },
    }


def results_schema() -> dict[str, Any]:
    """The schema of results.json, both of a run and of a matrix."""
    from pydantic import TypeAdapter

    from harness.rundir.results import MatrixResults, Results

    both: TypeAdapter[Results | MatrixResults] = TypeAdapter(Results | MatrixResults)
    schema = both.json_schema(mode="serialization", ref_template=_REF)
    return {"$schema": DRAFT, "title": "tailgate results.json", **schema}


def capacity_schema() -> dict[str, Any]:
    """The schema of capacity.json."""
    from harness.rundir.searches.capacity import CapacityResults

    schema = CapacityResults.model_json_schema(mode="serialization", ref_template=_REF)
    return {"$schema": DRAFT, **schema, "title": "tailgate capacity.json"}


def frontier_schema() -> dict[str, Any]:
    """The schema of frontier.json."""
    from harness.rundir.searches.frontier import FrontierResults

    schema = FrontierResults.model_json_schema(mode="serialization", ref_template=_REF)
    return {"$schema": DRAFT, **schema, "title": "tailgate frontier.json"}


def plan_schema() -> dict[str, Any]:
    """The schema of the document of `tailgate plan --json`."""
    from harness.rundir.searches.planned import PlanDocument

    schema = PlanDocument.model_json_schema(mode="serialization", ref_template=_REF)
    return {"$schema": DRAFT, **schema, "title": "tailgate plan --json"}


def _fault(definitions: dict[str, Any]) -> dict[str, Any]:
    """All kinds in one flat object, so that an editor offers every key and marks a second kind as an error."""
    properties: dict[str, Any] = {}
    dependencies: dict[str, list[str]] = {}
    shared = {"name", "at", "for", "every", "upstream", "stream", "share", "met", "route", "first"}
    for kind in FAULTS.values():
        schema = kind.model_json_schema(by_alias=True, ref_template=_REF)
        definitions.update(schema.get("$defs", {}))
        for key, value in schema["properties"].items():
            properties.setdefault(key, value)
            if key not in shared and key != kind.KIND:
                dependencies[key] = [kind.KIND]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": ["upstream", "for"],
        "oneOf": [{"required": [kind]} for kind in FAULTS],
        "dependencies": dependencies,
    }


def _upstream(definitions: dict[str, Any]) -> dict[str, Any]:
    variants = []
    for kind in upstream_kinds():
        schema = kind.model_json_schema(by_alias=True, ref_template=_REF)
        definitions.update(schema.pop("$defs", {}))
        variants.append(schema)
    return {"anyOf": variants}


def _either(part: type[StrictModel]) -> dict[str, Any]:
    groups = [{"oneOf": [{"required": [key]} for key in group]} for group in part.ONE_OF]
    return groups[0] if len(groups) == 1 else {"allOf": groups}


def _load() -> dict[str, Any]:
    """A load has one of MODELS, unless each of its requests has a rate of its own."""
    own = {"type": "object", "anyOf": [{"required": ["rate"]}, {"required": ["stages"]}]}
    each_has_one = [
        {"required": ["request"], "properties": {"request": own}},
        {"required": ["requests"], "properties": {"requests": {"items": own}}},
    ]
    none = {"not": {"anyOf": [{"required": [key]} for key in MODELS]}, "anyOf": each_has_one}
    models, *others = _either(Load)["allOf"]
    return {"allOf": [{"oneOf": [*models["oneOf"], none]}, *others]}


def _tidied(value: Any) -> Any:
    """The schema without what pydantic adds and an editor would show: titles of models, defaults of null."""
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: _tidied(inner) for name, inner in item.items()} if key in ("properties", "$defs") else _tidied(item)
        for key, item in value.items()
        if key != "title" and not (key == "default" and item is None)
    }
