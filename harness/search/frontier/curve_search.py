"""The search of one curve of the frontier: one upstream, one kind of fault, on a stack that others share.

`harness.search.level_search` says which load comes next. Before the first one a load without the fault must hold, since
a service that breaks in health has no frontier. After each load that did not hold it must come back: a load without
the fault is tried, and if its gates do not hold the service is started anew, at most `RESTARTS_MOST` times; it is
`metastable` if they hold then. A service that ended is started anew too. Each answer is appended to `steps.ndjson`
before the next load begins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Interrupted, RigError, ServiceGone, UsageError
from harness.rundir.searches.capacity import StepOutcome, StepPurpose
from harness.rundir.searches.frontier import FrontierCurve, FrontierStep, RecordedFrontierStep
from harness.search.capacity import RESTARTS_MOST, died
from harness.search.frontier.kinds import level_text
from harness.search.frontier.level_loads import LevelLoads
from harness.search.frontier.level_step import frontier_step
from harness.search.frontier.steps import curve_of
from harness.search.level_search import Bracket, Outcome, WantedLoad, search_levels
from harness.units import format_duration

if TYPE_CHECKING:
    from harness.evidence import Evidence
    from harness.search.stack_loads import StackLoads


class FrontierCurveSearch:
    """`say`: a line of progress for people."""

    def __init__(self, stack: StackLoads, loads: LevelLoads, *, folder: Path, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._loads = loads
        self._folder = folder
        self._say = say
        self._steps: list[FrontierStep] = []
        self._recorded: list[FrontierStep] = []
        self._restarts = 0
        self._pooled: list[Evidence] = []

    def run(self, recorded: list[FrontierStep], cores: float | None) -> tuple[FrontierCurve, Exception | None]:
        """The curve, and what ended it early (an interruption, a rig failure), if anything did. `recorded`: the steps
        of an earlier call, whose answers are taken as they are. Raises UsageError if they are of another search."""
        ended: Exception | None = None
        bracket: Bracket | None = None
        self._recorded = list(recorded)
        try:
            if self._without_fault("health", ("generator", "broke")).outcome == "held":
                bracket = self._search()
        except (Interrupted, RigError, ServiceGone) as exc:
            ended = exc
        return curve_of(self._loads, self._steps, bracket, ended, cores), ended

    def _search(self) -> Bracket:
        settings = self._loads.settings
        search = search_levels(self._loads.scale, within=settings.within, alpha=settings.alpha)
        wanted = next(search)
        while True:
            try:
                wanted = search.send(self._answer(wanted))
            except StopIteration as stop:
                bracket: Bracket = stop.value
                return bracket

    def _answer(self, wanted: WantedLoad) -> Outcome:
        """How the load ended; it is run once more if the first says nothing, since the machine gave out."""
        if not wanted.pooled:
            self._pooled = []
        step = self._with_fault(wanted)
        if step.outcome == "generator":
            step = self._with_fault(wanted)
        return "undecided" if step.outcome == "generator" else step.outcome

    def _with_fault(self, wanted: WantedLoad) -> FrontierStep:
        """The load, and the way back from it. One that says nothing may have broken the service all the same."""
        step = self._next(wanted, wanted.purpose)
        if step.outcome != "held" and step.service_ended is None:
            self._come_back()
        return step

    def _come_back(self) -> None:
        """After a load that did not hold: without the fault the gates must hold, or the service is started anew."""
        step = self._without_fault("return", ("generator",))
        if step.outcome == "held" or step.service_ended is not None:
            return
        self._say(f"  without the fault it does not come back ({step.reason}); starting the service anew")
        self._renew()
        self._without_fault("return", ("generator",))

    def _without_fault(self, purpose: StepPurpose, again: tuple[StepOutcome, ...]) -> FrontierStep:
        """The load without the fault, once more if the first ended as one of `again`. Before the search that is also a
        load that broke: a short one may break by chance, and that the service is not well would be the answer."""
        step = self._next(None, purpose)
        return self._next(None, purpose) if step.outcome in again else step

    def _next(self, wanted: WantedLoad | None, purpose: StepPurpose) -> FrontierStep:
        """The next step: the recorded one, or that of a load which is run now. `wanted`: None: without the fault."""
        if not self._recorded:
            step = self._load(wanted, purpose)
        else:
            step = self._recorded.pop(0)
            self._steps.append(step)
            if (step.purpose, step.level) != (purpose, wanted.level if wanted else None):
                raise UsageError(
                    "the steps in the directory are those of a search with other options",
                    "give the same --from, --to and --within",
                )
        if step.service_ended is not None:
            self._stack.renew()  # the next load starts another one
        return step

    def _load(self, wanted: WantedLoad | None, purpose: StepPurpose) -> FrontierStep:
        """Run a load, judge it and keep what it says."""
        confidence = None if wanted is None or wanted.alpha is None else 1 - wanted.alpha
        loads = self._loads
        spec = loads.without_fault(purpose) if wanted is None else loads.at(wanted.level, purpose, confidence)
        try:
            run = self._stack.run(spec)
        except ServiceGone as exc:
            step = _died(wanted, purpose, spec.rate_per_s, exc.message)
        else:
            before = self._pooled if wanted is not None and wanted.pooled else ()
            step, evidence = frontier_step(run, loads, wanted, purpose, before)
            if wanted is not None and step.outcome != "generator":
                self._pooled.append(evidence)
        self._keep(step)
        return step

    def _keep(self, step: FrontierStep) -> None:
        target = self._loads.target
        self._steps.append(step)
        RecordedFrontierStep(upstream=target.upstream, kind=target.kind, step=step).append(self._folder)
        self._say(describe_level(step, self._loads))

    def _renew(self) -> None:
        self._restarts += 1
        if self._restarts > RESTARTS_MOST:
            raise RigError(
                f"the service had to be started anew more than {RESTARTS_MOST} times",
                "begin at a lower level (--from), or look at the logs of the loads that broke",
            )
        self._stack.renew()


def describe_level(step: FrontierStep, loads: LevelLoads) -> str:
    """`  azure latency    explore   900 ms  held: p99 980 ms, 12.1 in flight` for people."""
    kind = loads.target.kind
    level = "no fault" if step.level is None else level_text(kind, step.level)
    judged = step.gates[0] if loads.is_outage and step.level is not None and step.gates else None
    if judged is not None:
        what = f"back after {format_duration(judged.observed)}" if judged.observed is not None else "not back"
    elif step.n:
        p99 = "failed" if step.p99_ms is None else f"{step.p99_ms:,.0f} ms"
        what = f"p99 {p99}, {step.in_flight_mean:.1f} in flight"
    else:
        what = "nothing arrived"
    reason = "" if step.outcome == "held" else f" ({step.reason})"
    return f"  {loads.target.upstream} {kind:<8} {step.purpose:<8} {level:>9}  {step.outcome}: {what}{reason}"


def _died(wanted: WantedLoad | None, purpose: StepPurpose, rate_per_s: float, how: str) -> FrontierStep:
    """The service ended while the load was being started."""
    load = WantedLoad("explore", rate_per_s, alpha=wanted.alpha if wanted else None)
    fields = died(load, purpose, how).model_dump()
    return FrontierStep.model_validate({**fields, "level": wanted.level if wanted else None})
