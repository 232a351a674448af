"""report.html of a capacity search: the sentence, the curves, what stopped the service, and every load."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.rundir.searches.capacity import FINDINGS, CapacityResults, LoadStep, RateCurve
from reports.charts import rates
from reports.charts.limits import common_limit_ms, p99_limit_ms
from reports.page import embedded_json, render
from reports.redacted import redacted_document


def write_page(results: CapacityResults, folder: Path) -> Path:
    """Write report.html. Raises OSError."""
    path = folder / "report.html"
    path.write_text(page(results), encoding="utf-8")
    return path


def page(results: CapacityResults) -> str:
    curves = [curve for curve in results.curves if rates.drawn(curve)]
    return render(
        "capacity.html.j2",
        {
            "results": results,
            "title": f"{results.scenario.name}: capacity",
            "word": results.verdict.replace("_", " ").upper(),
            "latency": rates.latency(curves, _limit_ms(curves)) if curves else "",
            "in_flight": rates.in_flight(curves) if curves else "",
            "cores": rates.cores(curves, results.machine.cores) if curves else None,
            "rows": [_row(curve) for curve in results.curves],
            "results_json": embedded_json(redacted_document(results.model_dump(mode="json"))),
        },
        chart=False,
    )


def _limit_ms(curves: list[RateCurve]) -> float | None:
    """The limit on p99, which is the same for every curve; None if curves differ in it."""
    return common_limit_ms(p99_limit_ms(gate for step in curve.steps for gate in step.gates) for curve in curves)


def _row(curve: RateCurve) -> dict[str, Any]:
    return {
        "name": curve.fault or "health",
        "curve": curve,
        "findings": [FINDINGS[finding] for finding in curve.findings],
        "steps": [_step(step) for step in curve.steps],
    }


def _step(step: LoadStep) -> dict[str, Any]:
    return {"step": step, "link": quote(step.run) if step.run else ""}
