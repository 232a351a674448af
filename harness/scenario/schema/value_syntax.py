"""The syntax of values that are one text in a scenario: request lines, status sets, URLs, probes, alerts. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.http1 import is_header_name
from harness.model.request_syntax import check_request_line
from harness.model.value_types import kind_of, not_text, refusal, shortened
from harness.secrets.syntax import HEADER_VALUE
from harness.text import is_sanitized, one_line

ALERTS_OF_A_RUNG: Final = "GET /metrics aggregator_backend_degraded"
METRICS_OF_A_RUNG: Final = "GET /metrics"
VERDICTS: Final = ("pass", "fail", "inconclusive", "rig_failure")

Text = Annotated[str, Field(min_length=1)]
StatusRanges = tuple[tuple[int, int], ...]


def _statuses(value: Any) -> StatusRanges:
    found: list[tuple[int, int]] = []
    words = str(value).split(",") if isinstance(value, str | int) and not isinstance(value, bool) else []
    for word in words:
        match = re.fullmatch(r"\s*([1-5]\d\d)\s*(?:-\s*([1-5]\d\d)\s*)?", word)
        if not match or int(match[1]) > int(match[2] or match[1]):
            found.clear()
            break
        found.append((int(match[1]), int(match[2] or match[1])))
    if not found:
        raise refusal(f"{kind_of(value)} is not a set of status codes", 'write "200", "200-399" or "200,204,300-399"')
    return tuple(found)


_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(%[a-z0-9._-]+)?")


def _header_name(value: Any) -> str:
    if not isinstance(value, str) or not is_header_name(value):
        raise refusal(f"{kind_of(value)} is not a header name", "write letters, digits and -, such as X-Tenant")
    return value


def _header_value(value: Any) -> str:
    if not isinstance(value, str):
        raise not_text(value)
    if not re.fullmatch(HEADER_VALUE, value):
        raise refusal(
            f"a header cannot contain {kind_of(value)}", "write it in one line of Latin letters, or encode it"
        )
    return value


def _base_url(value: Any) -> str:
    fix = "write http://HOST:PORT"
    if not isinstance(value, str):
        raise refusal(f"expected a URL, not {kind_of(value)}", fix)
    if "{" in value or "$" in value:
        raise refusal("this address must be known before anything starts", "write it out, or give it by --set")
    try:
        parts = urlsplit(value.strip())
        port = parts.port
    except ValueError:
        raise refusal(f"`{value}` is not a URL", fix) from None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or "") or port == 0:
        raise refusal(f"`{value}` is not an http:// or https:// URL", fix)
    if parts.username or parts.password:
        fix = "send them as a header: {Authorization: …${VAR}}"
        raise refusal("this URL may not contain credentials", fix, is_secret=True)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise refusal("this URL has no path", f"write {parts.scheme}://{parts.netloc}, and put paths into requests")
    return f"{parts.scheme}://{parts.netloc}"


_ALERTS: Final = re.compile(r"GET\s+(\S+)\s+([A-Za-z_:][A-Za-z0-9_:]*)")
_LIKE_ALERTS: Final = re.compile(r"GET\s+(\S+)\s+(\S.*)", re.DOTALL)
_LABELLED: Final = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)\s*\{.*", re.DOTALL)


def _alerts(value: Any) -> str:
    fix = f"write GET PATH METRIC, such as {ALERTS_OF_A_RUNG}"
    text = value.strip() if isinstance(value, str) else ""
    match = _ALERTS.fullmatch(text)
    if not match:
        if like := _LIKE_ALERTS.fullmatch(text):
            raise _no_metric(like[1], like[2])
        raise refusal(f"{kind_of(value)} is not a path and an alert metric", fix)
    if not match[1].startswith("/") and "://" not in match[1]:
        raise refusal(f"`{match[1]}` is not a path: it begins with /", f"write GET /{match[1]} {match[2]}")
    check_request_line(f"GET {match[1]}")
    return match[0]


def _no_metric(path: str, name: str) -> PydanticCustomError:
    path = f"/{path.removeprefix('/')}" if "://" not in path else path
    if labelled := _LABELLED.fullmatch(name):
        found = f"`{shortened(name)}` has labels, but all samples of the metric are read"
        return refusal(found, f"write the name without labels: GET {path} {labelled[1]}")
    found = f"`{shortened(name)}` is not a metric name (letters, digits, `_`, `:`)"
    plain = re.sub(r"[^A-Za-z0-9_:]+", "_", name).strip("_")
    return refusal(found, f"write it as /metrics shows it, such as GET {path} {plain or 'backend_degraded'}")


def alerts_parts(spelled: str) -> tuple[str, str]:
    """Path and metric of a validated alert."""
    match = _ALERTS.fullmatch(spelled)
    assert match
    return match[1], match[2]


def _metrics(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    method, _, path = text.rpartition(" ")
    if not path.startswith("/") or method.strip().upper() not in ("", "GET") or " " in method.strip():
        raise refusal(f"{kind_of(value)} is not a path to read by GET", f"write {METRICS_OF_A_RUNG}")
    if method.strip() != "GET":
        raise refusal(f"`{shortened(text)}` has no method", f"write GET {path}")
    check_request_line(f"GET {path}")
    return f"GET {path}"


def _scenario_name(value: Any) -> str:
    if not isinstance(value, str):
        raise refusal(f"expected text, not {kind_of(value)}", f'put it in quotes: "{value}"')
    if not value.strip() or len(value) > 80 or "/" in value or "\\" in value:
        fix = "choose a shorter one" if len(value) > 80 else "write it without them, such as azure-slow"
        raise refusal("a name has up to 80 characters, without / and \\, since it names a folder", fix)
    if "\n" in value or "\t" in value or not is_sanitized(value):
        raise refusal("a name is one line of visible characters", f"remove the others from `{one_line(value)}`")
    if not re.search(r"\w", value):
        raise refusal(f"the name `{value}` has no letter or digit", "name what the scenario shows")
    return value.strip()


Statuses = Annotated[
    StatusRanges,
    BeforeValidator(_statuses),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": r"^\s*[1-5]\d\d(\s*-\s*[1-5]\d\d)?(\s*,\s*[1-5]\d\d(\s*-\s*[1-5]\d\d)?)*$",
                },
                {"type": "integer", "minimum": 100, "maximum": 599},
            ],
            "description": "Status codes: 200-399 or 200,204",
        }
    ),
]
BaseUrl = Annotated[
    str, BeforeValidator(_base_url), WithJsonSchema({"type": "string", "pattern": "^https?://[^/]+/?$"})
]
Headers = dict[Annotated[str, BeforeValidator(_header_name)], Annotated[str, BeforeValidator(_header_value)]]
Alerts = Annotated[
    str,
    BeforeValidator(_alerts),
    WithJsonSchema({"type": "string", "pattern": r"^\s*GET\s+/\S*\s+\S+\s*$", "examples": [ALERTS_OF_A_RUNG]}),
]
Metrics = Annotated[
    str,
    BeforeValidator(_metrics),
    WithJsonSchema({"type": "string", "pattern": r"^\s*GET\s+/\S*\s*$", "examples": [METRICS_OF_A_RUNG]}),
]
ScenarioName = Annotated[
    str, BeforeValidator(_scenario_name), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 80})
]
