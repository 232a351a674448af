"""The call is accepted and never answered; not even a head is sent."""

from __future__ import annotations

import math

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Hang


def hang(_spec: Hang) -> Behaviour:
    return Behaviour(delay_ms=lambda _since_ms, _uniform: math.inf)
