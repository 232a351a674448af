"""What the steps of one curve say together, and reading them again. Pure but for the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Interrupted
from harness.rundir.searches.frontier import (
    FrontierCurve,
    FrontierEnd,
    FrontierFinding,
    FrontierStep,
    recorded_frontier_steps,
)
from harness.search.capacity import CORE_LEFT
from harness.search.curve_driver import SearchedCurve, certified_level, refuted_level, returned_twice
from harness.search.frontier.kinds import KINDS
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.search.search_folder import recorded_by_curve

if TYPE_CHECKING:
    from harness.search.frontier.level_loads import LevelLoads
    from harness.search.level_search import Bracket


def curve_of(loads: LevelLoads, searched: SearchedCurve[FrontierStep], cores: float | None) -> FrontierCurve:
    """The curve of these steps; without a bracket the search was ended early, or health did not hold."""
    steps, bracket, ended = searched.steps, searched.bracket, searched.ended
    broke = lowest_broken(steps)
    early: FrontierEnd = (
        "interrupted" if isinstance(ended, Interrupted) else "rig" if ended else _without_bracket(steps)
    )
    return FrontierCurve(
        upstream=loads.target.upstream,
        kind=loads.target.kind,
        unit=KINDS[loads.target.kind].unit,
        certified=certified_level(steps),
        refuted=refuted_level(steps),
        at_least=bool(bracket and bracket.at_least),
        ended_by=bracket.ended_by if bracket else early,
        findings=(*loads.gates.findings, *_findings(steps, bracket, cores)),
        broken_gate=_broken_gate(broke),
        broke=broke.reason if broke else "",
        gates=tuple(gate.text for gate in loads.gates.broken),
        steps=steps,
    )


def _without_bracket(steps: Sequence[FrontierStep]) -> FrontierEnd:
    """Why nothing was searched although nothing went wrong: the loads without the fault broke, or said nothing."""
    return "unhealthy" if any(step.outcome == "broke" for step in steps) else "undecided"


def lowest_broken(steps: Sequence[FrontierStep]) -> FrontierStep | None:
    """The load whose break the answer names: the lowest level that was shown to fail, else the lowest that broke; the
    load without the fault if that one broke."""
    broken = [step for step in steps if step.outcome == "broke" and step.purpose != "return"]
    shown = [step for step in broken if step.purpose == "refute"]
    return min(shown or broken, key=lambda step: step.level or 0.0, default=None)


def _broken_gate(step: FrontierStep | None) -> str | None:
    """The gate that fell in this load; None if none did: it was not stationary, or the service ended."""
    if step is None or not step.stationary:
        return None
    certifies = step.alpha is not None or any(gate.verdict == "fail" for gate in step.gates)
    fallen = (gate.text for gate in step.gates if (gate.verdict == "fail" if certifies else gate.breaks))
    return next(fallen, None)


def _findings(
    steps: Sequence[FrontierStep], bracket: Bracket | None, cores: float | None
) -> tuple[FrontierFinding, ...]:
    found: list[FrontierFinding] = []
    if ("broke", "held") in returned_twice(steps):
        found.append("metastable")
    failed_return = any(step.purpose == "return" and step.outcome != "held" for step in steps)
    if failed_return or any(step.service_ended is not None for step in steps):
        found.append("restarted")
    if bracket and bracket.not_monotone:
        found.append("not_monotone")
    if bracket and bracket.undecided:
        found.append("undecided_levels")
    broke = [step for step in steps if step.outcome == "broke"]
    if cores and any((step.cpu_cores or 0.0) + (step.load_cores or 0.0) > cores - CORE_LEFT for step in broke):
        found.append("no_core_left")
    return tuple(found)


def read_frontier_steps(folder: Path, targets: Sequence[FrontierTarget]) -> dict[FrontierTarget, list[FrontierStep]]:
    """The recorded steps of every curve. Raises UsageError if the folder has those of other curves."""
    keys = {target: (target.upstream, target.kind) for target in targets}
    fix = "give the same --upstream and --kind, or --all"
    found = recorded_by_curve(folder, recorded_frontier_steps, list(keys.values()), fix)
    return {target: [line.step for line in found[key]] for target, key in keys.items()}
