"""The `response` of a stub mapping: the answer of a route, and its latency."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from typing import Any, Final

from harness.http1 import is_header_name
from harness.rundir.planned.routes import BrokenAnswer, PlannedAnswer, PlannedProfile
from harness.upstreams.profiles import as_planned
from harness.upstreams.profiles.profile import LONGEST_MS, NORMAL
from harness.upstreams.routes.templates import escaped, escaped_tree
from harness.upstreams.routes.wiremock.nodes import (
    StubPlace,
    kind_of_json,
    members,
    number_of,
    quoted,
    text_of,
    whole_number_of,
)
from harness.upstreams.routes.wiremock.requests import NAME_MOST
from harness.upstreams.routes.wiremock.stub_folder import FILE_BYTES_MOST, StubFolder

STATUS_MESSAGE: Final = "status message"
FRAMING: Final = "framing"
TEMPLATE: Final = "template"
HEADERS_MOST: Final = 100
HEADER_VALUE_MOST: Final = 8_000
_BODY_KEYS: Final = ("body", "jsonBody", "base64Body", "bodyFileName")
_KEYS: Final = (
    *("status", "statusMessage", "headers", "fixedDelayMilliseconds", "delayDistribution", "fault"),
    *_BODY_KEYS,
)
_NOT_SUPPORTED: Final = {
    "additionalProxyRequestHeaders": "proxying is",
    "browserProxyUrl": "proxying is",
    "chunkedDribbleDelay": "a body that is sent in chunks over time is",
    "proxyBaseUrl": "proxying is",
    "proxyUrlPrefixToRemove": "proxying is",
    "removeProxyRequestHeaders": "proxying is",
    "transformerParameters": "parameters of transformers are",
    "transformers": "response templates and other transformers are",
}
_FAULTS: Final[dict[str, BrokenAnswer]] = {
    "EMPTY_RESPONSE": "empty",
    "CONNECTION_RESET_BY_PEER": "reset",
    "RANDOM_DATA_THEN_CLOSE": "garbage",
    "MALFORMED_RESPONSE_CHUNK": "garbage_after_head",
}
_FRAMING_HEADERS: Final = ("connection", "content-length", "keep-alive", "transfer-encoding")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_Z99: Final = NORMAL.inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class StubResponse:
    answer: PlannedAnswer
    profile: PlannedProfile | None
    """None: the stub says nothing of its latency."""


def read_response(value: Any, place: StubPlace, folder: StubFolder) -> StubResponse:
    """A value that is refused is replaced by a default; the result is not used then, since the stub is refused."""
    given = members(value, place, _KEYS, _NOT_SUPPORTED)
    status = whole_number_of(given.get("status", 200), place.at("status"), 200, 599) or 200
    headers = _headers(given.get("headers", {}), place.at("headers"))
    answer = PlannedAnswer(status=status, headers=headers, **_body(given, place, folder))
    if "fault" in given:
        # WireMock then sends nothing of what the stub says besides
        answer = PlannedAnswer(broken=_fault(given["fault"], place.at("fault")))
    else:
        _count_notes(given, answer, place)
    return StubResponse(answer, _latency(given, place))


def _count_notes(given: dict[str, Any], answer: PlannedAnswer, place: StubPlace) -> None:
    seen = place.reading.seen
    seen[STATUS_MESSAGE] += "statusMessage" in given
    # each brace of header values and of strings in a JSON body was doubled, so WireMock's `{{` stands as `{{{{`
    doubled = [answer.json_tree, [value for _, value in answer.headers]]
    seen[TEMPLATE] += _has("{{{{", doubled) or "{{" in (answer.text or "") or b"{{" in (answer.data or b"")


def _has(text: str, tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(_has(text, item) for item in tree.values())
    if isinstance(tree, list):
        return any(_has(text, item) for item in tree)
    return isinstance(tree, str) and text in tree


def _fault(value: Any, place: StubPlace) -> BrokenAnswer | None:
    name = text_of(value, place, NAME_MOST)
    if name is not None and name not in _FAULTS:
        place.refuse(f"`{quoted(name)}` is not one of {', '.join(f'`{fault}`' for fault in _FAULTS)}")
    return _FAULTS.get(name or "")


def _headers(value: Any, place: StubPlace) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        place.refuse(f"expected an object, not {kind_of_json(value)}")
        return ()
    found: list[tuple[str, str]] = []
    framed = False
    for name, written in value.items():
        here = place.at(name)
        if not is_header_name(name):
            here.refuse("is not a name of a header")
        for number, item in enumerate(written if isinstance(written, list) else [written]):
            there = here.at(number) if isinstance(written, list) else here
            text = text_of(item, there, HEADER_VALUE_MOST) or ""
            if not _HEADER_VALUE.fullmatch(text):
                there.refuse("has a character that a header cannot have")
            if name.lower() in _FRAMING_HEADERS:
                framed = True
            else:
                found.append((name, escaped(text)))
    if len(found) > HEADERS_MOST:
        place.refuse(f"has {len(found):,} headers, and at most {HEADERS_MOST} are sent")
    place.reading.seen[FRAMING] += framed
    return tuple(found)


def _body(given: dict[str, Any], place: StubPlace, folder: StubFolder) -> dict[str, Any]:
    """The fields of PlannedAnswer that hold the body."""
    keys = [key for key in _BODY_KEYS if key in given]
    if len(keys) > 1:
        place.refuse(f"only one of {' and '.join(f'`{key}`' for key in keys)} can be given")
    if len(keys) != 1:
        return {}
    key, value, here = keys[0], given[keys[0]], place.at(keys[0])
    if key == "jsonBody":
        return {"has_json": True, "json_tree": escaped_tree(value)}
    text = text_of(value, here, FILE_BYTES_MOST)
    if text is None:
        return {}
    if key == "bodyFileName":
        return {"data": folder.body(text, here)}
    if key == "body":
        return {"text": text}
    try:
        return {"data": base64.b64decode(text, validate=True)}
    except ValueError as exc:
        here.refuse(f"is not base64: {exc}")
        return {}


def _latency(given: dict[str, Any], place: StubPlace) -> PlannedProfile | None:
    fixed_ms: float | None = None
    if "fixedDelayMilliseconds" in given:
        fixed_ms = number_of(given["fixedDelayMilliseconds"], place.at("fixedDelayMilliseconds"), 0, LONGEST_MS)
    if "delayDistribution" not in given:
        return None if fixed_ms is None else PlannedProfile(kind="constant", numbers_ms={"constant_ms": fixed_ms})
    here = place.at("delayDistribution")
    profile = _distribution(given["delayDistribution"], fixed_ms or 0.0, here)
    try:
        if profile is not None:
            as_planned(profile)
    except ValueError as exc:
        here.refuse(str(exc))
    return profile


def _distribution(value: Any, fixed_ms: float, place: StubPlace) -> PlannedProfile | None:
    """A delay that is drawn. WireMock adds `fixed_ms` to it. None after a refusal."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "uniform":
        numbers = _numbers(value, place, ("lower", "upper"), {})
        if numbers is None:
            return None
        low_ms, high_ms = numbers
        return PlannedProfile(kind=kind, numbers_ms={"low_ms": low_ms + fixed_ms, "high_ms": high_ms + fixed_ms})
    if kind == "lognormal":
        numbers = _numbers(value, place, ("median", "sigma"), {"maxValue": "a greatest delay is"})
        if fixed_ms:
            place.refuse("a lognormal delay together with `fixedDelayMilliseconds` is not supported")
        if numbers is None:
            return None
        median_ms, sigma = numbers
        ratio = math.exp(min(sigma * _Z99, math.log(LONGEST_MS) * 2))  # beyond a day as_planned refuses it
        return PlannedProfile(kind=kind, numbers_ms={"p50_ms": median_ms, "p99_ms": median_ms * ratio})
    if isinstance(value, dict):
        place.at("type").refuse("expected `lognormal` or `uniform`; `fixedDelayMilliseconds` is a constant delay")
    else:
        place.refuse(f"expected an object, not {kind_of_json(value)}")
    return None


def _numbers(
    value: Any, place: StubPlace, names: tuple[str, str], refused: dict[str, str]
) -> tuple[float, float] | None:
    given = members(value, place, ("type", *names), refused)
    missing = [name for name in names if name not in given]
    if missing:
        place.refuse(f"has no {' and no '.join(f'`{name}`' for name in missing)}")
        return None
    first, second = (number_of(given[name], place.at(name), 0, LONGEST_MS) for name in names)
    return None if first is None or second is None else (first, second)
