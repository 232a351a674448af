"""A body of the right length that no JSON parser accepts: its last brace is the wrong one."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour, CallContext
from fake_backends.providers import Response
from harness.rundir.planned.behaviours import Malformed


def malformed(_spec: Malformed) -> Behaviour:
    return Behaviour(change=_broken)


def _broken(healthy: Response, _context: CallContext) -> Response:
    if not healthy.body:
        return Response.of_json(200, b"]")
    wrong = b"}" if healthy.body.endswith(b"]") else b"]"
    return Response(healthy.status, healthy.headers, healthy.body[:-1] + wrong)
