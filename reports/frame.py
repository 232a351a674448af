"""The tables of a report as pandas frames. HTML, CSV and Markdown render these, so a figure is computed in one place.

Small frames only, of what is already counted; rows by the million stay numpy arrays, in `reports.timeline`.
A missing figure is NaN or None, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.rundir.results import CellResult, PhaseResult, Results, UpstreamResult
from harness.rundir.rows import ERRORS, Outcome
from reports import formatting
from reports.charts.percentiles import MEDIAN_NINES, Curve

if TYPE_CHECKING:
    from reports.history import History

OUTCOMES: Final = tuple(outcome.name.lower() for outcome in (Outcome.OK, *ERRORS))
_SHOWN_PERCENTILES: Final = ((MEDIAN_NINES, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9"))
"""(nines, name) with nines = -log10(1 - p). Each must be a point of the curve itself, not one beside it."""


def gates(results: Results) -> pd.DataFrame:
    """One row per gate, in the order of the scenario."""
    columns = [
        "id", "text", "phase", "verdict", "observed", "low", "high", "censored_at_ms", "op", "limit", "unit",
        "n", "exceeded", "deflation", "withstands_ms", "line", "reason",
    ]  # fmt: skip
    return pd.DataFrame([gate.model_dump() for gate in results.gates], columns=columns).convert_dtypes()


def phases(results: Results) -> pd.DataFrame:
    """One row per phase: its latencies, its throughput, and a column for each outcome."""
    rows = [
        {
            "phase": phase.name,
            "start_ms": phase.start_ms,
            "end_ms": phase.end_ms,
            "n": phase.n,
            **{f"{name}_ms": value for name, value in phase.latency_ms.model_dump().items()},
            "throughput_per_s": phase.throughput_per_s,
            "complete_share": phase.complete_share,
            **{name: phase.outcomes.get(name, 0) for name in OUTCOMES},
            "no_request": phase.no_request,
        }
        for phase in results.phases
    ]
    latencies = ["p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms"]
    columns = [
        "phase",
        "start_ms",
        "end_ms",
        "n",
        *latencies,
        "throughput_per_s",
        "complete_share",
        *OUTCOMES,
        "no_request",
    ]
    return pd.DataFrame(rows, columns=columns).convert_dtypes()


def requests(results: Results) -> pd.DataFrame:
    """One row per phase and name of a request; empty if the load has one request only."""
    rows = [
        {
            "phase": phase.name,
            "request": request.name,
            "n": request.n,
            **{f"{name}_ms": value for name, value in request.latency_ms.model_dump().items()},
            **{name: request.outcomes.get(name, 0) for name in OUTCOMES},
        }
        for phase in results.phases
        for request in phase.requests
    ]
    latencies = ["p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms"]
    return pd.DataFrame(rows, columns=["phase", "request", "n", *latencies, *OUTCOMES]).convert_dtypes()


def upstreams(rows: Sequence[UpstreamResult]) -> pd.DataFrame:
    """One row per upstream and phase. `slowest_share`: in which share of the slow requests it answered last.

    `wait_caused_ms`: how much longer they waited for it than for the next slowest; mean over all slow requests.
    """
    columns = [
        "name", "source", "phase", "calls", "calls_per_arrival", "p50_ms", "p99_ms", "slowest_share", "wait_caused_ms",
    ]  # fmt: skip
    return pd.DataFrame([row.model_dump() for row in rows], columns=columns)


def attribution(rows: Sequence[UpstreamResult], order: Sequence[str]) -> pd.DataFrame:
    """Upstreams × phases of `wait_caused_ms`, the one that caused most in any phase first; phases in time's order."""
    table = upstreams(rows)
    if table.empty:
        return pd.DataFrame()
    table["wait_caused_ms"] = table["wait_caused_ms"].astype(float)
    wide = table.pivot_table(index="name", columns="phase", values="wait_caused_ms", aggfunc="max", dropna=False)
    wide = wide.reindex(columns=[name for name in order if name in wide.columns])
    worst = wide.max(axis=1).fillna(0.0)
    return wide.loc[worst.sort_values(ascending=False, kind="stable").index]


def timeline(history: History) -> pd.DataFrame:
    """One row a bin: when, how many arrivals, p99 end to end and per upstream, and how many failed."""
    edges = history.bins.edges_ms
    columns: dict[str, object] = {
        "from_s": edges[:-1] / 1000,
        "to_s": edges[1:] / 1000,
        "arrivals": history.end_to_end.n,
        "not_ok": history.not_ok,
        "end to end": history.end_to_end.value_ms,
    }
    frame = pd.DataFrame(columns)
    lines = pd.DataFrame({line.name: line.p99.value_ms for line in history.lines})
    return pd.concat([frame, lines], axis=1)


def percentiles(curves: Sequence[Curve]) -> pd.DataFrame:
    """Phases × shown percentiles, ms; NaN where the phase has too few arrivals for that rank."""
    rows = {
        each.phase: {
            name: next((ms for at, ms, _ in each.points if at >= nines - 1e-9), float("nan"))
            for nines, name in _SHOWN_PERCENTILES
        }
        for each in curves
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[name for _, name in _SHOWN_PERCENTILES])


def cells(listed: Sequence[CellResult], runs: Sequence[Results | None]) -> pd.DataFrame:
    """The ladder's table: one row per cell and fault phase (`whole` where it has none), from the cells' own results.

    A cell whose results cannot be read keeps its row, without figures.
    """
    rows: list[dict[str, object]] = []
    for cell, run in zip(listed, runs, strict=True):
        head = {"cell": cell.cell, "verdict": cell.verdict, "as_expected": cell.as_expected}
        phases_shown = [_phase_row(run, phase) for phase in _telling_phases(run)] if run else []
        rows.extend({**head, **row} for row in phases_shown or [{"phase": ""}])
    columns = [
        "cell", "verdict", "as_expected", "phase", "n", "p50_ms", "p99_ms", "cut_off_ms", "timeout_share",
        "complete_share",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def calls_per_arrival(listed: Sequence[CellResult], runs: Sequence[Results | None]) -> pd.DataFrame:
    """Cells × upstreams, over the whole run: fan-out, push-down and amplification side by side."""
    rows = [
        {"cell": cell.cell, "upstream": each.name, "calls": each.calls_per_arrival}
        for cell, run in zip(listed, runs, strict=True)
        for each in (run.upstreams if run else ())
        if each.phase == "whole"
    ]
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    table["calls"] = table["calls"].astype(float)
    names = list(dict.fromkeys(table["upstream"]))
    wide = table.pivot_table(index="cell", columns="upstream", values="calls", aggfunc="mean", dropna=False)
    return wide.reindex(index=[cell.cell for cell in listed], columns=names)


def _telling_phases(run: Results) -> list[PhaseResult]:
    faults = {fault.name for fault in run.faults}
    return [phase for phase in run.phases if phase.name in faults or (not faults and phase.name == "whole")]


def _phase_row(run: Results, phase: PhaseResult) -> dict[str, object]:
    return {
        "phase": phase.name,
        "n": phase.n,
        "p50_ms": phase.latency_ms.p50,
        "p99_ms": phase.latency_ms.p99,
        "cut_off_ms": formatting.cut_off_ms(phase, run.run.gateway.timeout_ms),
        "timeout_share": phase.outcomes.get("gateway_timeout", 0) / phase.n if phase.n else None,
        "complete_share": phase.complete_share,
    }
