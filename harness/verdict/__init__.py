"""From evidence to a verdict: gates weighed, slow requests attributed, results.json written."""

from __future__ import annotations

from harness.verdict.judging import is_matrix, judge, judge_matrix, write, write_any, write_pool

__all__ = ["is_matrix", "judge", "judge_matrix", "write", "write_any", "write_pool"]
