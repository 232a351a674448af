"""A scenario from its file to what a planner needs, with every problem it has, each in its place.

What can be looked at is looked at, even where other parts are broken: a fault that cannot be read
does not hide a gate that names an unknown upstream. Nothing is started, no port is taken.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import Problem, ScenarioError
from harness.rundir.plan import Plan
from harness.scenario.checks.addresses import address_warnings
from harness.scenario.checks.windows import check_windows
from harness.scenario.names.gate_list import read_gates
from harness.scenario.names.input_files import Inputs, read_inputs
from harness.scenario.names.key_hints import key_hint
from harness.scenario.names.references import LocatedGate, reference_findings, secret_warnings
from harness.scenario.names.repair import repair
from harness.scenario.names.repaired import Repaired
from harness.scenario.names.unsure import Unsure
from harness.scenario.planning.compile import CheckedScenario, compile_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.planning.timeline import compute_timeline
from harness.scenario.schema.matrix import cell_trees
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.catalog import find_scenario, scenario_argument
from harness.scenario.source.diagnostics import Diagnostic, findings_of, in_cells, in_order, locate, node_at
from harness.scenario.source.merge import read_scenario
from harness.scenario.source.tree import MappingNode, plain


@dataclass(frozen=True, slots=True)
class LoadedCell:
    """One cell of a matrix, or the whole scenario where there is none (`name` None, `values` empty)."""

    name: str | None
    values: dict[str, Any]
    loaded: LoadedScenario
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario without problems. `text` is the file as given, `document` its tree with places."""

    path: Path
    text: str
    sha256: str
    scenario: Scenario
    document: MappingNode
    made: CheckedScenario
    warnings: tuple[Problem, ...]
    cells: tuple[LoadedCell, ...] = ()
    """Empty in a cell's own."""


def load_scenario(path: Path | str, sets: Sequence[str] = ()) -> LoadedScenario:
    """The scenario in a file, or of that name in the catalog. Raises ScenarioError with all problems."""
    found = find_scenario(path)
    read = read_scenario(found, sets)
    if read.tree is None:
        raise ScenarioError(in_order(read.problems))
    origin = _Origin(found, read.text, read.digest, sound=not read.problems)
    examined = _analyse(read.tree, origin)
    cells, cell_problems = _cells(read.tree, origin, examined)
    problems = in_order((*read.problems, *examined.problems, *cell_problems))
    if problems or examined.made is None:
        raise ScenarioError(problems)
    warnings = in_order((*examined.warnings, *(warning for cell in cells for warning in cell.loaded.warnings)))
    loaded = _loaded(read.tree, origin, examined.made, warnings)
    return replace(loaded, cells=cells or (LoadedCell(None, {}, loaded, ("pass",)),))


def _loaded(tree: MappingNode, origin: _Origin, made: CheckedScenario, warnings: tuple[Problem, ...]) -> LoadedScenario:
    return LoadedScenario(origin.path, origin.text, origin.digest, made.scenario, tree, made, warnings)


# ---------------------------------------------------------------- one tree


@dataclass(frozen=True, slots=True)
class _Origin:
    """The file behind a tree. `sound`: its structure has no problem."""

    path: Path
    text: str
    digest: str
    sound: bool


@dataclass(frozen=True, slots=True)
class _Analysis:
    made: CheckedScenario | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def _analyse(tree: MappingNode, origin: _Origin) -> _Analysis:
    findings: list[Diagnostic] = []
    scenario: Scenario | None = None
    repaired: Repaired | None = None
    try:
        scenario = Scenario.model_validate(plain(tree))
    except ValidationError as exc:
        findings += findings_of(exc)
        repaired = repair(tree, findings)
        scenario = repaired.scenario
        findings += repaired.more
    gates, gate_findings = read_gates(tree, scenario, default=repaired is None or repaired.gates_hold)
    findings += gate_findings
    made: CheckedScenario | None = None
    warnings: list[Diagnostic] = []
    if scenario is not None:
        unsure = repaired.unsure if repaired else Unsure()
        more = list(reference_findings(scenario, gates, os.environ, unsure))
        warnings += [*secret_warnings(scenario, os.environ), *address_warnings(scenario)]
        inputs, input_findings = read_inputs(scenario, tree)
        more += input_findings
        if repaired is None or repaired.times_hold:
            made, checked, doubtful = _plan_check(scenario, gates, inputs, origin, repaired)
            more += checked
            warnings += doubtful
        # what stands in for a broken part is not the user's
        findings += [found for found in more if repaired is None or repaired.is_users(found.path)]
    problems = tuple(locate(tree, key_hint(finding)) for finding in findings)
    return _Analysis(
        made=made if origin.sound and not problems else None,
        problems=problems,
        warnings=tuple(locate(tree, warning) for warning in warnings),
    )


def _plan_check(
    scenario: Scenario, gates: tuple[LocatedGate, ...], inputs: Inputs, origin: _Origin, repaired: Repaired | None
) -> tuple[CheckedScenario | None, list[Diagnostic], list[Diagnostic]]:
    """The arithmetic: does it fit, can it be decided? Reckoned on a plan with made-up ports."""
    known = {fault.name for fault in scenario.faults} | {"whole", "baseline"}
    known -= repaired.doubtful_faults if repaired else set()
    sound = tuple(
        named for named in gates if all(phase.removeprefix("after ") in known for phase in named.gate.phases())
    )
    if scenario.load.replay is not None and inputs.replay_ms is None:
        return None, [], []
    timeline, findings = compute_timeline(scenario, [named.gate for named in sound], inputs.replay_ms)
    if timeline is None:
        return None, _told(findings, repaired), []
    made = CheckedScenario(scenario, timeline, gates, inputs, scenario_argument(origin.path), origin.digest)
    plan, unprovable = dry_plan(replace(made, gates=sound))
    findings += unprovable if repaired is None or repaired.sizes_hold else []
    checked = check_windows(replace(made, gates=sound), plan)
    return made, _told([*findings, *checked.problems], repaired), checked.warnings


def _told(findings: list[Diagnostic], repaired: Repaired | None) -> list[Diagnostic]:
    """What was reckoned with a stand-in is nobody's."""
    return [found for found in findings if repaired is None or repaired.is_whole(found.path)]


def dry_plan(made: CheckedScenario) -> tuple[Plan, list[Diagnostic]]:
    """A plan with made-up ports, for reckoning with."""
    kind = made.scenario.gateway.kind
    gateway = ResolvedGateway("client") if kind == "auto" else ResolvedGateway(kind)
    ports = count(20_000)
    return compile_plan(
        made, run_id="00000000-000000-0000", seed=made.scenario.seed, ports=lambda: next(ports), gateway=gateway
    )


# ---------------------------------------------------------------- the cells of a matrix


def _cells(tree: MappingNode, origin: _Origin, base: _Analysis) -> tuple[tuple[LoadedCell, ...], list[Problem]]:
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
        examined = _analyse(each.tree, origin)
        for problem in examined.problems:
            if problem not in known:
                found_in.setdefault(problem, []).append(each.name)
        if examined.made is not None:
            expected = node_at(tree, ("matrix", "expect", each.name))
            loaded = _loaded(each.tree, origin, examined.made, examined.warnings)
            given = {key: plain(node) for key, node in each.values.items()}
            cells.append(LoadedCell(each.name, given, loaded, plain(expected) if expected else ("pass",)))
    return tuple(cells), [in_cells(problem, where, len(trees)) for problem, where in found_in.items()]
