"""The loads of a frontier search: their lengths, when the fault stands, how long all of them may take. Pure.

A fault stands for the whole load and its drain, so nothing that it holds is let go early, and begins so long before the
judged part that the number of open requests can stand still in it. The fault of an outage has a baseline before it, and
after it the load goes on for as long as its recovery gate needs.
"""

from __future__ import annotations

import math
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
from harness.search.level_search import LevelScale, Outcome, search_levels
from harness.search.load_plans import FAULT_BEFORE_MS
from harness.search.stack_loads import LoadSpec
from scenarios.load import planned_peak_per_s

BASELINE_ARRIVALS: Final = 200
"""An outage's baseline has so many requests at least: recovery is judged against its p90."""
AFTER_MARGIN_MS: Final = 2_000.0
"""The load after an outage is longer than what its gate needs, which depends on how many requests came."""
AFTER_FACTOR: Final = 1.1
BESIDE_LOAD_MS: Final = 2_000.0
"""What a load takes beside its arrivals: making it ready, judging it."""
STACK_MS: Final = 15_000.0
"""Starting and ending a stack."""
WITHIN_OF_ALL: Final = 1.0
"""The brackets of a search of every upstream: a factor of two."""
_THRESHOLDS: Final = 60


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

    def longest_s(self) -> float:
        """How long the curve takes at most if no load has to be repeated and the service always comes back: the
        longest search of all services that hold up to some level."""
        first, last = math.log(self.scale.least / 2), math.log((self.scale.most or self.scale.first) * 2)
        limits = [math.exp(first + (last - first) * number / _THRESHOLDS) for number in range(_THRESHOLDS + 1)]
        return (self._ms(None, "health", "held") + max(map(self._search_ms, limits))) / 1000

    def _search_ms(self, limit: float) -> float:
        """How long the search takes with a service that holds up to this level."""
        search = search_levels(self.scale, within=self.settings.within, alpha=self.settings.alpha)
        wanted, total_ms = next(search), 0.0
        while True:
            outcome: Outcome = "held" if wanted.level <= limit else "broke"
            total_ms += self._ms(wanted.level, wanted.purpose, outcome)
            if outcome == "broke":
                total_ms += self._ms(None, "return", "held")
            try:
                wanted = search.send(outcome)
            except StopIteration:
                return total_ms

    def _ms(self, level: float | None, purpose: StepPurpose, outcome: Outcome) -> float:
        """The wall clock of one load. The requests of one that broke may be open until their callers give up."""
        open_ms = self.plan.load.drain_ms if outcome == "broke" else 0.0
        return sum(self._lengths(level, purpose)) + open_ms + BESIDE_LOAD_MS

    def _lengths(self, level: float | None, purpose: StepPurpose) -> tuple[float, float]:
        """How long a load settles and is judged, in ms. `level`: None: it has no fault."""
        settings = self.settings
        judged_ms = {"soak": settings.soak_ms, "refute": settings.refute_ms, "return": settings.return_ms}.get(
            purpose, settings.explore_ms
        )
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
