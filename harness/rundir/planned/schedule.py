"""When requests arrive: schedules, and the streams of a load, each of which has one. Times are ms from t = 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.model.frozen import Frozen


class Stage(Frozen):
    """Arrival rate from `start_per_s` to `end_per_s`, linear over `duration_ms`."""

    start_per_s: float
    end_per_s: float
    duration_ms: float


class Schedule(Frozen):
    """When requests arrive. Stages include the warm-up, so the first begins at -warmup_ms.

    `start_ms`: where the first stage begins, -warmup_ms. `replay_ms`: arrival times of a recording (ms from t = 0),
    instead of stages.
    """

    start_ms: float
    arrivals: Literal["poisson", "constant"] = "poisson"
    stages: tuple[Stage, ...] = ()
    replay_ms: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests whose arrivals are planned together, by one schedule.

    Those that share the rate of the load are one stream, without a name: each of its arrivals sends one of them, drawn
    by weight. Each request with a rate of its own is a stream with the request's name.
    """

    name: str
    schedule: Schedule
    requests: tuple[int, ...]
    """Places in `PlannedLoad.requests`."""
    weights: tuple[int, ...]
    """The weight of each of `requests`."""

    def share(self, requests: frozenset[int]) -> float:
        """The share of its arrivals that send one of `requests`, from 0 to 1."""
        wanted = sum(weight for place, weight in zip(self.requests, self.weights, strict=True) if place in requests)
        return wanted / sum(self.weights)
