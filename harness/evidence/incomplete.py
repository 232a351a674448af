"""The answers that load workers kept because they seemed incomplete, checked against the rows and the journal.

A worker knows only the planned windows, and not how the task ended afterwards. So an answer counts as incomplete here
only if its row is ok and lacks an upstream that no fault explains away, as for a `complete` gate.
"""

from __future__ import annotations

import numpy as np

from harness.evidence.completeness import lacking
from harness.evidence.run import Evidence, Pool
from harness.rundir.incomplete import KEPT_MOST
from harness.rundir.results import IncompleteAnswerResult
from harness.units import NS_PER_MS


def incomplete_answers(pool: Pool) -> tuple[IncompleteAnswerResult, ...]:
    """The first KEPT_MOST incomplete answers, in order of runs and of time.

    Their files are given relative to where the results are written: a pool's results stand beside the run directories.
    """
    folders = ["" if len(pool.runs) == 1 else f"{run.run_dir.name}/" for run in pool.runs]
    answers = [answer for run, folder in zip(pool.runs, folders, strict=True) for answer in _of_run(run, folder)]
    return tuple(answers[:KEPT_MOST])


def _of_run(run: Evidence, folder: str) -> list[IncompleteAnswerResult]:
    if not run.incomplete:
        return []
    window = run.window("whole", every_part=True)
    window = window.only(np.isin(window.samples["seq"], [kept.seq for kept in run.incomplete]))
    lacks = lacking(run, window)
    samples, ok = window.samples, window.ok
    answers = []
    for kept in run.incomplete:
        rows = np.flatnonzero((samples["seq"] == kept.seq) & (samples["part"] == kept.part) & ok & (lacks != 0))
        if not len(rows):
            continue
        row, bits = samples.row(int(rows[0])), int(lacks[rows[0]])
        at_ms = (row["intended_ns"] - run.t0_ns) / NS_PER_MS
        answers.append(
            IncompleteAnswerResult(
                seq=kept.seq,
                part=kept.part,
                at_ms=at_ms,
                phase=_phase(run, at_ms),
                request=run.plan.load.requests[row["request"]].name,
                status=row["status"],
                missing=tuple(upstream.name for upstream in run.plan.upstreams if bits >> upstream.index & 1),
                file=f"{folder}{kept.file}" if kept.file else None,
                bytes=kept.bytes,
                cut=kept.cut,
            )
        )
    return answers


def _phase(run: Evidence, at_ms: float) -> str:
    """The first phase that contains this moment; `whole` if no other phase does."""
    names = (p.name for p in run.phases if any(start <= at_ms < end for start, end in p.intervals))
    return next(names, "whole")
