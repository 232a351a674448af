"""Every answer is sent later, by a fixed time and a jitter around it."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Late


def late(spec: Late) -> Behaviour:
    return Behaviour(delay_ms=lambda _since_ms, uniform: spec.latency_ms + spec.jitter_ms * (2 * uniform - 1))
