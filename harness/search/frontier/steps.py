"""What the steps of one curve say together, and reading them again. Pure but for the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import Interrupted
from harness.rundir.searches.frontier import (
    FrontierCurve,
    FrontierEnd,
    FrontierFinding,
    FrontierStep,
    recorded_frontier_steps,
)
from harness.search.answers.ways_back import ways_back
from harness.search.capacity import leaves_no_core
from harness.search.curve_driver import SearchedCurve, certified_level, refuted_level
from harness.search.frontier.given_up import given_up
from harness.search.frontier.kinds import KINDS
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.search.search_folder import recorded_by_curve

if TYPE_CHECKING:
    from harness.search.frontier.level_loads import LevelLoads
    from harness.search.level_search import Bracket

UNHEALTHY_LOADS: Final = 2
"""So many loads without the fault must break before the search: one may break by chance."""


def curve_of(loads: LevelLoads, searched: SearchedCurve[FrontierStep], cores: float | None) -> FrontierCurve:
    """The curve of these steps; without a bracket the search was ended early, or health did not hold."""
    steps, bracket, ended = searched.steps, searched.bracket, searched.ended
    early: FrontierEnd = (
        "interrupted" if isinstance(ended, Interrupted) else "rig" if ended else _without_bracket(steps)
    )
    ended_by = bracket.ended_by if bracket else early
    broke = _broken_in_health(steps)[-1] if ended_by == "unhealthy" else lowest_broken(steps)
    return FrontierCurve(
        upstream=loads.target.upstream,
        kind=loads.target.kind,
        unit=KINDS[loads.target.kind].unit,
        certified=certified_level(steps),
        refuted=refuted_level(steps),
        at_least=bool(bracket and bracket.at_least),
        ended_by=ended_by,
        findings=(*loads.gates.findings, *_findings(steps, bracket, cores, can_restart=loads.can_restart)),
        broken_gate=_broken_gate(broke, is_outage=loads.is_outage),
        broke=broke.reason if broke else "",
        given_up=given_up(steps, can_restart=loads.can_restart) if ended_by == "undecided" and not bracket else "",
        gates=tuple(gate.text for gate in loads.gates.broken),
        steps=steps,
    )


def _without_bracket(steps: Sequence[FrontierStep]) -> FrontierEnd:
    """Why the search did not come to its end although nothing went wrong: the loads without the fault before it broke,
    or said nothing; or it was given up."""
    return "unhealthy" if len(_broken_in_health(steps)) >= UNHEALTHY_LOADS else "undecided"


def _broken_in_health(steps: Sequence[FrontierStep]) -> list[FrontierStep]:
    return [step for step in steps if step.purpose == "health" and step.outcome == "broke"]


def lowest_broken(steps: Sequence[FrontierStep]) -> FrontierStep | None:
    """The load whose break the answer names: the lowest level that was shown to fail, else the lowest that broke. One
    without the fault does not count, since it may break by chance."""
    broken = [step for step in steps if step.outcome == "broke" and step.level is not None]
    shown = [step for step in broken if step.purpose == "refute"]
    return min(shown or broken, key=lambda step: step.searched_level, default=None)


def _broken_gate(step: FrontierStep | None, *, is_outage: bool) -> str | None:
    """The gate that fell in this load; None if none did: it was not stationary, or the service ended."""
    if step is None or not step.stationary:
        return None
    by_decision = step.alpha is not None or (is_outage and step.level is not None)
    fallen = (gate.text for gate in step.gates if (gate.verdict == "fail" if by_decision else gate.breaks))
    return next(fallen, None)


def _findings(
    steps: Sequence[FrontierStep], bracket: Bracket | None, cores: float | None, *, can_restart: bool
) -> tuple[FrontierFinding, ...]:
    """`can_restart`: else nothing of ours starts the service anew, so nothing is known of how it would be then."""
    found: list[FrontierFinding] = []
    ways = ways_back(steps)
    if can_restart and any(way.needed_restart for way in ways):
        found.append("metastable")
    if can_restart and (any(way.after for way in ways) or any(step.service_ended is not None for step in steps)):
        found.append("restarted")
    if bracket and bracket.not_monotone:
        found.append("not_monotone")
    if bracket and bracket.undecided:
        found.append("undecided_levels")
    broke = [step for step in steps if step.outcome == "broke"]
    if cores and any(leaves_no_core(step, cores) for step in broke):
        found.append("no_core_left")
    return tuple(found)


def read_frontier_steps(folder: Path, targets: Sequence[FrontierTarget]) -> dict[FrontierTarget, list[FrontierStep]]:
    """The recorded steps of every curve. Raises UsageError if the folder has those of other curves."""
    keys = {target: (target.upstream, target.kind) for target in targets}
    fix = "give the same --upstream and --kind, or --all"
    found = recorded_by_curve(folder, recorded_frontier_steps, list(keys.values()), fix)
    return {target: [line.step for line in found[key]] for target, key in keys.items()}
