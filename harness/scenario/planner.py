"""Plans of a loaded scenario, one a cell, with every port that a run will use. Pure.

Ports come from a callable; no clock, no randomness, no network. Whatever a plan could refuse was
refused when the scenario was loaded, except what only this call knows.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import ScenarioError
from harness.rundir.plan import Plan
from harness.scenario.load import LoadedCell, LoadedScenario
from harness.scenario.planning.compile import compile_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.source.diagnostics import in_order, locate

__all__ = ["LoadedCell", "cells", "make_plan"]


def cells(loaded: LoadedScenario) -> tuple[LoadedCell, ...]:
    """The cells of its matrix in order, the last path varying fastest; one without a name where there is none."""
    return loaded.cells or (LoadedCell(None, {}, loaded, ("pass",)),)


def make_plan(
    loaded: LoadedScenario,
    *,
    run_id: str,
    seed: int,
    ports: Callable[[], int],
    gateway: ResolvedGateway,
    workers: int = 1,
    cell: str | None = None,
) -> Plan:
    """Everything the run will do. Raises ScenarioError, with places, for what could not be done."""
    plan, findings = compile_plan(
        loaded.made, run_id=run_id, seed=seed, ports=ports, gateway=gateway, workers=workers, cell=cell
    )
    if findings:
        raise ScenarioError(in_order(locate(loaded.document, finding) for finding in findings))
    return plan
