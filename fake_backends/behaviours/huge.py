"""The same offers in a body of many megabytes."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Behaviour
from harness.rundir.planned.behaviours import Huge


def huge(spec: Huge) -> Behaviour:
    return Behaviour(pad_to=spec.size_bytes)
