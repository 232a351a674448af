"""The fault of one curve, at a level, planned as a fault of the scenario would be. Pure.

It refuses what an upstream cannot have: a share of calls where nothing of ours sees single calls, a fault that no
canary could show, an upstream that no request asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from harness.errors import UsageError
from harness.faults import Fault, parse_fault
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from harness.rundir.searches.frontier import FrontierKind
from harness.scenario.names.references import consistency_findings
from harness.scenario.planner import LoadedCell
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.plan_faults import plan_faults
from harness.search.frontier.kinds import KINDS

_UNPLACED: Final = FaultWindow(apply_ms=0.0, remove_ms=60_000.0)


@dataclass(frozen=True, slots=True)
class FrontierTarget:
    """What one curve is about."""

    upstream: str
    kind: FrontierKind

    @property
    def fault(self) -> str:
        """The name of the search's own fault."""
        return f"{self.upstream}-{self.kind}"


def planned_fault(
    checked: CheckedScenario, target: FrontierTarget, level: float, window: FaultWindow = _UNPLACED
) -> PlannedFault:
    """The fault at this level in this window. A run counts even if no call meets it, since at a small share none may;
    the search looks at that itself. Raises UsageError if the upstream cannot have such a fault."""
    scenario = checked.scenario
    _refuse_unknown(checked, target)
    fault = _fault(target, level)
    only = scenario.model_copy(update={"faults": (fault,), "gates": None})
    timeline = replace(checked.timeline, windows=((window,),))
    faults, findings = plan_faults(only, checked.inputs.upstreams, timeline, scenario.seed)
    findings += [found for found in consistency_findings(only) if found.path[:1] == ("faults",)]
    if findings:
        raise UsageError(f"{target.upstream}, {target.kind}: {findings[0].message}", findings[0].fix)
    return faults[0]


def searched_cell(cell: LoadedCell, targets: tuple[FrontierTarget, ...]) -> LoadedCell:
    """The cell whose faults are those of the search, each at its first level, so that its stack has room for them."""
    checked = cell.loaded.checked
    faults = tuple(_fault(target, KINDS[target.kind].scale.begin) for target in targets)
    scenario = checked.scenario.model_copy(update={"faults": faults})
    timeline = replace(checked.timeline, windows=tuple((_UNPLACED,) for _ in targets))
    return replace(cell, loaded=replace(cell.loaded, checked=replace(checked, scenario=scenario, timeline=timeline)))


def _fault(target: FrontierTarget, level: float) -> Fault:
    always = {"name": target.fault, "upstream": target.upstream, "for": "60s", "met": "optional"}
    return parse_fault({**KINDS[target.kind].fields(level), **always})


def _refuse_unknown(checked: CheckedScenario, target: FrontierTarget) -> None:
    upstream = checked.scenario.upstreams.get(target.upstream)
    if upstream is None:
        known = ", ".join(checked.scenario.upstreams) or "none"
        raise UsageError(f"--upstream: the scenario has no upstream {target.upstream}", f"upstreams: {known}")
    if KINDS[target.kind].on_calls and not upstream.records_calls:
        seen = upstream.recorded_if()
        others = "search its latency or its outage, which act on connections: --kind latency, --kind outage"
        raise UsageError(
            f"{target.upstream}, {target.kind}: a share of its calls cannot be broken, since nothing of ours sees its "
            "calls one by one, and Toxiproxy draws a share once for each connection",
            f"{seen}, so that the forwarder can break its answers; or {others}" if seen else others,
        )
