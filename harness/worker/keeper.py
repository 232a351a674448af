"""`tailgate worker --keep`: serves one load after another, as the cells of a matrix, pooled runs and a search need.

A load that fails ends that load alone. What this worker itself forbids ends it, since it would forbid it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.errors import RigError
from harness.units import format_things
from harness.worker.agent import NoRunCame, WorkerOptions


def serve_many(
    options: WorkerOptions,
    keep_s: float,
    serve_one: Callable[[WorkerOptions], None],
    report: Callable[[str], None],
) -> None:
    """Serves loads until none has come for `keep_s`. `serve_one`: takes part in one load, as `agent.serve` does.

    Raises NoRunCame if there was none at all, RigError at the end if one of them failed; UsageError and Interrupted of
    `serve_one` at once.
    """
    patient = replace(options, join_within_s=keep_s, is_patient=True)
    served, failed = 0, 0
    while True:
        try:
            serve_one(patient)
        except NoRunCame:
            if not served:
                raise
            break
        except RigError as exc:
            failed += 1
            report(f"this load failed: {exc.message}")
        served += 1
    report(f"no further load came within {keep_s:g} s; {format_things(served, 'load')} served")
    if failed:
        raise RigError(f"{failed} of {format_things(served, 'load')} failed", "see what was said of each above")
