"""Makes the plan of each cell of a loaded scenario, with every port that a run will use. Pure.

Ports come from a callable; there is no clock, randomness or network here. Loading the scenario has found every problem
but those that depend on the arguments of `make_plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import ScenarioError
from harness.rundir.plan import Plan
from harness.scenario.load import LoadedCell, LoadedScenario
from harness.scenario.planning.compile import CA_FILE, RunningToxiproxy, compile_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.source.diagnostics import in_order, locate

__all__ = ["LoadedCell", "RunningToxiproxy", "cells", "make_plan"]


def cells(loaded: LoadedScenario) -> tuple[LoadedCell, ...]:
    """The cells of its matrix in order, the last path varying fastest; without a matrix one cell whose name is None."""
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
    run_dir: Path | None = None,
    toxiproxy: RunningToxiproxy | None = None,
) -> Plan:
    """Everything the run will do. Raises ScenarioError, with positions, if a fault could not be proven.

    `run_dir`: where the files of the run will be; the service is given the path of some. `toxiproxy`: the server that
    the run uses, if it runs already.
    """
    plan, findings = compile_plan(
        loaded.checked,
        run_id=run_id,
        seed=seed,
        ports=ports,
        gateway=gateway,
        workers=workers,
        cell=cell,
        ca_file=str(run_dir.absolute() / CA_FILE) if run_dir else CA_FILE,
        toxiproxy=toxiproxy,
    )
    if findings:
        raise ScenarioError(in_order(locate(loaded.document, finding) for finding in findings))
    return plan
