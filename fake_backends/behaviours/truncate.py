"""Less of the body than its head promised, then the connection is closed."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Truncate


def truncate(spec: Truncate) -> Behaviour:
    return Behaviour(keep=spec.keep)
