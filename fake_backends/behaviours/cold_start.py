"""A call that comes before the backend is up waits until it is."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import ColdStart


def cold_start(spec: ColdStart) -> Behaviour:
    return Behaviour(delay_ms=lambda since_ms, _uniform: max(0.0, spec.up_after_ms - since_ms))
