"""`tailgate capacity`: the highest rate at which every gate holds, in health and with each fault on, and what stops it.

One stack carries many loads. `harness.search.level_search` says which load comes next; this module runs it, judges it,
writes it down, and asks again. Each answer is appended to `steps.ndjson` before the next load begins, so a search that
was interrupted keeps what it has certified and can be taken up again (`resume`).

Between loads the service must come back: after a load that broke, the curve's first rate is tried again. If it does not
hold any more, the service is started anew, at most `RESTARTS_MOST` times. It is `metastable` if it then carries that
rate; else the rate had held by chance, and half of it is tried from then on. A service that ended is started anew too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import Interrupted, RigError, ServiceGone, UsageError
from harness.rundir.searches.capacity import (
    CapacityFinding,
    Limiter,
    LoadStep,
    RateCurve,
    RecordedStep,
    StepPurpose,
    recorded_steps,
)
from harness.search.answers.would_decide import would_decide
from harness.search.level_search import (
    EXPLORED_MOST,
    REFUTED_MOST,
    SOAKS_MOST,
    Bracket,
    LevelScale,
    Outcome,
    WantedLoad,
    search_levels,
)
from harness.search.limiter import limiter_of
from harness.search.load_plans import CurveGates, fault_gates, health_gates
from harness.search.search_progress import LoadUnderWay
from harness.search.stack_loads import LoadSpec, StackLoads
from harness.search.step_figures import step_of

if TYPE_CHECKING:
    from harness.evidence import Evidence
    from harness.rundir.plan import Plan

RESTARTS_MOST: Final = 3
RETURNS_MOST: Final = 2
"""How often the first rate is tried again where nothing is known of the first try, since the machine was busy."""
AROUND_LOAD_MS: Final = 1_000.0
"""What a load costs beyond itself: its directory, its workers, its drain and its judging (docs/benchmarks.md)."""
UNFINISHED: Final = Limiter(kind="not_known", witness="not known yet: the search ended early")
CORE_LEFT: Final = 0.5
"""Where less than this of the machine's cores was left, the answer is that of the machine."""


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


def longest_s(settings: Settings, *, explored: int = 0, soaked: int = 0, refuted: int = 0) -> float:
    """How long one curve takes at most if no load has to be repeated and the service always comes back, in seconds.

    `explored`, `soaked`, `refuted`: how many loads for each purpose are over already.
    """
    explore, soak, refute = EXPLORED_MOST - explored, SOAKS_MOST - soaked, REFUTED_MOST - refuted
    returns = explore / 2  # half of them break
    loads = explore + returns + soak + refute
    judged_ms = (
        explore * settings.explore_ms
        + returns * settings.return_ms
        + soak * settings.soak_ms
        + refute * settings.refute_ms
    )
    return (judged_ms + loads * (settings.settle_ms + AROUND_LOAD_MS)) / 1000


def usual_s(settings: Settings) -> float:
    """How long one curve takes if it begins within a decade of the answer, in seconds: six explorative loads of which
    three break, and a certificate of each kind at once."""
    judged_ms = 6 * settings.explore_ms + 4 * settings.return_ms + settings.soak_ms + settings.refute_ms
    return (judged_ms + 12 * (settings.settle_ms + AROUND_LOAD_MS)) / 1000


