"""How a scenario writes routes: `GET /v2/airports/{code}: {file: "airports/{code}.json", p50: 80ms}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.http1 import METHODS, is_header_name
from harness.model.strict_model import StrictModel
from harness.model.value_types import LongerDuration, did_you_mean, kind_of, refusal
from harness.rundir.planned.routes import (
    ANY_METHOD,
    ANY_PATH,
    PlannedAnswer,
    PlannedProfile,
    PlannedRoute,
    method_and_path,
)
from harness.upstreams.latency_fields import latency_findings
from harness.upstreams.profile import LatencyProfile
from harness.upstreams.routes.routes_read import ROUTES_MOST
from harness.upstreams.routes.templates import BadTemplate, Placeholder, params_of, parse_template, parse_tree

SEGMENTS_MOST: Final = 64
ANSWERS_MOST: Final = 1_000
_LENGTH_HEADERS: Final = ("content-length", "transfer-encoding", "connection")
_RESERVED: Final = "/-/"
"""The paths of the harness's own requests to its fakes."""


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise refusal(f"expected a mapping, not {kind_of(value)}", "write NAME: value")
    for name, text in value.items():
        if not isinstance(name, str) or not is_header_name(name):
            raise refusal(f"{kind_of(name)} is not a header name", "write letters, digits and -, such as ETag")
        if name.lower() in _LENGTH_HEADERS:
            raise refusal(f"the header `{name}` is set by tailgate, from the body of the answer", f"remove `{name}`")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise refusal(
                f"the value of the header `{name}` must be one line of ASCII text, not {kind_of(text)}",
                f'write it in quotes: {name}: "1"',
            )
    return dict(value)


AnswerHeaders = Annotated[
    dict[str, str],
    PlainValidator(_headers),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]


class RouteAnswer(StrictModel):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("json", "body", "file"),)

    status: int = Field(200, ge=200, le=599)
    headers: AnswerHeaders = Field({}, description="Templates such as {code} are filled in")
    json_body: Any = Field(None, alias="json", description="A JSON document; templates are filled in in its strings")
    body: str | None = Field(None, description="A text, verbatim unless `template` is true")
    file: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A file with the body, relative to this file; may contain parameters: airports/{code}.json"
    )
    template: bool = Field(False, description="Fill in templates in `body` or in the file")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.template and self.body is None and self.file is None:
            yield (
                "template",
                refusal(
                    "`template` is true, but there is no `body` and no `file` to fill templates in",
                    "remove `template`; templates in `json` are always filled in",
                ),
            )

    def planned(self, folder: Path) -> PlannedAnswer:
        """`folder`: what a relative `file` is relative to."""
        return PlannedAnswer(
            status=self.status,
            headers=tuple(self.headers.items()),
            has_json="json_body" in self.model_fields_set,
            json_tree=_lists(self.json_body),
            text=self.body,
            file=self.file and f"{str(folder).replace('{', '{{').replace('}', '}}')}/{self.file}",
            template=self.template,
        )

    def bad_templates(self, params: tuple[str, ...]) -> Iterator[tuple[str, BadTemplate]]:
        """Each key whose template is not valid, with what is wrong."""
        texts = [("headers", text) for text in self.headers.values()]
        texts += [("body", self.body)] if self.body is not None and self.template else []
        texts += [("file", self.file)] if self.file is not None else []
        for key, text in texts:
            try:
                parts = parse_template(text, params)
            except BadTemplate as exc:
                yield key, exc
                continue
            if key == "file" and any(isinstance(part, Placeholder) and part.source != "param" for part in parts):
                yield (
                    key,
                    BadTemplate("`file` may contain only parameters of the route's path", "write it as {code}", 0),
                )
        try:
            parse_tree(self.json_body, params)
        except BadTemplate as exc:
            yield "json", exc


class WrittenRoute(RouteAnswer):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("json", "body", "file", "answers"),)

    answers: Annotated[tuple[RouteAnswer, ...], Field(min_length=1, max_length=ANSWERS_MOST)] | None = Field(
        None, description="Several answers, given in turn; a list in place of the route is short for it"
    )
    p50_ms: LongerDuration | None = Field(None, alias="p50", description="Median latency; default: the upstream's")
    p99_ms: LongerDuration | None = Field(None, alias="p99", description="99th percentile of latency")
    profile: LatencyProfile | None = None
    capacity: int | None = Field(None, ge=1, le=10_000, description="How many calls it works on at once")

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        yield from latency_findings(self)
        if self.answers is not None and self.model_fields_set & {"status", "headers", "template"}:
            yield (
                "answers",
                refusal(
                    "`status`, `headers` and `template` cannot be used beside `answers`",
                    "write them in each of the answers",
                ),
            )
        if (self.p50_ms is None) != (self.p99_ms is None):
            given, lacking = ("p50", "p99") if self.p99_ms is None else ("p99", "p50")
            yield given, refusal(f"`{given}` is given without `{lacking}`", f"add {lacking}")
        if self.profile and self.profile.empirical:
            yield (
                "profile",
                refusal(
                    "a route cannot take its latencies from a file (`empirical`)", "write another profile, or use `har`"
                ),
            )

    @property
    def every_answer(self) -> tuple[RouteAnswer, ...]:
        return self.answers if self.answers is not None else (self,)

    def planned_profile(self) -> PlannedProfile | None:
        if self.profile:
            return self.profile.plan(())
        if self.p50_ms is None or self.p99_ms is None:
            return None
        return PlannedProfile(kind="lognormal", numbers_ms={"p50_ms": self.p50_ms, "p99_ms": self.p99_ms})


