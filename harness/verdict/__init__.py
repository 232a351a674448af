"""From evidence to a verdict: gates judged, slow requests attributed to upstreams, results.json written."""

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
