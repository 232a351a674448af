"""How a route's answer is made. What is the same for every request is encoded once; the rest is filled into bytes."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import orjson

from fake_backends.providers.exchange import IncomingRequest, Response
from harness.rundir.planned.routes import BODILESS, PlannedAnswer, PlannedRoute
from harness.upstreams.routes.files import files_of
from harness.upstreams.routes.templates import Placeholder, params_of, parse_template, parse_tree

Headers = tuple[tuple[bytes, bytes], ...]
Render = Callable[["RequestValues"], Response | None]
"""The answer to a call; None if the route has none for these parameters."""
Part = bytes | Placeholder
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


class RequestValues:
    """What placeholders are filled in from. `number`: which of the upstream's calls this is, from 0."""

    def __init__(self, request: IncomingRequest, params: Mapping[str, str], number: int) -> None:
        self.request = request
        self.params = params
        self.number = number

    @cached_property
    def query(self) -> dict[str, str]:
        """The first value of each name."""
        return dict(reversed(self.request.pairs))

    @cached_property
    def body(self) -> Any:
        """The JSON document in the request's body; None if it has none."""
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            return None

    def value(self, placeholder: Placeholder) -> Any:
        """A JSON value: text, except for `seq`, `n` and `body`."""
        match placeholder.source:
            case "param":
                return self.params[placeholder.name]
            case "query":
                return self.query.get(placeholder.name, "")
            case "header":
                sought = placeholder.name.encode("latin-1", "replace")
                return next((v.decode("latin-1") for name, v in self.request.headers if name == sought), "")
            case "seq":
                return self.number if self.request.seq is None else self.request.seq
            case "n":
                return self.number
            case _:
                return _searched(placeholder.name, self.body)

    def text(self, placeholder: Placeholder) -> str:
        value = self.value(placeholder)
        if isinstance(value, str):
            return value
        return "" if value is None else orjson.dumps(value).decode()


def _searched(expression: str, document: Any) -> Any:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.search(expression, document)
    except (JMESPathError, TypeError, ValueError, RecursionError):
        return None


def renderer(answer: PlannedAnswer, route: PlannedRoute, number: int, mark: str) -> Render:
    """How the answer of route `number` is made. Raises ValueError if it cannot be, and OSError for its files."""
    params = params_of(route.path)
    if answer.file is not None:
        return _of_files(answer, answer.file, params, number, mark)
    body, content_type = _body(answer, params)
    return _rendered(_Template(answer, params, number, mark, body, content_type))


def _body(answer: PlannedAnswer, params: Sequence[str]) -> tuple[Sequence[Part], str]:
    if answer.status in BODILESS:
        return (), ""
    if answer.has_json:
        return list(_encoded(parse_tree(answer.json_tree, params))), _JSON
    if answer.data is not None:
        return (answer.data,), ""
    if answer.text is not None:
        return _text_parts(answer.text, params, is_template=answer.template), _TEXT
    return (), ""


def _text_parts(text: str, params: Sequence[str], *, is_template: bool) -> Sequence[Part]:
    parts = parse_template(text, params) if is_template else (text,)
    return [part.encode() if isinstance(part, str) else part for part in parts]


def _of_files(answer: PlannedAnswer, pattern: str, params: Sequence[str], number: int, mark: str) -> Render:
    """One answer for each file that the pattern matches, by the values of its parameters."""
    by_values: dict[tuple[str, ...], Render] = {}
    found = files_of(pattern, params)
    for values, path in found.paths.items():
        guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        content = path.read_bytes()
        body: Sequence[Part] = (content,)
        if answer.template and guessed == _JSON:
            body = list(_encoded(parse_tree(orjson.loads(content), params)))
        elif answer.template:
            body = _text_parts(content.decode(), params, is_template=True)
        by_values[values] = _rendered(_Template(answer, params, number, mark, body, guessed))

    def of(call: RequestValues) -> Response | None:
        render = by_values.get(tuple(call.params[name] for name in found.params))
        return render(call) if render else None

    return of


# ---------------------------------------------------------------- templates


def _encoded(tree: Any) -> Iterator[Part]:
    """A document of `parse_tree` as JSON: bytes, with a placeholder wherever one is filled in.

    A placeholder within a text stands between its quotes; one that keeps its type stands for a whole value.
    """
    if isinstance(tree, dict):
        for index, (key, value) in enumerate(tree.items()):
            yield (b"," if index else b"{") + orjson.dumps(key) + b":"
            yield from _encoded(value)
        yield b"}" if tree else b"{}"
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield b"," if index else b"["
            yield from _encoded(value)
        yield b"]" if tree else b"[]"
    elif not isinstance(tree, tuple):
        yield _dumps(tree)
    elif len(tree) == 1 and tree[0].keeps_type:
        yield _Value(tree[0].source, tree[0].name)
    else:
        yield b'"'
        for part in tree:
            yield orjson.dumps(part)[1:-1] if isinstance(part, str) else _InText(part.source, part.name)
        yield b'"'


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number of more than 64 bits
        return json.dumps(value).encode()


class _Value(Placeholder):
    """Filled in as a whole JSON value."""


class _InText(Placeholder):
    """Filled in within the quotes of a JSON text."""


@dataclass(frozen=True, slots=True)
class _Template:
    answer: PlannedAnswer
    params: Sequence[str]
    number: int
    mark: str
    body: Sequence[Part]
    content_type: str


def _rendered(template: _Template) -> Render:
    answer = template.answer
    body = _merged(template.body, template.mark)
    headers = [
        (name.encode("latin-1"), _merged(_text_parts(value, template.params, is_template=True), template.mark))
        for name, value in answer.headers
    ]
    names = {name.lower() for name, _ in headers}
    if template.content_type and b"content-type" not in names:
        headers.insert(0, (b"content-type", [template.content_type.encode()]))
    bodiless = answer.status in BODILESS
    base = Response(answer.status, (), b"", route=template.number, broken=answer.broken)
    fixed = all(isinstance(part, bytes) for parts in (body, *(value for _, value in headers)) for part in parts)

    def of(call: RequestValues) -> Response:
        content = b"".join(part if isinstance(part, bytes) else _filled(part, call) for part in body)
        filled = [(name, _header_value(parts, call)) for name, parts in headers]
        if not bodiless:
            filled.append((b"content-length", str(len(content)).encode()))
        return replace(base, headers=tuple(filled), body=content)

    if fixed:
        always = of(RequestValues(IncomingRequest("GET", "/"), {}, 0))
        return lambda _call: always
    return of


def _merged(parts: Sequence[Part], mark: str) -> list[Part]:
    """With the mark filled in, and neighbouring bytes as one."""
    merged: list[Part] = []
    for part in parts:
        filled = mark.encode() if isinstance(part, Placeholder) and part.source == "mark" else part
        if isinstance(filled, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += filled
        else:
            merged.append(filled)
    return merged


def _filled(part: Placeholder, call: RequestValues) -> bytes:
    if isinstance(part, _Value):
        return _dumps(call.value(part))
    if isinstance(part, _InText):
        return orjson.dumps(call.text(part))[1:-1]
    return call.text(part).encode()


def _header_value(parts: Sequence[Part], call: RequestValues) -> bytes:
    """Without control characters, which a request could smuggle in to end the header."""
    value = b"".join(part if isinstance(part, bytes) else _filled(part, call) for part in parts)
    return value.translate(None, bytes((*range(32), 127))).strip()
