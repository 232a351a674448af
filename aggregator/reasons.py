"""Why a backend is missing, as answers, logs and metrics say it: one short, stable word for each exception."""

from __future__ import annotations

from typing import Final

from aggregator.backends.pages import BackendError, PoolFull
from aggregator.policies.breaker import CircuitOpen
from aggregator.policies.budget import BudgetSpent
from aggregator.policies.bulkhead import BulkheadFull
from aggregator.policies.deadline import DeadlineExceeded

TIMEOUT: Final = "timeout"
INTERNAL: Final = "internal"
"""A bug of our own."""
_REFUSALS: Final = (
    (CircuitOpen, "circuit_open"),
    (BulkheadFull, "bulkhead_full"),
    (BudgetSpent, "budget_spent"),
    (PoolFull, "pool_timeout"),
)
REFUSALS: Final = tuple(reason for _, reason in _REFUSALS)
"""The backend was not even asked."""


def reason_of(error: Exception) -> str:
    if isinstance(error, BackendError):
        return error.reason
    if isinstance(error, DeadlineExceeded | TimeoutError):  # the latter is a breaker's, of a probe without a deadline
        return TIMEOUT
    return next((reason for kind, reason in _REFUSALS if isinstance(error, kind)), INTERNAL)
