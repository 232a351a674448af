"""Request lines, readiness probes and environments as a scenario spells them. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import BeforeValidator, WithJsonSchema

from harness.http1 import METHODS
from harness.model.value_types import LONGEST_MS, did_you_mean, kind_of, refusal, shortened
from harness.units import parse_duration_ms

READY_WITHIN: Final = "10s"


def check_request_line(value: Any) -> str:
    """METHOD PATH with one space between them. Raises a refusal for any other value."""
    fix = "write METHOD PATH, such as GET /offers?gpu=A100"
    if not isinstance(value, str):
        raise refusal(f"expected a method and a path, not {kind_of(value)}", fix)
    method, _, path = value.strip().partition(" ")
    if method.startswith("/"):
        raise refusal(f"`{value}` has no method", f"write GET {value.strip()}")
    if method not in METHODS:
        fix = f"write {method.upper()} {path}" if method.upper() in METHODS else did_you_mean(method, METHODS)
        raise refusal(f"`{method}` is not a method", fix)
    path = path.strip()
    if "://" in path.split("?")[0]:
        raise refusal("a request is a path without a host", f"write {method} {_path_of(path)}")
    if not path.startswith("/") or any(char.isspace() or ord(char) < 32 or ord(char) == 127 for char in path):
        raise refusal(f"`{path}` is not a path: it begins with / and has no spaces", fix)
    if not path.isascii():
        escaped = quote(path, safe="/?#[]@!$&'()*+,;=:%{}~", errors="replace")
        raise refusal(f"`{path}` is not a path: HTTP sends ASCII only", f"write {method} {escaped}")
    return f"{method} {path}"


def _path_of(url: str) -> str:
    return "/" + url.split("://", 1)[1].partition("/")[2]


def _variable_name(value: Any) -> str:
    if not isinstance(value, str) or not value or "=" in value:
        raise refusal(f"{kind_of(value)} is not a name of an environment variable", "write NAME: value")
    return value


_READY: Final = re.compile(r"(\S+)\s+(\S+)(?:\s+within\s+(.+))?")


def check_ready(value: Any) -> str:
    """METHOD PATH within DURATION. Raises a refusal for any other value."""
    match = _READY.fullmatch(value.strip()) if isinstance(value, str) else None
    fix = "write GET /healthz within 10s"
    if not match:
        raise refusal(f"{kind_of(value)} is not a readiness probe", fix)
    check_request_line(f"{match[1]} {match[2]}")
    try:
        within_ms = parse_duration_ms(match[3] or READY_WITHIN)
    except ValueError:
        raise refusal(f"`{shortened(match[3])}` is not a duration", fix) from None
    if not 0 < within_ms <= LONGEST_MS:
        raise refusal(f"`{shortened(match[3])}` is not a time limit", fix)
    return match[0]


def ready_parts(ready: str) -> tuple[str, str, float]:
    """Method, path and time limit (ms) of a validated readiness probe."""
    match = _READY.fullmatch(ready)
    assert match
    return match[1], match[2], parse_duration_ms(match[3] or READY_WITHIN)


RequestLine = Annotated[
    str,
    BeforeValidator(check_request_line),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^({'|'.join(METHODS)})\s+/\S*$",
            "description": "METHOD PATH",
            "examples": ["GET /v1/offers"],
        }
    ),
]
Environment = dict[Annotated[str, BeforeValidator(_variable_name)], str]
Ready = Annotated[
    str, BeforeValidator(check_ready), WithJsonSchema({"type": "string", "examples": ["GET /healthz within 10s"]})
]
