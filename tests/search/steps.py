"""Steps of searches, made up for tests."""

from __future__ import annotations

from typing import Any

from harness.rundir.searches.capacity import LoadStep, StepGate, StepUpstream


def step(rate_per_s: float, outcome: str = "held", **figures: Any) -> LoadStep:
    """A load at `rate_per_s` in which nothing reached a bound."""
    return LoadStep.model_validate(
        {
            "purpose": "explore",
            "rate_per_s": rate_per_s,
            "run": "load-000",
            "seconds": 12.0,
            "outcome": outcome,
            "reason": "",
            "alpha": None,
            "n": round(12 * rate_per_s),
            "completed_per_s": rate_per_s,
            "p50_ms": 100.0,
            "p99_ms": 300.0,
            "in_flight_mean": rate_per_s / 10,
            "little": rate_per_s / 10,
            "stationary": True,
            "gates": (),
            "cpu_cores": 0.2,
            "busiest_thread": 0.1,
            "load_cores": 0.1,
            "threads_most": 5,
            "sockets_most": 20,
            **figures,
        }
    )


def upstream(name: str = "azure", **figures: Any) -> StepUpstream:
    return StepUpstream.model_validate(
        {"name": name, "calls_per_s": 10.0, "p50_ms": 50.0, "in_flight_mean": 1.0, "in_flight_most": 3, **figures}
    )


def gate(text: str, limit: float, **figures: Any) -> StepGate:
    """A latency gate that held."""
    known = {"text": text, "observed": limit / 2, "low": None, "high": None, "limit": limit, "unit": "ms"}
    return StepGate.model_validate({**known, "breaks": False, "verdict": "pass", **figures})
