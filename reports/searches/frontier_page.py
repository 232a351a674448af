"""report.html of a frontier search: the sentence, the answers, a chart for each kind of fault, and every load."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from harness.rundir.searches.frontier import (
    FINDINGS,
    FrontierCurve,
    FrontierKind,
    FrontierResults,
    FrontierStep,
    LevelUnit,
)
from harness.units import format_exact_duration, format_share
from reports.charts.levels import by_level
from reports.page import embedded_json, render
from reports.redacted import redacted_document

CHARTS: Final[dict[FrontierKind, tuple[str, str]]] = {
    "latency": ("p99 by added latency", "at the top: failed"),
    "errors": ("p99 by share of calls answered 503", "at the top: failed"),
    "hang": ("p99 by share of calls that are never answered", "at the top: failed"),
    "outage": ("Recovery by length of the outage", "how long after its end; at the top: it did not recover"),
}


def write_page(results: FrontierResults, folder: Path) -> Path:
    """Write report.html. Raises OSError."""
    path = folder / "report.html"
    path.write_text(page(results), encoding="utf-8")
    return path


def page(results: FrontierResults) -> str:
    return render(
        "frontier.html.j2",
        {
            "results": results,
            "title": f"{results.scenario.name}: frontier",
            "word": results.verdict.replace("_", " ").upper(),
            "charts": _charts(results),
            "rows": [_row(curve) for curve in results.curves],
            "results_json": embedded_json(redacted_document(results.model_dump(mode="json"))),
        },
        chart=False,
    )


def _charts(results: FrontierResults) -> list[dict[str, Any]]:
    found = []
    for kind, (title, note) in CHARTS.items():
        curves = [curve for curve in results.curves if curve.kind == kind]
        chart = by_level(curves, title) if curves else None
        if chart is not None:
            found.append({"id": kind, "title": title, "note": note, "chart": chart})
    return found


def _row(curve: FrontierCurve) -> dict[str, Any]:
    return {
        "curve": curve,
        "holds": None if curve.certified is None else _level(curve.unit, curve.certified),
        "breaks": None if curve.refuted is None else _level(curve.unit, curve.refuted),
        "findings": [FINDINGS[finding] for finding in curve.findings],
        "steps": [_step(curve, step) for step in curve.steps],
    }


def _step(curve: FrontierCurve, step: FrontierStep) -> dict[str, Any]:
    level = "no fault" if step.level is None else _level(curve.unit, step.level)
    return {"step": step, "level": level, "link": quote(step.run) if step.run else ""}


def _level(unit: LevelUnit, level: float) -> str:
    return format_exact_duration(level) if unit == "ms" else format_share(level)
