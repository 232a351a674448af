"""Loads a scenario from its file into what a planner needs, or reports every problem with its position.

A scenario is checked in a compiler's order: syntax, shape, names; then consistency and arithmetic where the first three
are clean. A fault that cannot be read does not hide a gate that names an unknown upstream. Nothing is started, and no
port is taken.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from harness.errors import Problem, ScenarioError
from harness.gates.parse import parse_gate
from harness.model.tree import MappingNode, plain
from harness.rundir.plan import Plan
from harness.scenario.checks.addresses import address_warnings
from harness.scenario.checks.commands import container_warnings, upstream_program_findings
from harness.scenario.checks.literal_secrets import literal_secret_findings
from harness.scenario.checks.recorded_calls import recorded_calls_findings
from harness.scenario.checks.tls import tls_warnings
from harness.scenario.checks.toxiproxy_server import toxiproxy_findings, toxiproxy_warnings
from harness.scenario.checks.windows import check_windows
from harness.scenario.names.gate_list import ParseGate, default_gates, read_gates
from harness.scenario.names.gate_names import LocatedGate, gate_diagnostics, unresolved_in_gate
from harness.scenario.names.input_files import (
    Inputs,
    column_findings,
    login_warnings,
    read_inputs,
    warnings_without_data,
)
from harness.scenario.names.key_hints import key_hint
from harness.scenario.names.references import consistency_findings, secret_warnings, variable_findings
from harness.scenario.names.resolve import names_of, unresolved
from harness.scenario.planning.compile import CheckedScenario, compile_plan
from harness.scenario.planning.completeness import complete_of, completeness_findings, mark_fix, unmarked
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.planning.timeline import compute_timeline
from harness.scenario.schema.matrix import cell_trees
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.catalog import find_scenario, scenario_argument
from harness.scenario.source.diagnostics import Diagnostic, findings_of, in_cells, in_order, locate, node_at
from harness.scenario.source.merge import read_scenario

_PLANS_KEPT_MOST: Final = 200
"""More cells than people put into a matrix. Of more, the plans are made again when they are needed."""


@dataclass(frozen=True, slots=True)
class LoadedCell:
    """One cell of a matrix, or the whole scenario where there is none (`name` None, `values` empty)."""

    name: str | None
    values: dict[str, Any]
    loaded: LoadedScenario
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario without problems. `text` is the file as given, `document` its tree with positions."""

    path: Path
    text: str
    sha256: str
    scenario: Scenario
    document: MappingNode
    checked: CheckedScenario
    warnings: tuple[Problem, ...]
    cells: tuple[LoadedCell, ...] = ()
    """Empty in the LoadedScenario of a cell."""


def load_scenario(path: Path | str, sets: Sequence[str] = (), *, load_is_elsewhere: bool = False) -> LoadedScenario:
    """The scenario in a file, or the one of that name in the catalog; `sets` are `--set` arguments.

    `load_is_elsewhere`: variables in `load` come from the environments of workers on other machines.

    Raises ScenarioError with all problems.
    """
    found = find_scenario(path)
    read = read_scenario(found, sets)
    if read.tree is None:
        raise ScenarioError(in_order(read.problems))
    origin = _Origin(found, read.text, read.digest, well_formed=not read.problems, load_is_elsewhere=load_is_elsewhere)
    parse = cache(parse_gate)  # the cells of a matrix share most of their gates
    analysis = _analyse(read.tree, origin, parse)
    cells, cell_problems = _cells(read.tree, origin, analysis, parse)
    problems = in_order((*read.problems, *analysis.problems, *cell_problems))
    if problems or analysis.checked is None:
        raise ScenarioError(problems)
    warnings = in_order((*analysis.warnings, *(warning for cell in cells for warning in cell.loaded.warnings)))
    loaded = _loaded(read.tree, origin, analysis.checked, warnings)
    return replace(loaded, cells=cells or (LoadedCell(None, {}, loaded, ("pass",)),))


def _loaded(
    tree: MappingNode, origin: _Origin, checked: CheckedScenario, warnings: tuple[Problem, ...]
) -> LoadedScenario:
    return LoadedScenario(origin.path, origin.text, origin.digest, checked.scenario, tree, checked, warnings)


# ---------------------------------------------------------------- one tree


@dataclass(frozen=True, slots=True)
class _Origin:
    """The file that a tree was read from. `well_formed`: its structure has no problem."""

    path: Path
    text: str
    digest: str
    well_formed: bool
    load_is_elsewhere: bool = False
    """Variables in `load` are none of this machine's environment."""


