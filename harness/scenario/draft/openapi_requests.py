"""From OpenAPI descriptions: a partner as an upstream, and the GET operations of the service itself as requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote

from harness.errors import UsageError
from harness.http1 import is_header_name
from harness.scenario.draft.parts import DraftRequest, DraftUpstream, upstream_name, variable_name
from harness.scenario.draft.paths import relative_path
from harness.secrets.literal import literal_secret
from harness.upstreams.routes.openapi.document import Document, read_document
from harness.upstreams.routes.openapi.operations import base_path
from harness.upstreams.routes.openapi.samples import Sampler
from harness.upstreams.routes.read import read_file
from harness.upstreams.upstream_files import UnreadableFile

REQUESTS_MOST: Final = 10
LINE_MOST: Final = 2_000
"""Characters of a request line."""
_SAYS_NOTHING: Final = ("openapi", "swagger", "api", "spec", "index", "api-docs", "schema")
"""Names of files that do not name the partner."""
_IN_PATH: Final = re.compile(r"\{([^{}/]{1,200})\}")


def upstream_of_openapi(path: Path, folder: Path, taken: frozenset[str]) -> DraftUpstream:
    """The partner that a description describes. Raises UsageError if it is not valid."""
    try:
        read = read_file("openapi", path)
        document = read_document(path)
    except UnreadableFile as exc:
        raise UsageError(f"{path}: {exc.message}", exc.fix) from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", "check the path and its rights") from exc
    title = document.root["info"].get("title")
    stem = path.stem.lower()
    name = upstream_name(str(title) if stem in _SAYS_NOTHING and title else path.stem, taken)
    count = len(read.routes)
    comments = (f"{count} operation{'' if count == 1 else 's'}, answered by examples and schemas",)
    return DraftUpstream(name, {"openapi": relative_path(path, folder)}, comments, hosts=frozenset(_hosts(document)))


def requests_of_openapi(path: Path) -> tuple[tuple[DraftRequest, ...], tuple[str, ...]]:
    """The GET operations of the service under test, with example parameters, and sentences about what was left out or
    invented. Raises UsageError."""
    try:
        document = read_document(path)
        found = list(_requests(document))
    except UnreadableFile as exc:
        raise UsageError(f"{path}: {exc.message}", exc.fix) from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", "check the path and its rights") from exc
    except RecursionError as exc:
        raise UsageError(f"{path}: its schemas are nested too deeply", "make them flatter") from exc
    if not found:
        raise UsageError(f"{path} describes no GET operation", "name another description, or leave --service out")
    notes = [f"the GET operations of {path.name}; parameters without an example are invented: check them"]
    if len(found) > REQUESTS_MOST:
        notes.append(f"{len(found) - REQUESTS_MOST} further GET operations are not among them")
    if document.root.get("security") or _has_security(document):
        notes.append('it asks for credentials: add headers: {Authorization: "Bearer ${API_TOKEN}"}')
    return tuple(found[:REQUESTS_MOST]), tuple(notes)


def _hosts(document: Document) -> Iterator[str]:
    servers = document.root.get("servers")
    for server in servers if isinstance(servers, list) else ():
        url = server.get("url") if isinstance(server, dict) else None
        if isinstance(url, str) and (match := re.match(r"https?://([A-Za-z0-9.-]{1,253})", url)):
            yield match[1].lower()


def _has_security(document: Document) -> bool:
    paths = document.root["paths"].values()
    items = [item for item in paths if isinstance(item, dict)]
    return any(isinstance(item.get("get"), dict) and item["get"].get("security") for item in items)


def _requests(document: Document) -> Iterator[DraftRequest]:
    lines: set[str] = set()
    for template, written in document.root["paths"].items():
        item = document.followed(written)
        operation = item.get("get") if isinstance(item, dict) else None
        if not template.startswith("/") or not isinstance(operation, dict):
            continue
        servers = operation.get("servers") or item.get("servers") or document.root.get("servers")
        parameters = _parameters(document, item, operation)
        line = f"GET {_path(document, base_path(servers) + template, parameters)}"
        if query := "&".join(_query(document, parameters)):
            line = f"{line}{'&' if '?' in line else '?'}{query}"
        if len(line) <= LINE_MOST and line not in lines:
            lines.add(line)
            yield DraftRequest(line, dict(_headers(document, parameters)))


def _parameters(
    document: Document, item: Mapping[str, Any], operation: Mapping[str, Any]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """By place and name; those of the operation win over those of its path."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for listed in (item.get("parameters"), operation.get("parameters")):
        for each in listed if isinstance(listed, list) else ():
            parameter = document.followed(each)
            if isinstance(parameter, dict):
                found[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    return found


def _path(document: Document, template: str, parameters: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    def value(match: re.Match[str]) -> str:
        return quote(_example(document, parameters.get(("path", match[1]), {})) or "1", safe="")

    pieces = _IN_PATH.split(template)
    filled = _IN_PATH.sub(value, template) if len(pieces) > 1 else template
    return quote(filled, safe="/?&=%:@!$'()*+,;~-._")


def _query(document: Document, parameters: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[str]:
    for (place, name), parameter in parameters.items():
        if place == "query" and (parameter.get("required") is True or _has_example(parameter)):
            yield f"{quote(name, safe='')}={quote(_example(document, parameter), safe='')}"


def _headers(document: Document, parameters: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for (place, name), parameter in parameters.items():
        if place == "header" and parameter.get("required") is True and is_header_name(name):
            # braces would be templates
            value = re.sub(r"[^\x20-\x7e]|[{}$]", "", _example(document, parameter))[:500].strip() or "1"
            # a scenario may hold an example of a secret as a default only
            yield name, f"${{{variable_name(name)}:-{value}}}" if literal_secret(name, value) else value


def _has_example(parameter: Mapping[str, Any]) -> bool:
    return "example" in parameter or bool(parameter.get("examples"))


def _example(document: Document, parameter: Mapping[str, Any]) -> str:
    """An example of a parameter as text: a given one, else one by its schema."""
    if "example" in parameter:
        return _text(parameter["example"])
    examples = parameter.get("examples")
    for each in examples.values() if isinstance(examples, dict) else ():
        example = document.followed(each)
        if isinstance(example, dict) and "value" in example:
            return _text(example["value"])
    return _text(Sampler(document.target, Random(0)).sample(parameter.get("schema", {"type": "string"})))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, str):
        return value[:500]
    return json.dumps(value)[:500]
