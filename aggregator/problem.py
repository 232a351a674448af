"""Errors as RFC 9457 problems: the body of an answer without offers. Pure.

`type` points to the part of the service's own OpenAPI document that describes the problem, `detail`
says what is wrong this time and what would do, `request_id` finds it in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import orjson

CONTENT_TYPE: Final = b"application/problem+json"
_PATH_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is that of the response in openapi.json."""

    name: str
    status: int
    title: str


BAD_PARAMETER: Final = Kind("BadParameter", 400, "A parameter cannot be used")
NOT_FOUND: Final = Kind("NotFound", 404, "There is no such path")
METHOD_NOT_ALLOWED: Final = Kind("MethodNotAllowed", 405, "The path takes other methods")
INTERNAL: Final = Kind("ServerError", 500, "The service failed")
NO_SESSION: Final = Kind("ServerError", 500, "No database session was free")
STOPPING: Final = Kind("Unavailable", 503, "The service is stopping")


def problem(kind: Kind, detail: str, path: str, request_id: str, parameter: str = "") -> bytes:
    """`path` is the one that was asked for, whatever is in it."""
    document: dict[str, object] = {
        "type": f"/openapi.json#/components/responses/{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": quote(path[:_PATH_LENGTH_MAX], errors="replace"),
        "request_id": request_id,
    }
    if parameter:
        document["parameter"] = parameter
    return orjson.dumps(document)
