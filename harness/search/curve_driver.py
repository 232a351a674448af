"""Runs the search of one curve on a stack that others share: load after load, each judged and written down.

`harness.search.level_search` says which load comes next. Each step is appended to `steps.ndjson` before the next load
begins, so a search that was interrupted keeps what it has certified and is taken up again: the recorded steps are
answers as those of new loads are. `harness.search.curve_rules` is what differs between the kinds of search.

After a load that may have harmed the service it must come back: a load that it carried before is tried. If that one
does not hold, the service is started anew and it is tried again. One that broke is started anew at most `RESTARTS_MOST`
times for a curve in one call; one that ended, or of which nothing is known, as often as that happens. A service that
tailgate did not start ends the search, and whoever takes that up has brought it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic

from harness.errors import Interrupted, RigError, ServiceGone, UsageError
from harness.evidence import Evidence
from harness.rundir.searches.capacity import LoadStep, StepOutcome, StepPurpose
from harness.search.curve_rules import CurveRules, Step, describe_step
from harness.search.level_search import Bracket, Outcome, WantedLoad, search_levels
from harness.search.search_progress import LoadUnderWay, SearchProgress, SearchState, certified_text

if TYPE_CHECKING:
    from harness.search.stack_loads import LoadSpec, StackLoads

RESTARTS_MOST: Final = 3
UNKNOWN: Final[tuple[StepOutcome, ...]] = ("generator", "undecided")
"""After these it is not known whether the service holds: the machine gave out, or chance may have done it."""


@dataclass(frozen=True, slots=True)
class SearchedCurve(Generic[Step]):
    """What a search found. `bracket`: None: it did not end, or was not begun. `ended`: the interruption or the failure
    that ended it early, if anything did. `certified`: what is certified, for people; empty if nothing is."""

    steps: tuple[Step, ...]
    bracket: Bracket | None
    ended: Exception | None
    certified: str


def search_curves(
    stack: StackLoads,
    every: Sequence[tuple[CurveRules[Step], Sequence[Step]]],
    *,
    folder: Path,
    say: Callable[[str], None],
    show: Callable[[SearchState], None],
) -> list[SearchedCurve[Step]]:
    """One curve after another, each with the steps of an earlier call; up to the one that is ended early."""
    if taken_over := sum(len(recorded) for _, recorded in every):
        say(f"{taken_over} loads of {folder.name} are taken over and not run again")
    progress = SearchProgress([rules.times.longest_ms() / 1000 for rules, _ in every], show)
    found: list[SearchedCurve[Step]] = []
    for rules, recorded in every:
        driver = CurveDriver(stack, rules, folder=folder, say=say, show=progress.update, is_first=not found)
        searched = driver.run(recorded)
        found.append(searched)
        progress.ended.append(searched.certified)
        if isinstance(searched.ended, RigError | ServiceGone):
            say(f"{searched.ended.message}\nfix: {searched.ended.fix}")
        if searched.ended is not None:
            break
        if searched.bracket is None:
            stack.renew()  # a curve that was given up may leave a service that is not well
    return found


class CurveDriver(Generic[Step]):
    """The search of one curve. `say`: a line of progress for people; `show`: the load that is under way, several times
    a second. `is_first`: no other curve was searched before."""

    def __init__(
        self,
        stack: StackLoads,
        rules: CurveRules[Step],
        *,
        folder: Path,
        say: Callable[[str], None],
        show: Callable[[LoadUnderWay], None] | None = None,
        is_first: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stack = stack
        self._rules = rules
        self._folder = folder
        self._say = say
        self._show = show
        self._is_first = is_first
        self._clock_s = clock_s
        self._steps: list[Step] = []
        self._answers: list[Outcome] = []
        self._recorded: list[Step] = []
        self._replayed = 0
        self._restarts = 0
        self._pooled: dict[str, Evidence | None] = {}
        """Of the level under way: its undecided loads by the name of their run; None: of an earlier call."""

    def run(self, recorded: Sequence[Step]) -> SearchedCurve[Step]:
        """Search the curve. `recorded`: the steps of an earlier call, whose answers are taken as they are. Raises
        UsageError if they are of another search."""
        self._recorded, self._replayed = list(recorded), len(recorded)
        bracket: Bracket | None = None
        ended: Exception | None = None
        try:
            if self._is_well():
                bracket = self._search()
        except (Interrupted, RigError, ServiceGone) as exc:
            ended = exc
        return SearchedCurve(tuple(self._steps), bracket, ended, self._certified())

    def _is_well(self) -> bool:
        """Before the search. A load that broke is run once more too: a short one may break by chance, and that the
        service is not well would be the answer."""
        load = self._rules.health_load
        return load is None or self._repeated(load, "health", (*UNKNOWN, "broke")).outcome == "held"

    def _search(self) -> Bracket | None:
        times = self._rules.times
        search = search_levels(times.scale, within=times.within, alpha=times.alpha)
        wanted = next(search)
        while not self._rules.is_hopeless(self._steps):
            outcome = self._answer(wanted)
            try:
                wanted = search.send(outcome)
            except StopIteration as stop:
                bracket: Bracket = stop.value
                return bracket
        return None

    def _answer(self, wanted: WantedLoad) -> Outcome:
        """How the load ended; after the way back from it, if it needs one."""
        if not wanted.pooled:
            self._pooled = {}
        step = self._next(wanted, wanted.purpose)
        self._answers.append(step.outcome)
        if step.outcome in self._rules.times.returns_after and step.service_ended is None:
            self._come_back()
        return step.outcome

    def _come_back(self) -> None:
        load = self._rules.return_load(self._steps)
        if load is None:
            return
        step = self._repeated(load, "return", UNKNOWN)
        if step.outcome == "held" or step.service_ended is not None:
            return
        self._renew(step, self._rules.level_text(load.level))
        step = self._repeated(load, "return", UNKNOWN)
        while not self._stack.starts_service and step.outcome != "held":
            self._renew(step, self._rules.level_text(load.level))  # goes on only if that was in an earlier call
            step = self._repeated(load, "return", UNKNOWN)

    def _renew(self, step: Step, at: str) -> None:
        """Another service, since this one did not come back in `step`, or nothing is known of that."""
        if not self._is_replayed:  # those of an earlier call were allowed by that one
            self._refuse_renewal(step, at)
        self._stack.renew()

    def _refuse_renewal(self, step: Step, at: str) -> None:
        """Raises RigError if it is not tailgate's to start anew, or was started too often."""
        broke = step.outcome == "broke"
        if not self._stack.starts_service:
            told = "did not come back" if broke else "may not have come back"
            raise RigError(
                f"the service {told} ({at}: {step.reason}), and tailgate did not start it",
                "bring it back, and go on with --resume",
            )
        self._restarts += broke
        if self._restarts > RESTARTS_MOST:
            raise RigError(
                f"the service had to be started anew more than {RESTARTS_MOST} times",
                "begin lower (--from), or look at the logs of the loads that broke",
            )
        told = "did not come back" if broke else "may not have come back"
        self._say(f"  the service {told} ({at}: {step.reason}); starting it anew")

    @property
    def _is_replayed(self) -> bool:
        """Whether the last step is one of an earlier call."""
        return len(self._steps) <= self._replayed

    def _repeated(self, load: WantedLoad, purpose: StepPurpose, again: tuple[StepOutcome, ...]) -> Step:
        """The load, once more if the first ended as one of `again`."""
        step = self._next(load, purpose)
        return self._next(load, purpose) if step.outcome in again else step

    def _next(self, load: WantedLoad, purpose: StepPurpose) -> Step:
        """The next step: the recorded one, or that of a load which is run now."""
        if self._recorded:
            step = self._recorded.pop(0)
            self._steps.append(step)
            if (step.purpose, step.searched_level) != (purpose, load.level):
                raise UsageError(
                    "the steps in the directory are those of a search with other options",
                    "give the same --from, --to and --within",
                )
            if step.outcome == "undecided" and purpose == "explore":
                self._pooled[step.run] = None
        else:
            step = self._load(load, purpose)
        if step.service_ended is not None:
            self._stack.renew()  # the next load starts another one
        return step

    def _load(self, load: WantedLoad, purpose: StepPurpose) -> Step:
        """Run a load, judge it and keep what it says. Raises RigError also where its files cannot be written or read,
        since what was certified before stays; UsageError only before anything ran."""
        try:
            return self._judged(load, purpose)
        except UsageError as exc:
            if self._is_first and not self._steps:
                raise
            raise RigError(exc.message, exc.fix) from exc
        except OSError as exc:
            raise RigError(f"the load cannot be kept: {exc}", "free some space, and go on with --resume") from exc

    def _judged(self, load: WantedLoad, purpose: StepPurpose) -> Step:
        spec, before = self._rules.spec(load, purpose), self._before(load)
        tick = self._ticker(spec, load, purpose)
        begun_s = self._clock_s()
        try:
            run = self._stack.run(spec, tick)
        except ServiceGone as exc:
            step = self._rules.died(load, purpose, exc.message)
        else:
            step, evidence = self._rules.judged(run, load, purpose, before)
            if step.outcome == "undecided" and purpose == "explore":
                self._pooled[step.run] = evidence
        step = step.model_copy(update={"wall_s": round(self._clock_s() - begun_s, 3)})
        self._steps.append(step)
        self._rules.record(step).append(self._folder)
        self._say(describe_step(step, self._rules))
        return step

    def _before(self, load: WantedLoad) -> list[Evidence]:
        """The evidence that is pooled with the load's: of recorded loads as it is in their directories."""
        found: list[Evidence] = []
        for name, kept in self._pooled.items() if load.pooled else ():
            try:
                evidence = Evidence.load(self._folder / name) if kept is None else kept
                broken = "; ".join(evidence.broken) if kept is None else ""
            except (UsageError, OSError, ValueError) as exc:
                broken = exc.message if isinstance(exc, UsageError) else str(exc)
            if broken:
                self._say(f"  {name} cannot be read, so the load that repeats it is judged without it: {broken}")
            else:
                found.append(evidence)
        return found

    def _ticker(self, spec: LoadSpec, load: WantedLoad, purpose: StepPurpose) -> Callable[[float], None]:
        """Shows the load that is under way; is called with the seconds since it began."""
        if (show := self._show) is None:
            return lambda _at_s: None
        length_s = (spec.settle_ms + spec.judged_ms) / 1000
        left_s = self._left_ms(purpose) / 1000  # takes a moment, so not while the load is sent
        fixed = LoadUnderWay(
            curve=self._rules.curve,
            purpose=purpose,
            level=self._rules.level_text(load.level),
            at_s=0.0,
            length_s=length_s,
            certified=self._certified(),
            curve_left_s=left_s,
        )
        return lambda at_s: show(
            replace(fixed, at_s=min(at_s, length_s), curve_left_s=max(0.0, left_s - at_s, length_s - at_s))
        )

    def _left_ms(self, purpose: StepPurpose) -> float:
        """How long the curve still takes at most, from the beginning of a load for this purpose on."""
        times = self._rules.times
        left_ms = times.longest_ms(None if purpose == "health" else self._answers)
        return left_ms + (times.longest_return_ms() if purpose == "return" else 0.0)

    def _certified(self) -> str:
        found = certified_level(self._steps), refuted_level(self._steps)
        certified, refuted = (None if level is None else self._rules.level_text(level) for level in found)
        return certified_text(self._rules.curve, certified, refuted)


def certified_level(steps: Sequence[LoadStep]) -> float | None:
    """The highest level whose soak passed."""
    return max((s.searched_level for s in steps if s.purpose == "soak" and s.outcome == "held"), default=None)


def refuted_level(steps: Sequence[LoadStep]) -> float | None:
    """The lowest level that was shown to fail."""
    return min((s.searched_level for s in steps if s.purpose == "refute" and s.outcome == "broke"), default=None)
