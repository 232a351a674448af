"""Spells in which every answer is late. Their times are in the plan, so that they are the same in each run."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import SlowSpells


def slow_spells(spec: SlowSpells) -> Behaviour:
    def delay_ms(since_ms: float, _uniform: float) -> float:
        return spec.latency_ms if any(start <= since_ms < end for start, end in spec.spells_ms) else 0.0

    return Behaviour(delay_ms=delay_ms)
