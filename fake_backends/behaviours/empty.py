"""The right shape, and nothing in it."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Asked, Behaviour
from fake_backends.providers import Answer
from harness.behaviour import Empty


def empty(_spec: Empty) -> Behaviour:
    return Behaviour(change=_nothing)


def _nothing(_healthy: Answer, asked: Asked) -> Answer:
    return asked.wire.empty()
