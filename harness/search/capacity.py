"""`tailgate capacity`: the highest rate at which every gate holds, in health and with each fault on, and what stops it.

What its loads are, how they are judged, and what a curve of them says; `harness.search.curve_driver` runs them.

After a load that broke, the curve's first rate is tried again. If it does not hold any more, the service is started
anew. It is `metastable` if it then carries that rate; else the rate had held by chance, and half of it is tried from
then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import Interrupted
from harness.gates.parse import parse_gate
from harness.rundir.searches.capacity import (
    CapacityFinding,
    CurveEnd,
    Limiter,
    LoadStep,
    RateCurve,
    RecordedStep,
    StepPurpose,
    recorded_steps,
)
from harness.search.answers.hopeless import Hopeless, hopeless
from harness.search.answers.ways_back import ways_back
from harness.search.answers.would_decide import would_decide
from harness.search.curve_driver import SearchedCurve, certified_level, refuted_level
from harness.search.level_search import Bracket, LevelScale, WantedLoad
from harness.search.limiter import limiter_of
from harness.search.load_plans import CurveGates, fault_gates, health_gates
from harness.search.search_folder import recorded_by_curve
from harness.search.search_times import SearchTimes
from harness.search.stack_loads import LoadRun, LoadSpec
from harness.search.step_figures import step_of

if TYPE_CHECKING:
    from harness.evidence import Evidence
    from harness.rundir.plan import Plan

UNFINISHED: Final = Limiter(kind="not_known", witness="not known yet: the search ended early")
CORE_LEFT: Final = 0.5
"""Where less than this of the cores was left, the answer is that of the machine."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for. Lengths in ms; `within`: how wide the bracket may be (0.1 is 10 %)."""

    first_per_s: float
    to_per_s: float | None
    within: float
    refute_ms: float
    soak_ms: float
    alpha: float
    settle_ms: float = 5_000.0
    explore_ms: float = 12_000.0
    return_ms: float = 4_000.0

    @classmethod
    def usual(cls, plan: Plan) -> Settings:
        """What a search does if nothing is asked for. The plan is one whose rate can be searched."""
        from scenarios.load import planned_peak_per_s

        first_per_s = planned_peak_per_s(plan.load)
        alpha = round(1 - plan.verdict.confidence, 9)
        return cls(first_per_s, None, within=0.1, refute_ms=60_000.0, soak_ms=120_000.0, alpha=alpha)

    @property
    def most_per_s(self) -> float:
        """The highest rate for which the stack must have room."""
        return self.to_per_s or 1_000 * self.first_per_s

    def sent_ms(self, purpose: StepPurpose) -> float:
        """How long a load sends requests."""
        judged_ms = {"soak": self.soak_ms, "refute": self.refute_ms, "return": self.return_ms}
        return self.settle_ms + judged_ms.get(purpose, self.explore_ms)

    def times(self, drain_ms: float) -> SearchTimes:
        """Of one curve. `drain_ms`: how long requests may be open after the last arrival."""

        def open_ms(load: WantedLoad, limit_per_s: float) -> float:
            """A queue grows by what arrives beyond the limit, and is served at the limit."""
            return self.sent_ms(load.purpose) * max(0.0, load.rate_per_s / limit_per_s - 1)

        return SearchTimes(
            scale=LevelScale.of_rates(self.first_per_s, self.to_per_s),
            within=self.within,
            alpha=self.alpha,
            sent_ms=lambda load: self.sent_ms(load.purpose),
            open_ms=open_ms,
            drain_ms=drain_ms,
            return_ms=self.sent_ms("return"),
        )


class RateLoads:
    """The loads of one curve (`harness.search.curve_rules.CurveRules`). `fault`: None: of health."""

    health_load = None

    def __init__(self, plan: Plan, fault: str | None, settings: Settings) -> None:
        self.plan = plan
        self.fault = fault
        self.curve = fault or "health"
        self.gates: CurveGates = health_gates(plan) if fault is None else fault_gates(plan, fault)
        window_ms = max((parse_gate(gate.text).window_needed_ms() for gate in self.gates.gates), default=0.0)
        self.settings = replace(settings, return_ms=max(settings.return_ms, window_ms))
        self.times = self.settings.times(plan.load.drain_ms)

    @property
    def can_restart(self) -> bool:
        """Whether the service is one that tailgate starts."""
        return self.plan.service.kind != "url"

    def spec(self, load: WantedLoad, purpose: StepPurpose) -> LoadSpec:
        return LoadSpec(
            rate_per_s=load.rate_per_s,
            settle_ms=self.settings.settle_ms,
            judged_ms=self.settings.sent_ms(purpose) - self.settings.settle_ms,
            gates=self.gates.gates,
            fault=self.fault,
            confidence=None if load.alpha is None else 1 - load.alpha,
        )

    def judged(
        self, run: LoadRun, load: WantedLoad, purpose: StepPurpose, before: Sequence[Evidence]
    ) -> tuple[LoadStep, Evidence]:
        return step_of(run, load, purpose, before)

    def died(self, load: WantedLoad, purpose: StepPurpose, how: str) -> LoadStep:
        return died(load, purpose, how)

    def return_load(self, steps: Sequence[LoadStep]) -> WantedLoad | None:
        rate_per_s = return_rate(steps, can_restart=self.can_restart)
        return None if rate_per_s is None else WantedLoad("explore", rate_per_s)

    def is_hopeless(self, steps: Sequence[LoadStep]) -> bool:
        return hopeless(steps) is not None

    def level_text(self, level: float) -> str:
        return f"{level:g}/s"

    def seen(self, _step: LoadStep) -> str:
        return ""

    def record(self, step: LoadStep) -> RecordedStep:
        return RecordedStep(fault=self.fault, step=step)


