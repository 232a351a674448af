"""From evidence to a verdict: gates weighed, slow requests attributed, results.json written."""

from __future__ import annotations

from harness.verdict.judging import (
    combine_matrix,
    is_matrix,
    judge,
    judge_matrix,
    write,
    write_any,
    write_judged,
    write_pool,
)

__all__ = [
    "combine_matrix",
    "is_matrix",
    "judge",
    "judge_matrix",
    "write",
    "write_any",
    "write_judged",
    "write_pool",
]
