"""baseline.json: the figures of this run with which a later run of the scenario compares itself by `--baseline`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from harness.evidence import Pool
from harness.gates import Gate
from harness.gates.reference.baseline_file import BaselineFile, FailedShare, Figure, Quantile, SuccessRate
from harness.gates.shares.share_bounds import own_share
from harness.gates.throughput_limits import own_rate

_NO_REFERENCE: Final = ("warmup", "guard", "tail")
"""Phases that no gate may name."""
_ALWAYS: Final = ("errors", "timeouts")
"""Of these every phase has a figure, so that a gate on them can be compared with main when it is first written."""


def own_baseline(pool: Pool, gates: Sequence[Gate]) -> BaselineFile:
    """The figure of every gate in `gates` that has one, and the failures and the throughput of every phase; each
    metric, request and phase once."""
    plan = pool.plan
    figures = {_key(figure): figure for figure in _figures(pool, gates)}.values()
    return BaselineFile(
        scenario=plan.name,
        run=plan.run_id,
        clump_ms=plan.verdict.clump_ms,
        confidence=plan.verdict.confidence,
        machine=pool.runs[0].machine,
        quantiles=tuple(figure for figure in figures if isinstance(figure, Quantile)),
        shares=tuple(figure for figure in figures if isinstance(figure, FailedShare)),
        rates=tuple(figure for figure in figures if isinstance(figure, SuccessRate)),
    )


def _figures(pool: Pool, gates: Sequence[Gate]) -> Iterator[Figure]:
    for gate in gates:
        if (figure := gate.own_figure(pool)) is not None:
            yield figure
    for phase in pool.runs[0].phases:
        if phase.name in _NO_REFERENCE or not phase.intervals:
            continue
        shares = (own_share(pool, metric, None, phase.name) for metric in _ALWAYS)
        yield from (share for share in shares if share is not None)
        if (rate := own_rate(pool, None, phase.name)) is not None:
            yield rate


def _key(figure: Figure) -> tuple[str, str | None, str]:
    metric = "throughput" if isinstance(figure, SuccessRate) else figure.metric
    return metric, figure.request, figure.phase
