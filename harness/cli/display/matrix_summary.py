"""A matrix in words for the terminal: each cell beside what was expected of it, then what happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.cli.display.summary import (
    PATH_MOST,
    Paint,
    hanging,
    legible_results,
    painted_line,
    plain,
    quoted,
    table,
    verdict_line,
)
from harness.rundir.results import VERDICT_WORD, CellResult, MatrixResults, PhaseResult, Results
from harness.text import one_line
from harness.units import format_count, format_duration, format_share

LOGS_MOST: Final = 3
"""So many ends of logs are shown; the reports of the other cells have theirs."""
NAMES_MOST: Final = 6
"""So many cells are named that share a sentence; the others are counted."""


def matrix_lines(matrix: MatrixResults, folder: Path, paint: Paint = plain) -> list[str]:
    """The summary of a matrix, from its results and its cells' results.json beside them."""
    paths = [folder / cell.results for cell in matrix.cells]
    read = [legible_results(Results.model_validate_json(path.read_bytes())) for path in paths]
    matrix = legible_results(matrix)
    cells = list(zip(matrix.cells, read, strict=True))
    head = ("cell", "verdict", "expected", "phase", "504s", "p99", "complete", "calls per arrival")
    rows = [_row(cell, results) for cell, results in cells]
    styles = ["pass" if cell.as_expected else "fail" for cell in matrix.cells]
    first_cell = one_line(str(paths[0].with_name("report.html")), PATH_MOST)
    return [
        *table(head, rows, styles, paint),
        "",
        *_what_happened(cells),
        *_notes(cells),
        "",
        _ending(matrix),
        f"report: {one_line(str(folder / 'report.html'), PATH_MOST)} (and one for each cell: {first_cell} …)",
        "",
        painted_line(verdict_line(matrix, folder), matrix.verdict, paint),
    ]


def _ending(matrix: MatrixResults) -> str:
    odd = [cell for cell in matrix.cells if not cell.as_expected]
    if not odd:
        cells = "The cell" if len(matrix.cells) == 1 else f"All {len(matrix.cells)} cells"
        return f"{cells} ended as expected."
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for cell in odd:
        alike.setdefault((cell.verdict, cell.expected), []).append(cell.cell)
    unexpected = [
        f"{_listed(names)} {_are(names)} {VERDICT_WORD[verdict]}, expected {' or '.join(expected)}"
        for (verdict, expected), names in alike.items()
    ]
    return f"Not as expected: {'; '.join(unexpected)}."


def _what_happened(cells: Sequence[tuple[CellResult, Results]]) -> list[str]:
    """A sentence on each cell, once for broken cells that share it; below it the end of a log, unless it was shown."""
    alike: dict[tuple[str, str], list[tuple[CellResult, Results]]] = {}
    for cell, results in cells:
        is_broken = results.verdict == "rig_failure" or worst_phase(results) is None
        alike.setdefault(("" if is_broken else cell.cell, _happened(results)), []).append((cell, results))
    lines: list[str] = []
    logs: set[tuple[str, ...]] = set()
    for (_, sentence), members in alike.items():
        lines += hanging(f"{_listed([cell.cell for cell, _ in members])}: ", sentence)
        first, results = members[0]
        if not results.log_lines or results.log_lines in logs or len(logs) >= LOGS_MOST:
            continue
        logs.add(results.log_lines)
        if any(other.log_lines != results.log_lines for _, other in members):
            lines += hanging("", f"the log of {first.cell} ends so:")
        lines += quoted(results.log_lines)
    return lines


def _notes(cells: Sequence[tuple[CellResult, Results]]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for cell, results in cells:
        for note in results.notes:
            alike.setdefault(note, []).append(cell.cell)
    return [line for note, names in alike.items() for line in hanging(f"{_listed(names)}: ", note)]


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - NAMES_MOST} more"] if len(names) > NAMES_MOST else []
    return ", ".join([*names[:NAMES_MOST], *more])


def worst_phase(results: Results) -> PhaseResult | None:
    """The phase a reader wants first: of the first fault, or the whole run where there is none; None: no load ran."""
    faults = {fault.name for fault in results.faults}
    found = [phase for phase in results.phases if phase.name in faults]
    return next(iter(found or [phase for phase in results.phases if phase.name == "whole"]), None)


def _row(cell: CellResult, results: Results) -> tuple[str, ...]:
    phase = worst_phase(results)
    verdict, expected = VERDICT_WORD[cell.verdict], "yes" if cell.as_expected else f"no, {' or '.join(cell.expected)}"
    if phase is None:
        return (cell.cell, verdict, expected, "-", "-", "-", "-", "-")
    complete = "-" if phase.complete_share is None else format_share(phase.complete_share)
    calls = [
        upstream.calls_per_arrival
        for upstream in results.upstreams
        if upstream.phase == phase.name and upstream.calls_per_arrival is not None
    ]
    return (
        cell.cell,
        verdict,
        expected,
        phase.name,
        format_share(phase.outcomes.get("gateway_timeout", 0) / phase.n) if phase.n else "-",
        format_p99(phase, results),
        complete,
        f"{sum(calls):.2f}" if calls else "-",
    )


def format_p99(phase: PhaseResult, results: Results) -> str:
    """p99 of a phase; where it is an error, at least the gateway's timeout if that is what cut it off."""
    if phase.latency_ms.p99 is not None:
        return format_duration(phase.latency_ms.p99)
    timeout_ms = results.run.gateway.timeout_ms
    failed = {outcome for outcome, n in phase.outcomes.items() if n and outcome != "ok"}
    if timeout_ms is not None and failed == {"gateway_timeout"}:
        return f"≥ {format_duration(timeout_ms)}"
    return "an error" if phase.n else "-"


def _happened(results: Results) -> str:
    """One sentence on a cell."""
    phase = worst_phase(results)
    if results.verdict == "rig_failure":
        return f"the rig failed, so nothing can be said: {results.reason}"
    if phase is None:
        return results.reason
    when = f"during {phase.name}" if phase.name != "whole" else "over the whole run"
    late = phase.outcomes.get("gateway_timeout", 0)
    if late and results.verdict == "fail":
        timeout = format_duration(results.run.gateway.timeout_ms or 0)
        return (
            f"{format_count(late)} of {format_count(phase.n)} requests {when} got a 504 "
            f"when the gateway gave up after {timeout}"
        )
    if results.verdict != "pass":
        return results.reason
    complete = phase.complete_share
    held = "" if complete is None else f", the healthy upstreams' rows in {format_share(complete)} of the answers"
    none_late = "no 504" if not late else f"{format_count(late)} × 504"
    return f"{none_late} {when}, p99 {format_p99(phase, results)}{held}"
