"""The kept answers that were really incomplete: what the worker saw, held against the rows and the journal.

The worker knows the plan's windows only, and not what became of the task afterwards. So an answer counts here if its
row says that it was ok and lacks somebody whom no fault touched, as for a `complete` gate.
"""

from __future__ import annotations

import numpy as np

from harness.evidence.completeness import lacking
from harness.evidence.run import Evidence, Pool
from harness.rundir.incomplete import KEPT_MOST
from harness.rundir.results import IncompleteAnswerResult
from harness.units import NS_PER_MS


def incomplete_answers(pool: Pool) -> tuple[IncompleteAnswerResult, ...]:
    """In order of time; of a pool the first runs' first, since its results stand beside the folders of the runs."""
    folders = ["" if len(pool.runs) == 1 else f"{run.run_dir.name}/" for run in pool.runs]
    found = [answer for run, folder in zip(pool.runs, folders, strict=True) for answer in _of_run(run, folder)]
    return tuple(found[:KEPT_MOST])


def _of_run(run: Evidence, folder: str) -> list[IncompleteAnswerResult]:
    if not run.incomplete:
        return []
    window = run.window("whole", every_part=True)
    lacks = lacking(run, window)
    samples, ok = window.samples, window.ok
    found = []
    for kept in run.incomplete:
        rows = np.flatnonzero((samples["seq"] == kept.seq) & (samples["part"] == kept.part) & ok & (lacks != 0))
        if not len(rows):
            continue
        row, bits = samples[rows[0]], int(lacks[rows[0]])
        at_ms = (int(row["intended_ns"]) - run.t0_ns) / NS_PER_MS
        found.append(
            IncompleteAnswerResult(
                seq=kept.seq,
                part=kept.part,
                at_ms=at_ms,
                phase=_phase(run, at_ms),
                request=run.plan.load.requests[int(row["request"])].name,
                status=int(row["status"]),
                missing=tuple(upstream.name for upstream in run.plan.upstreams if bits >> upstream.index & 1),
                file=f"{folder}{kept.file}" if kept.file else None,
                bytes=kept.bytes,
                cut=kept.cut,
            )
        )
    return found


def _phase(run: Evidence, at_ms: float) -> str:
    """The first that holds this moment; what is in none of its own is in `whole`."""
    names = (p.name for p in run.phases if any(start <= at_ms < end for start, end in p.intervals))
    return next(names, "whole")