@dataclass(frozen=True, slots=True)
class _Analysis:
    checked: CheckedScenario | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def _analyse(tree: MappingNode, origin: _Origin, parse: ParseGate) -> _Analysis:
    """Checks shape and names in full, then consistency and arithmetic if those are clean."""
    raw = plain(tree)
    names = names_of(raw)
    findings: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    scenario: Scenario | None = None
    try:
        scenario = Scenario.model_validate(raw)
    except ValidationError as exc:
        findings += findings_of(exc)
    gates, gate_findings = read_gates(tree, names, parse)
    findings += gate_findings
    findings += unresolved(raw, names)
    findings += [found for located in gates for found in unresolved_in_gate(located, names)]
    checked: CheckedScenario | None = None
    if scenario is not None:
        here = {key: part for key, part in raw.items() if key != "load"} if origin.load_is_elsewhere else raw
        findings += [*variable_findings(here, os.environ), *literal_secret_findings(scenario, raw)]
        warnings += [*secret_warnings(raw, os.environ), *address_warnings(scenario, raw), *tls_warnings(scenario, raw)]
        warnings += container_warnings(scenario)
        findings += toxiproxy_findings(scenario)
        warnings += toxiproxy_warnings(scenario)
        inputs, input_findings = read_inputs(scenario, tree)
        findings += input_findings.mistakes
        warnings += input_findings.notes
        if scenario.load.data is None and scenario.load.login is None:
            warnings += warnings_without_data(raw)
        if scenario.load.login is not None:
            warnings += login_warnings(raw, inputs, scenario.load.login.users)
        if inputs.columns or (scenario.load.login is not None and scenario.load.data is None):
            findings += column_findings(raw, inputs.columns, tuple(scenario.upstreams))
        if not findings and origin.well_formed:
            checked, follow_on, doubtful = _consistency(
                scenario, gates or default_gates(scenario, parse), inputs, origin
            )
            findings += follow_on
            warnings += doubtful
        if scenario.service.command and not any(found.path == ("service", "cwd") for found in input_findings.mistakes):
            from harness.scenario.names.programs import program_findings  # a late import, as rungs and URLs need none

            findings += program_findings(scenario.service.command, scenario.service.env, inputs.cwd)
        findings += upstream_program_findings(scenario, inputs)
    return _Analysis(
        checked=None if findings else checked,
        problems=tuple(locate(tree, key_hint(finding)) for finding in findings),
        warnings=tuple(locate(tree, warning) for warning in warnings),
    )


def _consistency(
    scenario: Scenario, gates: tuple[LocatedGate, ...], inputs: Inputs, origin: _Origin
) -> tuple[CheckedScenario | None, list[Diagnostic], list[Diagnostic]]:
    """Checks that the parts fit each other, then the arithmetic: do windows fit, can gates be decided?

    The plan for it has invented ports. Returns the checked scenario, problems and warnings.
    """
    findings = [*consistency_findings(scenario), *completeness_findings(scenario, inputs.upstreams)]
    looks_into_answers = complete_of(scenario, inputs.upstreams) != "none"
    missed = tuple(unmarked(scenario, inputs.upstreams)) if scenario.load.complete is None else ()
    for located in gates:
        findings += gate_diagnostics(
            scenario,
            located,
            looks_into_answers=looks_into_answers,
            unmarked=missed,
            mark_fix=mark_fix(scenario, missed),
        )
    findings += recorded_calls_findings(gates, scenario.upstreams)
    if findings:
        return None, findings, []
    timeline, findings = compute_timeline(scenario, [located.gate for located in gates], inputs.replay_ms)
    if timeline is None:
        return None, findings, []
    checked = CheckedScenario(scenario, timeline, gates, inputs, scenario_argument(origin.path), origin.digest)
    plan, unprovable = dry_plan(checked)
    diagnostics = check_windows(checked, plan)
    return checked, [*findings, *unprovable, *diagnostics.problems], diagnostics.warnings


@lru_cache(maxsize=_PLANS_KEPT_MOST)
def dry_plan(checked: CheckedScenario) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """A plan with invented ports, for calculations, and what cannot be proven in it. Made once for each scenario."""
    kind = checked.scenario.gateway.kind
    gateway = ResolvedGateway("client") if kind == "auto" else ResolvedGateway(kind)
    ports = count(20_000)
    plan, unprovable = compile_plan(
        checked, run_id="00000000-000000-0000", seed=checked.scenario.seed, ports=lambda: next(ports), gateway=gateway
    )
    return plan, tuple(unprovable)


# ---------------------------------------------------------------- the cells of a matrix


def _cells(
    tree: MappingNode, origin: _Origin, base: _Analysis, parse: ParseGate
) -> tuple[tuple[LoadedCell, ...], list[Problem]]:
    if "matrix" not in tree.entries:
        return (), []
    if any(problem.path.startswith("matrix") for problem in base.problems):
        return (), []
    trees, findings = cell_trees(tree)
    if findings:
        return (), [locate(tree, finding) for finding in findings]
    cells: list[LoadedCell] = []
    known = set(base.problems)
    found_in: dict[Problem, list[str]] = {}
    for each in trees:
        analysis = _analyse(each.tree, origin, parse)
        for problem in analysis.problems:
            if problem not in known:
                found_in.setdefault(problem, []).append(each.name)
        if analysis.checked is not None:
            expected = node_at(tree, ("matrix", "expect", each.name))
            loaded = _loaded(each.tree, origin, analysis.checked, analysis.warnings)
            given = {key: plain(node) for key, node in each.values.items()}
            cells.append(LoadedCell(each.name, given, loaded, plain(expected) if expected else ("pass",)))
    return tuple(cells), [in_cells(problem, where, len(trees)) for problem, where in found_in.items()]
