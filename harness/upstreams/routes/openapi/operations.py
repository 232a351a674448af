"""The routes of a description: METHOD, the first server's path and the path template of each operation.

Webhooks and callbacks are no routes. What no answer needs is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness.rundir.planned.routes import PlannedRoute, decoded_segment
from harness.units import format_things
from harness.upstreams.routes.openapi.answers import AnswerMaker
from harness.upstreams.routes.openapi.document import Document, read_document, shortened
from harness.upstreams.routes.routes_read import ROUTES_MOST, RoutesRead, UnreadableRoutes
from harness.upstreams.routes.templates import escaped

METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
SEGMENTS_MOST: Final = 64
_RESERVED: Final = "/-/"
"""Paths of the harness's own requests to its fakes."""
_PARAMETER: Final = re.compile(r"\{([^{}/]{1,200})\}")
_COUNTED: Final = {
    "no_response": "{operations} no response with a status from 200 on: the answer is 200 without a body",
    "no_text": "{operations} a body that is not JSON and no example of it as text: the answer has no body",
    "external": "{examples} left out: no example is read from another address",
    "broken_rules": "{operations} a sample that may not fit its schema, which has `pattern`, `not`, `if` or similar",
    "cut": "{operations} a sample that was cut because its schema is too large, or leads back to itself without end",
}
"""Notes by what is counted: operations, or examples."""


def read_openapi(path: Path, seed: int) -> RoutesRead:
    """The routes of a description, in its order. `seed`: of samples; an operation's depend on nothing but the seed, its
    name and its schemas. Raises UnreadableRoutes, and OSError if the file cannot be read."""
    document = read_document(path)
    answers = AnswerMaker(document, seed)
    notes: dict[str, None] = {}
    bases: set[str] = set()
    routes: dict[str, PlannedRoute] = {}
    try:
        for method, written, base, operation in _operations(document):
            planned = _planned_path(base + _without_query(written), notes)
            name = f"{method} {planned}"
            bases.add(base)
            if planned.startswith(_RESERVED) or planned.count("/") > SEGMENTS_MOST:
                notes.setdefault(f"`{shortened(name)}` was left out: no fake can have this path")
                continue
            shape = "/".join("{}" if _is_parameter(segment) else segment for segment in planned.split("/"))
            if (key := f"{method} {shape}") in routes:
                notes.setdefault(f"`{shortened(name)}` was left out: `{shortened(routes[key].name)}` has its requests")
                continue
            if len(routes) >= ROUTES_MOST:
                fix = "leave out operations that are not called"
                raise UnreadableRoutes(f"it describes more than {ROUTES_MOST:,} operations", fix)
            routes[key] = PlannedRoute(method=method, path=planned, answers=(answers.answer(operation, name),))
    except RecursionError as exc:
        raise UnreadableRoutes("its schemas are nested too deeply", "make them flatter") from exc
    if not routes:
        raise UnreadableRoutes("it describes no operation", "name a description with operations such as `get`")
    base = bases.pop() if len(bases) == 1 else ""
    return RoutesRead(tuple(routes.values()), (*notes, *_counted_notes(answers.counts)), base)


def _counted_notes(counts: Mapping[str, int]) -> Iterator[str]:
    for what, text in _COUNTED.items():
        if n := counts.get(what, 0):
            operations = f"{format_things(n, 'operation')} {'has' if n == 1 else 'have'}"
            examples = f"{format_things(n, 'example')} {'is' if n == 1 else 'are'}"
            yield text.format(operations=operations, examples=examples)


def _operations(document: Document) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Method, path template, the path of the server, and the operation."""
    for template, written in document.root["paths"].items():
        if not template.startswith("/"):
            continue  # an extension, `x-…`
        target = document.followed(written)
        item = {**target, **written} if isinstance(target, dict) and isinstance(written, dict) else {}
        for method in METHODS:
            if isinstance(operation := item.get(method), dict):
                servers = operation.get("servers") or item.get("servers") or document.root.get("servers")
                yield method.upper(), template, base_path(servers), operation


def base_path(servers: Any) -> str:
    """The path of the first server, with its variables' defaults: `/api/v1`, or empty. Raises UnreadableRoutes."""
    server = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(server, dict) or not isinstance(url := server.get("url"), str):
        return ""
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict) and "default" in variable:
            url = url.replace(f"{{{name}}}", str(variable["default"]))
    try:
        path = urlsplit(url).path.strip("/")
    except ValueError as exc:
        raise UnreadableRoutes(f"the server `{shortened(url)}` is no URL", "write it as https://HOST/PATH") from exc
    return f"/{path}" if path else ""


def _without_query(template: str) -> str:
    """The template up to `?` or `#` outside braces."""
    found = re.match(r"(?:\{[^{}/]{1,200}\}|[^?#])*", template)
    return found[0] if found else template


def _planned_path(template: str, notes: dict[str, None]) -> str:
    used: set[str] = set()
    return "/".join(_planned_segment(segment, used, notes) for segment in template.split("/"))


def _planned_segment(segment: str, used: set[str], notes: dict[str, None]) -> str:
    """`{param}`, or a literal as PlannedRoute has it."""
    names = _PARAMETER.findall(segment)
    if not names:
        return escaped(decoded_segment(segment))
    if not _PARAMETER.fullmatch(segment):
        notes.setdefault(f"`{shortened(segment)}` matches any segment of a path: parameters are whole segments")
    name = re.sub("[^A-Za-z0-9_-]", "_", "_".join(names))[:100]
    name = name if re.match("[A-Za-z_]", name) else f"_{name}"
    unique, number = name, 2
    while unique in used:
        unique, number = f"{name}_{number}", number + 1
    used.add(unique)
    return f"{{{unique}}}"


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and not segment.startswith("{{")