def _route(value: Any) -> WrittenRoute:
    return WrittenRoute.model_validate({"answers": value} if isinstance(value, tuple | list) else value)


def check_request_pattern(value: Any) -> str:
    """`GET /v2/airports/{code}`, `* /health`, `GET *` or `*`. Raises a refusal for any other value."""
    fix = "write METHOD PATH, such as GET /v2/airports/{code}, or * for whatever has no other route"
    if not isinstance(value, str):
        raise refusal(f"expected a method and a path, not {kind_of(value)}", fix)
    if value.strip() == ANY_PATH:
        return ANY_PATH
    method, _, path = value.strip().partition(" ")
    path = path.strip()
    if method.startswith("/"):
        raise refusal(f"`{value}` has no method", f"write GET {value.strip()}")
    if method not in (*METHODS, ANY_METHOD):
        meant = method.upper()
        raise refusal(
            f"`{method}` is not an HTTP method",
            f"write {meant} {path}" if meant in METHODS else did_you_mean(method, METHODS),
        )
    if path == ANY_PATH:
        return f"{method} {path}"
    if not path.startswith("/") or any(char.isspace() or ord(char) < 33 for char in path):
        raise refusal(f"`{path}` is not a path: it begins with / and has no spaces", fix)
    if "?" in path or "#" in path:
        raise refusal(
            "a route is written without a query, and answers requests with any query",
            f"write {method} {path.split('?')[0]}",
        )
    if path.startswith(_RESERVED):
        raise refusal(f"tailgate uses the paths below {_RESERVED} itself", "choose another path")
    if path.count("/") > SEGMENTS_MOST:
        raise refusal(f"a path has at most {SEGMENTS_MOST} segments", "write a shorter one")
    _check_segments(path)
    return f"{method} {path}"


def _check_segments(path: str) -> None:
    params = params_of(path)
    for name in params:
        if params.count(name) > 1:
            raise refusal(f"the parameter `{{{name}}}` occurs twice in this path", "give each parameter its own name")
    for segment in path.split("/"):
        plain = segment.replace("{{", "").replace("}}", "")
        if ("{" in plain or "}" in plain) and not params_of(segment):
            raise refusal(
                f"`{segment}` is not a parameter: a parameter fills a whole segment, and its name has only letters, "
                "digits, _ and -",
                "write {name}; if braces are meant, write {{ and }}",
            )


RequestPattern = Annotated[str, BeforeValidator(check_request_pattern)]
Routes = Annotated[
    dict[
        RequestPattern,
        Annotated[WrittenRoute, PlainValidator(_route, json_schema_input_type=WrittenRoute | list[RouteAnswer])],
    ],
    Field(min_length=1, max_length=ROUTES_MOST),
]


def planned_routes(routes: Mapping[str, WrittenRoute], folder: Path) -> tuple[PlannedRoute, ...]:
    """`folder`: what relative files are relative to."""
    planned = []
    for pattern, route in routes.items():
        method, path = method_and_path(pattern)
        planned.append(
            PlannedRoute(
                method=method,
                path=path,
                answers=tuple(answer.planned(folder) for answer in route.every_answer),
                profile=route.planned_profile(),
                capacity=route.capacity,
            )
        )
    return tuple(planned)


Where = tuple[str | int, ...]


def route_findings(routes: Mapping[str, WrittenRoute]) -> Iterator[tuple[Where, str, str, int]]:
    """What is wrong with routes that are each valid: the path within `routes`, message, fix, and the offset in the
    text."""
    seen: dict[str, str] = {}
    for pattern, route in routes.items():
        method, path = method_and_path(pattern)
        params = params_of(path)
        shape = "/".join("{}" if params_of(segment) else segment for segment in path.split("/"))
        if (first := seen.setdefault(f"{method} {shape}", pattern)) != pattern:
            yield (pattern,), f"`{pattern}` matches the same requests as `{first}`", "keep one of them", 0
        for number, answer in enumerate(route.every_answer):
            where: Where = (pattern,) if route.answers is None else (pattern, "answers", number)
            for key, bad in answer.bad_templates(params):
                offset = 0 if key in ("json", "headers") else bad.offset
                yield (*where, key), bad.message, bad.fix, offset


def _lists(tree: Any) -> Any:
    """The document with lists in place of tuples, as JSON has them."""
    if isinstance(tree, dict):
        return {str(key): _lists(value) for key, value in tree.items()}
    return [_lists(value) for value in tree] if isinstance(tree, tuple | list) else tree
