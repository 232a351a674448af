"""Only so many calls are worked on at once; the rest wait in a queue."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Capacity


def capacity(spec: Capacity) -> Behaviour:
    return Behaviour(limit=spec.limit)
