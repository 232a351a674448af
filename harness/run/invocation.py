"""Everything one `tailgate run` does: its scenarios, the cells of their matrices, pooled runs, and one exit code.

Every run has a fresh stack. The runs of a matrix have a common parent directory with a results.json of its own. Pooled
runs (`verdict.runs`) use seed + i, and no further run is started once their pool decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import Interrupted, Problem, ScenarioError, UsageError
from harness.run.run import Finished, Options, Session, make_folder, run_once
from harness.run.run_id import new_run_id
from harness.scenario.planner import LoadedCell, cells
from harness.text import folder_name

if TYPE_CHECKING:
    from harness.evidence import Evidence
    from harness.rundir.results import MatrixResults, Results
    from harness.scenario import LoadedScenario

MATRIX: Final = "matrix.json"
"""The file of a matrix directory that lists its scenario and, for each cell, name, values, expectation and folder."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A scenario that has ended: its directory and its results; None if the user skipped the judging."""

    name: str
    folder: Path
    results: Results | MatrixResults | None


def exit_code(outcomes: Sequence[Judged], *, interrupted: bool) -> int:
    """The exit code over all scenarios of a call. Precedence: 130 > 4 > 1 > 3 > 0."""
    codes = {outcome.results.exit_code for outcome in outcomes if outcome.results}
    if interrupted:
        codes.add(130)
    return next((code for code in (130, 4, 1, 3) if code in codes), 0)


def run_suite(session: Session, scenarios: Sequence[LoadedScenario], only: Sequence[str] = ()) -> list[Judged]:
    """Run every scenario, one after the other, or only their cells of the names in `only`.

    After an interruption the outcomes so far are returned. Raises UsageError if no cell has such a name.
    """
    chosen = [(loaded, _chosen_cells(loaded, only)) for loaded in scenarios]
    if only and not any(own_cells for _, own_cells in chosen):
        known = ", ".join(cell.name for loaded in scenarios for cell in cells(loaded) if cell.name) or "none"
        raise UsageError(f"no cell is called {' or '.join(only)}", f"cells: {known}")
    outcomes: list[Judged] = []
    for loaded, own_cells in chosen:
        if session.stopper.asked or not own_cells:
            continue
        name = loaded.scenario.name
        folder = session.options.out / slug(name)
        try:
            if loaded.scenario.matrix:
                outcomes.append(_run_matrix(session, loaded, own_cells, folder / new_run_id()))
            else:
                run_id = session.head_start.new_run_id()
                finished = _run_pooled(session, own_cells[0], folder / run_id, run_id)
                outcomes.append(Judged(name, finished.run_dir, finished.results))
        except Interrupted as exc:
            session.display.note(f"{exc.message}; nothing is left running")
            break
    return outcomes


def targets_of(scenarios: Sequence[LoadedScenario]) -> list[str]:
    """The URLs of everything that a run of these scenarios reaches and does not start: services, upstreams, a
    Toxiproxy. Without user, path and query."""
    found: dict[str, None] = {}
    for each in (cell.loaded.scenario for loaded in scenarios for cell in cells(loaded)):
        found |= dict.fromkeys(url for url in (each.service.url, each.toxiproxy.url) if url)
        if host := each.toxiproxy.reach:
            found |= {f"tcp://[{host}]" if ":" in host else f"tcp://{host}": None}
        found |= dict.fromkeys(upstream.target for upstream in each.upstreams.values() if upstream.target)
    return list(found)


def slug(text: str) -> str:
    """A folder name that every file system accepts."""
    return folder_name(text) or "scenario"


def _chosen_cells(loaded: LoadedScenario, only: Sequence[str]) -> list[LoadedCell]:
    return [cell for cell in cells(loaded) if not only or cell.name in only]


def _run_matrix(session: Session, loaded: LoadedScenario, chosen: Sequence[LoadedCell], folder: Path) -> Judged:
    """Run the chosen cells, then judge the matrix as a whole. Cells that an interruption left out have no entry."""
    from harness import verdict
    from reports.report import write_matrix_report

    matrix = loaded.scenario.matrix
    assert matrix is not None
    make_folder(folder)
    entries: list[dict[str, object]] = []
    judged: dict[Path, Results] = {}
    for cell in chosen:
        if session.stopper.asked:
            break
        assert cell.name is not None
        cell_dir = folder / slug(cell.name)
        try:
            finished = _run_pooled(session, cell, cell_dir, session.head_start.new_run_id())
        except Interrupted:
            break
        if finished.results:
            judged[cell_dir] = finished.results
        expected = matrix.expect.get(cell.name, ("pass",))
        entries.append({"cell": cell.name, "values": cell.values, "expected": expected, "dir": cell_dir.name})
        _write_matrix(folder, loaded, session.options, entries)
    if not entries or session.stopper.impatient:
        return Judged(loaded.scenario.name, folder, None)
    results = verdict.combine_matrix(folder, judged.__getitem__)
    write_matrix_report(folder)
    return Judged(loaded.scenario.name, folder, results)


