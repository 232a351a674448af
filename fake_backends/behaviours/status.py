"""An error instead of an answer, with Retry-After where it is asked for."""

from __future__ import annotations

from fake_backends.behaviours.behaviour import Asked, Behaviour
from fake_backends.providers import Answer
from harness.behaviour import Status


def status(spec: Status) -> Behaviour:
    answer = Answer.of_error(spec.status, f"injected: status {spec.status}")
    if spec.retry_after_s is not None:
        after = (b"retry-after", str(spec.retry_after_s).encode())
        answer = Answer(answer.status, (*answer.headers, after), answer.body)

    def change(_healthy: Answer, _asked: Asked) -> Answer:
        return answer

    return Behaviour(change=change)
