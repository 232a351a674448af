"""An error instead of an answer, with Retry-After if the fault sets it."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour, CallContext
from fake_backends.providers import Response
from harness.rundir.planned.behaviours import Status


def status(spec: Status) -> Behaviour:
    answer = Response.of_error(spec.status, f"injected: status {spec.status}")
    if spec.retry_after_s is not None:
        after = (b"retry-after", str(spec.retry_after_s).encode())
        answer = Response(answer.status, (*answer.headers, after), answer.body)

    def change(_healthy: Response, _context: CallContext) -> Response:
        return answer

    return Behaviour(change=change)
