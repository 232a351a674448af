"""The head of the answer is sent at once, its body little by little."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Drip


def drip(spec: Drip) -> Behaviour:
    return Behaviour(drip_ms=spec.over_ms)
