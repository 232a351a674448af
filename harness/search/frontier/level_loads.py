"""The loads of a frontier search: their lengths, when the fault stands, how long all of them may take. Pure.

A fault stands for the whole load and its drain, so nothing that it holds is let go early, and begins so long before the
judged part that the number of open requests can stand still in it. The fault of an outage has a baseline before it, and
after it the load goes on for as long as its recovery gate needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.gates.parse import parse_gate
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow
from harness.rundir.searches.capacity import StepPurpose
from harness.scenario.planner import LoadedCell
from harness.scenario.planning.compile import CheckedScenario
from harness.search.frontier.gates import LevelGates
from harness.search.frontier.kinds import waited_ms
from harness.search.frontier.upstream_faults import FrontierTarget, planned_fault
from harness.search.level_search import LevelScale
from harness.search.load_plans import FAULT_BEFORE_MS
from harness.search.search_times import SearchTimes
from harness.search.stack_loads import LoadSpec
from scenarios.load import planned_peak_per_s

BASELINE_ARRIVALS: Final = 200
"""An outage's baseline has so many requests at least: recovery is judged against its p90."""
AFTER_MARGIN_MS: Final = 2_000.0
"""The load after an outage is longer than what its gate needs, which depends on how many requests came."""
AFTER_FACTOR: Final = 1.1
WITHIN_OF_ALL: Final = 1.0
"""The brackets of a search of every upstream: a factor of two."""


@dataclass(frozen=True, slots=True)
class FrontierSettings:
    """What the user asked for. Lengths in ms; `within`: how wide each bracket may be (1.0 is a factor of two)."""

    within: float
    refute_ms: float
    soak_ms: float
    alpha: float
    settle_ms: float = 5_000.0
    explore_ms: float = 12_000.0
    return_ms: float = 4_000.0
    baseline_ms: float = 10_000.0

    @classmethod
    def of_all(cls, cell: LoadedCell) -> FrontierSettings:
        """What a search of every upstream does if nothing else is asked for."""
        alpha = round(1 - cell.loaded.scenario.verdict.confidence, 9)
        return cls(within=WITHIN_OF_ALL, refute_ms=60_000.0, soak_ms=120_000.0, alpha=alpha)


@dataclass(frozen=True, slots=True)
class LevelLoads:
    """How the loads of one curve are made. `plan`: the scenario's own, whose ports may be invented."""

    checked: CheckedScenario
    plan: Plan
    target: FrontierTarget
    gates: LevelGates
    scale: LevelScale
    settings: FrontierSettings

    @property
    def rate_per_s(self) -> float:
        """The scenario's highest rate."""
        return planned_peak_per_s(self.plan.load)

    @property
    def can_restart(self) -> bool:
        """Whether the service is one that tailgate starts."""
        return self.plan.service.kind != "url"

    @property
    def is_outage(self) -> bool:
        return self.target.kind == "outage"

    def without_fault(self, purpose: StepPurpose) -> LoadSpec:
        """A load that shows that the service is well."""
        settle_ms, judged_ms = self._lengths(None, purpose)
        return LoadSpec(self.rate_per_s, settle_ms, judged_ms, self.gates.healthy)

    def at(self, level: float, purpose: StepPurpose, confidence: float | None) -> LoadSpec:
        """The load with the fault at this level. Raises UsageError if the upstream cannot have it."""
        settle_ms, judged_ms = self._lengths(level, purpose)
        if self.is_outage:
            window = FaultWindow(apply_ms=self._outage_ms, remove_ms=self._outage_ms + level)
        else:
            before_ms = self._waited_ms(level) + min(FAULT_BEFORE_MS, self.settings.settle_ms / 2)
            window = FaultWindow(apply_ms=-before_ms, remove_ms=judged_ms + self.plan.load.drain_ms)
        return LoadSpec(
            self.rate_per_s,
            settle_ms,
            judged_ms,
            self.gates.broken,
            confidence=confidence,
            placed=(planned_fault(self.checked, self.target, level, window),),
            guard_ms=self.plan.guard_ms if self.is_outage else 0.0,
        )

    @property
    def times(self) -> SearchTimes:
        """How long the curve takes. Requests of a load that broke may be open until their callers give up."""
        return SearchTimes(
            self.scale,
            within=self.settings.within,
            alpha=self.settings.alpha,
            sent_ms=lambda load: sum(self._lengths(load.level, load.purpose)),
            open_ms=lambda _load, _limit: self.plan.load.drain_ms,
            drain_ms=self.plan.load.drain_ms,
            return_ms=sum(self._lengths(None, "return")),
            health_ms=sum(self._lengths(None, "health")),
            returns_after=("broke", "undecided", "generator"),  # a load that says nothing may have broken it as well
            returns_at_once=True,
        )

    def _lengths(self, level: float | None, purpose: StepPurpose) -> tuple[float, float]:
        """How long a load settles and is judged, in ms. `level`: None: it has no fault."""
        settings = self.settings
        judged_ms = {"soak": settings.soak_ms, "refute": settings.refute_ms}.get(purpose, settings.explore_ms)
        if purpose == "return":  # as long as a gate on readings needs
            needed_ms = max(parse_gate(gate.text).window_needed_ms() for gate in self.gates.healthy)
            judged_ms = max(settings.return_ms, needed_ms)
        if level is None:
            return settings.settle_ms, judged_ms
        if self.is_outage:
            return settings.settle_ms, self._outage_ms + level + self._after_ms
        return settings.settle_ms + self._waited_ms(level), judged_ms

    def _waited_ms(self, level: float) -> float:
        return waited_ms(self.target.kind, level, self.plan.gateway.timeout_ms or self.plan.load.client_cap_ms)

    @property
    def _outage_ms(self) -> float:
        """When an outage begins."""
        return max(self.settings.baseline_ms, 1000 * BASELINE_ARRIVALS / self.rate_per_s) + self.plan.guard_ms

    @property
    def _after_ms(self) -> float:
        (gate,) = self.gates.broken
        return parse_gate(gate.text).load_needed_after_ms(self.rate_per_s) * AFTER_FACTOR + AFTER_MARGIN_MS
