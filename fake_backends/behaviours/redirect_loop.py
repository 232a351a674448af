"""A redirect to the same address that was asked, for as long as a client follows it."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour, CallContext
from fake_backends.providers import Response
from harness.rundir.planned.behaviours import RedirectLoop


def redirect_loop(_spec: RedirectLoop) -> Behaviour:
    return Behaviour(change=_back_again)


def _back_again(_healthy: Response, context: CallContext) -> Response:
    return Response(302, ((b"location", context.target), (b"content-length", b"0")), b"")
