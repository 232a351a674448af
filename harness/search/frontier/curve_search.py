"""The loads of one curve of the frontier, as `harness.search.curve_driver` runs them: one upstream, one kind of fault.

Before the search a load without the fault must hold, since a service that breaks in health has no frontier. After each
load that did not hold, also one that says nothing, the gates must hold without the fault; the service is `metastable`
if they only do after it was started anew. If they do not even then, the curve is given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from harness.rundir.searches.capacity import StepPurpose
from harness.rundir.searches.frontier import FrontierStep, RecordedFrontierStep
from harness.search.capacity import died
from harness.search.frontier.given_up import given_up
from harness.search.frontier.kinds import level_text
from harness.search.frontier.level_loads import LevelLoads
from harness.search.frontier.level_step import frontier_step
from harness.search.level_search import WantedLoad
from harness.units import format_duration

if TYPE_CHECKING:
    from harness.evidence import Evidence
    from harness.search.stack_loads import LoadRun, LoadSpec

WITHOUT_FAULT: Final = WantedLoad("explore", 0.0)


class LevelCurve:
    """See `harness.search.curve_rules.CurveRules`."""

    health_load = WITHOUT_FAULT

    def __init__(self, loads: LevelLoads) -> None:
        self.loads = loads
        self.curve = f"{loads.target.upstream} {loads.target.kind}"
        self.times = loads.times

    def spec(self, load: WantedLoad, purpose: StepPurpose) -> LoadSpec:
        if load == WITHOUT_FAULT:
            return self.loads.without_fault(purpose)
        return self.loads.at(load.level, purpose, None if load.alpha is None else 1 - load.alpha)

    def judged(
        self, run: LoadRun, load: WantedLoad, purpose: StepPurpose, before: Sequence[Evidence]
    ) -> tuple[FrontierStep, Evidence]:
        return frontier_step(run, self.loads, _with_fault(load), purpose, before)

    def died(self, load: WantedLoad, purpose: StepPurpose, how: str) -> FrontierStep:
        at_rate = WantedLoad("explore", self.loads.rate_per_s, alpha=load.alpha)
        fields = died(at_rate, purpose, how).model_dump()
        if not load.level:  # a service that is well does not end
            fields.update(outcome="broke", reason=how)
        return FrontierStep.model_validate({**fields, "level": load.level or None})

    def return_load(self, _steps: Sequence[FrontierStep]) -> WantedLoad:
        return WITHOUT_FAULT

    def is_hopeless(self, steps: Sequence[FrontierStep]) -> bool:
        return bool(given_up(steps, can_restart=self.loads.can_restart))

    def level_text(self, level: float) -> str:
        return level_text(self.loads.target.kind, level) if level else "no fault"

    def seen(self, step: FrontierStep) -> str:
        if not self.loads.is_outage or step.level is None or not step.gates:
            return ""
        back_ms = step.gates[0].observed
        if back_ms is None:
            return "not back" if step.outcome == "broke" else ""
        return f"back after {format_duration(back_ms)}"

    def record(self, step: FrontierStep) -> RecordedFrontierStep:
        return RecordedFrontierStep(upstream=self.loads.target.upstream, kind=self.loads.target.kind, step=step)


def _with_fault(load: WantedLoad) -> WantedLoad | None:
    return None if load == WITHOUT_FAULT else load
