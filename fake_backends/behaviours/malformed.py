"""A body of the right length that no JSON parser takes: its last brace is the wrong one."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Asked, Behaviour
from fake_backends.providers import Answer
from harness.behaviour import Malformed


def malformed(_spec: Malformed) -> Behaviour:
    return Behaviour(change=_broken)


def _broken(healthy: Answer, _asked: Asked) -> Answer:
    wrong = b"}" if healthy.body.endswith(b"]") else b"]"
    return Answer(healthy.status, healthy.headers, healthy.body[:-1] + wrong)
