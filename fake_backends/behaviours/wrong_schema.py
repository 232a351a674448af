"""JSON that parses but means something else, as if the next version of an API came unannounced."""

from __future__ import annotations

from typing import Final

from fake_backends.behaviours.behaviour import Behaviour, CallContext
from fake_backends.providers import Response
from harness.rundir.planned.behaviours import WrongSchema

_NEXT_VERSION: Final = Response.of_json(200, b'{"version":2,"payload":{"items":{"count":0,"pages":"none"}}}')


def wrong_schema(_spec: WrongSchema) -> Behaviour:
    return Behaviour(change=_next_version)


def _next_version(_healthy: Response, _context: CallContext) -> Response:
    return _NEXT_VERSION