def rate_curve(loads: RateLoads, searched: SearchedCurve[LoadStep], cores: float | None) -> RateCurve:
    """What the steps of a curve say together. `cores`: of the machine."""
    steps, bracket, fakes = searched.steps, searched.bracket, [(u.name, u.fake) for u in loads.plan.upstreams]
    capacities = {name: fake.capacity for name, fake in fakes if fake is not None and fake.capacity is not None}
    given_up = None if bracket or searched.ended else hopeless(steps)
    return RateCurve(
        fault=loads.fault,
        certified_per_s=certified_level(steps),
        refuted_per_s=refuted_level(steps),
        at_least=bool(bracket and bracket.at_least),
        ended_by=_ended_by(bracket, given_up, searched.ended),
        findings=_findings(loads, steps, bracket, cores),
        would_decide=given_up.why if given_up else would_decide(steps, loads.plan),
        limiter=_limiter(steps, cores, capacities, is_whole=bracket is not None),
        steps=steps,
    )


def _findings(
    loads: RateLoads, steps: Sequence[LoadStep], bracket: Bracket | None, cores: float | None
) -> tuple[CapacityFinding, ...]:
    broke = [step for step in steps if step.outcome == "broke"]
    ways = ways_back(steps) if loads.can_restart else []
    has_ended = loads.can_restart and any(step.service_ended is not None for step in steps)
    found: dict[CapacityFinding, bool] = {
        "gates_of_faults": loads.gates.borrowed,
        "metastable": any(way.needed_restart for way in ways),
        "restarted": has_ended or any(way.after for way in ways),
        "not_monotone": bracket is not None and bracket.not_monotone,
        "undecided_rates": bracket is not None and bool(bracket.undecided),
        "no_core_left": cores is not None and any(leaves_no_core(step, cores) for step in broke),
    }
    return tuple(name for name, holds in found.items() if holds)


def return_rate(steps: Sequence[LoadStep], *, can_restart: bool = True) -> float | None:
    """The rate at which the service must come back, in 1/s: the first that held, halved for each time that a service
    which was started anew did not carry it; None as long as none has held."""
    held = [step.rate_per_s for step in steps if step.outcome == "held" and step.purpose == "explore"]
    if not held:
        return None
    failed = [way for way in ways_back(steps) if way.failed is not None] if can_restart else []
    return held[0] / 2.0 ** len(failed)


def _ended_by(bracket: Bracket | None, given_up: Hopeless | None, ended: Exception | None) -> CurveEnd:
    if bracket is not None:
        return bracket.ended_by
    if given_up is not None:
        return given_up.ended_by
    return "interrupted" if isinstance(ended, Interrupted) else "rig"


def _limiter(steps: Sequence[LoadStep], cores: float | None, capacities: dict[str, int], *, is_whole: bool) -> Limiter:
    found = limiter_of([step for step in steps if step.purpose != "return"], cores=cores, capacities=capacities)
    return found if is_whole or found.kind != "not_known" else UNFINISHED


def leaves_no_core(step: LoadStep, cores: float) -> bool:
    """Whether less than `CORE_LEFT` of these cores, or a quarter of fewer than two, was idle on average."""
    return cores_used(step) > cores - min(CORE_LEFT, cores / 4)


def cores_used(step: LoadStep) -> float:
    """Of the machine, on average; where that is not known by the service and the load generator."""
    return max(step.machine_cores or 0.0, (step.cpu_cores or 0.0) + (step.load_cores or 0.0))


def died(load: WantedLoad, purpose: StepPurpose, how: str) -> LoadStep:
    """The step of a load that did not begin, since the service ended before it; `how`: for people. It says nothing of
    the rate, and is run once more."""
    reason = f"the service ended before the load began: {how}"
    return LoadStep(
        purpose=purpose, rate_per_s=load.level, run="", seconds=0, outcome="generator", reason=reason,
        service_ended=how, alpha=load.alpha, n=0, completed_per_s=0, p50_ms=None, p99_ms=None, in_flight_mean=0,
        little=None, stationary=False, gates=(), cpu_cores=None, busiest_thread=None, load_cores=None,
        threads_most=None, sockets_most=None,
    )  # fmt: skip


def read_steps(folder: Path, faults: tuple[str | None, ...]) -> dict[str | None, list[LoadStep]]:
    """The recorded steps of every curve. Raises UsageError if the folder has those of other curves."""
    found = recorded_by_curve(folder, recorded_steps, [(fault,) for fault in faults], "give the same --fault")
    return {fault: [line.step for line in found[fault,]] for fault in faults}