class CurveSearch:
    """The search of one curve on a stack that others share. `say`: a line of progress for people; `show`: the load
    that is under way, several times a second."""

    def __init__(
        self,
        loads: StackLoads,
        plan: Plan,
        fault: str | None,
        *,
        settings: Settings,
        folder: Path,
        say: Callable[[str], None],
        show: Callable[[LoadUnderWay], None] = lambda _: None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loads = loads
        self._plan = plan
        self._fault = fault
        self._settings = settings
        self._folder = folder
        self._say = say
        self._show = show
        self._clock_s = clock_s
        self._gates: CurveGates = health_gates(plan) if fault is None else fault_gates(plan, fault)
        self._steps: list[LoadStep] = []
        self._restarts = 0
        self._pooled: list[Evidence] = []

    def run(
        self, recorded: list[LoadStep], cores: float | None, capacities: dict[str, int]
    ) -> tuple[RateCurve, Exception | None]:
        """The curve, and what ended it early (an interruption, a rig failure), if anything did. `recorded`: the steps
        of an earlier call, whose answers are taken as they are."""
        scale = LevelScale.of_rates(self._settings.first_per_s, self._settings.to_per_s)
        search = search_levels(scale, within=self._settings.within, alpha=self._settings.alpha)
        ended: Exception | None = None
        bracket: Bracket | None = None
        wanted = next(search)
        try:
            while bracket is None:
                try:
                    wanted = search.send(self._answer(wanted, recorded))
                except StopIteration as stop:
                    bracket = stop.value
        except (Interrupted, RigError, ServiceGone) as exc:
            ended = exc
        return self._curve(bracket, ended, cores, capacities), ended

    def _answer(self, load: WantedLoad, recorded: list[LoadStep]) -> Outcome:
        if recorded:
            step = recorded.pop(0)
            self._steps.append(step)
            while recorded and recorded[0].purpose == "return":
                self._steps.append(recorded.pop(0))
            return step.outcome
        step = self._try(load)
        if step.outcome == "broke" and step.service_ended is None:
            self._come_back()
        return step.outcome

    def _try(self, load: WantedLoad) -> LoadStep:
        judged_ms = {
            "explore": self._settings.explore_ms, "soak": self._settings.soak_ms, "refute": self._settings.refute_ms
        }[load.purpose]  # fmt: skip
        if not load.pooled:
            self._pooled = []
        step = self._load(load, judged_ms, load.purpose)
        self._say(f"{describe_step(step, self._fault)}")
        return step

    def _load(self, load: WantedLoad, judged_ms: float, purpose: StepPurpose) -> LoadStep:
        spec = LoadSpec(
            rate_per_s=load.rate_per_s,
            settle_ms=self._settings.settle_ms,
            judged_ms=judged_ms,
            gates=self._gates.gates,
            fault=self._fault,
            confidence=None if load.alpha is None else 1 - load.alpha,
        )
        begun_s = self._clock_s()
        try:
            run = self._loads.run(spec, lambda at_s: self._show(self._under_way(spec, purpose, at_s)))
        except ServiceGone as exc:
            step = died(load, purpose, exc.message)
        else:
            step, evidence = step_of(run, load, purpose, self._pooled if load.pooled else ())
            step = step.model_copy(update={"wall_s": round(self._clock_s() - begun_s, 3)})
            if step.outcome != "generator":
                self._pooled.append(evidence)
        self._keep(step)
        if step.service_ended is not None:
            self._loads.renew()  # the next load starts another one
        return step

    def _under_way(self, spec: LoadSpec, purpose: StepPurpose, at_s: float) -> LoadUnderWay:
        """`at_s`: seconds since the load began."""
        over = {each: sum(step.purpose == each for step in self._steps) for each in ("explore", "soak", "refute")}
        certifying = purpose in ("soak", "refute") or over["soak"] > 0
        left_s = longest_s(
            self._settings,
            explored=EXPLORED_MOST if certifying else min(over["explore"], EXPLORED_MOST - 1),
            soaked=SOAKS_MOST if purpose == "refute" or over["refute"] else min(over["soak"], SOAKS_MOST - 1),
            refuted=min(over["refute"], REFUTED_MOST - 1),
        )
        length_s = (spec.settle_ms + spec.judged_ms) / 1000
        return LoadUnderWay(
            fault=self._fault,
            purpose=purpose,
            rate_per_s=spec.rate_per_s,
            at_s=min(at_s, length_s),
            length_s=length_s,
            certified_per_s=self._certified(),
            refuted_per_s=self._refuted(),
            curve_left_s=max(0.0, left_s - at_s, length_s - at_s),
        )

    def _certified(self) -> float | None:
        soaked = [step.rate_per_s for step in self._steps if step.purpose == "soak" and step.outcome == "held"]
        return max(soaked, default=None)

    def _refuted(self) -> float | None:
        refuted = [step.rate_per_s for step in self._steps if step.purpose == "refute" and step.outcome == "broke"]
        return min(refuted, default=None)

    def _keep(self, step: LoadStep) -> None:
        self._steps.append(step)
        RecordedStep(fault=self._fault, step=step).append(self._folder)

    def _come_back(self) -> None:
        """After a load that broke: the curve's first rate must hold again, or the service is started anew."""
        rate_per_s = return_rate(self._steps)
        if rate_per_s is None:
            return
        step = self._return(rate_per_s)
        if step.outcome == "held" or step.service_ended is not None:
            return
        self._say(f"  it does not carry {rate_per_s:g}/s any more ({step.reason}); starting the service anew")
        self._renew()
        self._return(rate_per_s)

    def _return(self, rate_per_s: float) -> LoadStep:
        """A short load at this rate; again if nothing is known of the first, since the machine was busy."""
        for _ in range(RETURNS_MOST):
            step = self._load(WantedLoad("explore", rate_per_s), self._settings.return_ms, "return")
            if step.outcome != "generator":
                break
        return step

    def _renew(self) -> None:
        self._restarts += 1
        if self._restarts > RESTARTS_MOST:
            raise RigError(
                f"the service had to be started anew more than {RESTARTS_MOST} times",
                "begin at a lower rate (--from), or look at the logs of the loads that broke",
            )
        self._loads.renew()

    def _curve(
        self, bracket: Bracket | None, ended: Exception | None, cores: float | None, capacities: dict[str, int]
    ) -> RateCurve:
        return RateCurve(
            fault=self._fault,
            certified_per_s=self._certified(),
            refuted_per_s=self._refuted(),
            at_least=bool(bracket and bracket.at_least),
            ended_by=bracket.ended_by if bracket else "interrupted" if isinstance(ended, Interrupted) else "rig",
            findings=self._findings(bracket, cores),
            would_decide=would_decide(self._steps, self._plan),
            limiter=_limiter(self._steps, cores, capacities, is_whole=bracket is not None),
            steps=tuple(self._steps),
        )

    def _findings(self, bracket: Bracket | None, cores: float | None) -> tuple[CapacityFinding, ...]:
        broke = [step for step in self._steps if step.outcome == "broke"]
        returns = [step for step in self._steps if step.purpose == "return"]
        found: dict[CapacityFinding, bool] = {
            "gates_of_faults": self._gates.borrowed,
            "metastable": ("broke", "held") in returned_twice(self._steps),
            "restarted": any(each.outcome != "held" for each in returns) or any(each.service_ended for each in broke),
            "not_monotone": bracket is not None and bracket.not_monotone,
            "undecided_rates": bracket is not None and bool(bracket.undecided),
            "no_core_left": cores is not None and any(_cores_used(step) > cores - CORE_LEFT for step in broke),
        }
        return tuple(name for name, holds in found.items() if holds)


def returned_twice(steps: Sequence[LoadStep]) -> list[tuple[str, str]]:
    """The outcomes of each two returns in a row: of the service as it was, and of the one that was started anew."""
    return [(one.outcome, two.outcome) for one, two in pairwise(steps) if one.purpose == two.purpose == "return"]


def return_rate(steps: Sequence[LoadStep]) -> float | None:
    """The rate at which the service must come back, in 1/s: the first that held, halved for each time that a service
    which was started anew did not carry it; None as long as none has held."""
    held = [step.rate_per_s for step in steps if step.outcome == "held" and step.purpose == "explore"]
    if not held:
        return None
    return held[0] / 2.0 ** returned_twice(steps).count(("broke", "broke"))


def _limiter(steps: Sequence[LoadStep], cores: float | None, capacities: dict[str, int], *, is_whole: bool) -> Limiter:
    found = limiter_of([step for step in steps if step.purpose != "return"], cores=cores, capacities=capacities)
    return found if is_whole or found.kind != "not_known" else UNFINISHED


def _cores_used(step: LoadStep) -> float:
    return (step.cpu_cores or 0.0) + (step.load_cores or 0.0)


def died(load: WantedLoad, purpose: StepPurpose, how: str) -> LoadStep:
    """The step of a load during whose start the service ended; `how`: for people."""
    return LoadStep(
        purpose=purpose, rate_per_s=load.level, run="", seconds=0, outcome="broke", reason=how, service_ended=how,
        alpha=load.alpha, n=0, completed_per_s=0, p50_ms=None, p99_ms=None, in_flight_mean=0, little=None,
        stationary=False, gates=(), cpu_cores=None, busiest_thread=None, load_cores=None, threads_most=None,
        sockets_most=None,
    )  # fmt: skip


def describe_step(step: LoadStep, fault: str | None) -> str:
    """`  azure-slow  explore  36/s  held: p99 410 ms, 12 in flight` for people."""
    p99 = "failed" if step.p99_ms is None else f"{step.p99_ms:,.0f} ms"
    what = f"p99 {p99}, {step.in_flight_mean:.1f} in flight" if step.n else "nothing arrived"
    told = "" if step.outcome == "held" else f" ({step.reason})"
    return f"  {fault or 'health':<16} {step.purpose:<8} {step.rate_per_s:>8g}/s  {step.outcome}: {what}{told}"


def read_steps(folder: Path, faults: tuple[str | None, ...]) -> dict[str | None, list[LoadStep]]:
    """The recorded steps of every curve. Raises UsageError if the folder has none, or has those of other curves."""
    try:
        lines = recorded_steps(folder)
    except (OSError, ValueError) as exc:
        raise UsageError(f"the steps in {folder} cannot be read: {exc}", "search anew") from exc
    if not lines:
        raise UsageError(
            f"{folder} holds no steps of a search", "give the directory of a `tailgate capacity` that was interrupted"
        )
    strange = [line.fault for line in lines if line.fault not in faults]
    if strange:
        raise UsageError(
            f"{folder} has a curve for {strange[0] or 'health'}, and this search has none", "give the same --fault"
        )
    return {fault: [line.step for line in lines if line.fault == fault] for fault in faults}
