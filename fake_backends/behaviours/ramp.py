"""A delay that changes evenly from one value to another, then stays."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Ramp


def ramp(spec: Ramp) -> Behaviour:
    def delay_ms(since_ms: float, _uniform: float) -> float:
        done = min(1.0, since_ms / spec.over_ms)
        return spec.from_ms + (spec.to_ms - spec.from_ms) * done

    return Behaviour(delay_ms=delay_ms)
