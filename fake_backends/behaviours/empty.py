"""An answer of the right shape with nothing in it."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour, CallContext
from fake_backends.providers import Response
from harness.rundir.planned.behaviours import Empty


def empty(_spec: Empty) -> Behaviour:
    return Behaviour(change=_nothing)


def _nothing(healthy: Response, context: CallContext) -> Response:
    return context.empty or healthy.emptied()