def _write_matrix(folder: Path, loaded: LoadedScenario, options: Options, entries: list[dict[str, object]]) -> None:
    from harness.rundir.results import ScenarioRef

    reference = ScenarioRef(
        name=loaded.scenario.name,
        file=loaded.checked.file,
        sha256=loaded.sha256,
        seed=_seed(loaded, options),
    )
    document = {"scenario": reference.model_dump(mode="json"), "cells": entries}
    (folder / MATRIX).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _run_pooled(session: Session, cell: LoadedCell, folder: Path, run_id: str) -> Finished:
    """One run in `folder`; or up to `verdict.runs` runs in folders of their own below it, until their pool decides."""
    runs = cell.loaded.scenario.verdict.runs
    seed = _seed(cell.loaded, session.options)
    if runs == 1:
        return run_once(session, cell, run_dir=folder, run_id=run_id, seed=seed)
    from harness import verdict
    from harness.evidence import Pool
    from reports.report import write_reports

    done: list[Evidence] = []
    results: Results | None = None
    for index in range(runs):
        run_dir = folder / f"run-{index + 1}"
        finished = run_once(session, cell, run_dir=run_dir, run_id=new_run_id() if done else run_id, seed=seed + index)
        if session.stopper.impatient or finished.evidence is None:
            return Finished(folder, None)
        done.append(finished.evidence)
        results = verdict.write_judged(Pool.of(*done), folder)
        if results.verdict != "inconclusive" or session.stopper.asked:
            break
        if index + 1 < runs:
            session.display.note(f"still inconclusive after {index + 1} of {runs} runs: {results.reason}")
    write_reports(folder, evidence=done[0])
    return Finished(folder, results)


def _seed(loaded: LoadedScenario, options: Options) -> int:
    return loaded.scenario.seed if options.seed is None else options.seed


def load_all(
    paths: Sequence[str], sets: Sequence[str], tags: Sequence[str], *, load_is_elsewhere: bool = False
) -> list[LoadedScenario]:
    """The scenarios in the files `paths` that have one of `tags` (all if there are none), with `--set` applied.
    `load_is_elsewhere`: as for `load_scenario`.

    Raises ScenarioError with the problems of all files together, and UsageError if no scenario has such a tag.
    """
    from harness.scenario import find_scenario, load_scenario

    problems: list[Problem] = []
    loaded: list[LoadedScenario] = []
    for path in paths:
        try:
            loaded.append(load_scenario(find_scenario(path), sets, load_is_elsewhere=load_is_elsewhere))
        except ScenarioError as exc:
            problems += exc.problems
    if problems:
        raise ScenarioError(tuple(problems))
    wanted = [one for one in loaded if not tags or set(tags) & set(one.scenario.tags)]
    if not wanted:
        raise UsageError(f"no scenario has the tag {' or '.join(tags)}", "see `tags:` in the scenarios")
    return wanted


def refuse_missing_baseline(loaded: Sequence[LoadedScenario], baseline: Path | None) -> None:
    """Raises UsageError if a gate that compares with main has no file to compare with, if the file is no baseline file,
    or if a gate could never be decided with it."""
    if baseline:
        from harness.gates.reference.baseline_file import load_baseline
        from harness.scenario.load import dry_plan

        main = load_baseline(baseline)
        for one in loaded:
            plan, _ = dry_plan(one.checked)
            for located in one.checked.gates:
                if reason := located.gate.refuses_main(main, plan):
                    fix = "give the baseline.json of a run with the same rate, or change the scenario's"
                    raise UsageError(f"{one.checked.file}: `{located.gate.text}`: {reason}", fix)
        return
    for one in loaded:
        gates = [located.gate.text for located in one.checked.gates if located.gate.uses_main]
        if gates:
            raise UsageError(
                f"{one.checked.file}: `{gates[0]}` compares with main, and no --baseline was given",
                "give the baseline.json of a run of main: --baseline FILE",
            )
