"""What differs between a search over rates and one over the levels of a fault, for the driver that runs both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from harness.rundir.searches.capacity import LoadStep, StepPurpose, StepRecord
from harness.search.level_search import WantedLoad
from harness.search.search_times import SearchTimes

if TYPE_CHECKING:
    from harness.evidence import Evidence
    from harness.search.stack_loads import LoadRun, LoadSpec

Step = TypeVar("Step", bound=LoadStep)
_WHOLE_FROM: Final = 100.0


class CurveRules(Protocol[Step]):
    """A `WantedLoad` of level 0 has no fault."""

    @property
    def curve(self) -> str:
        """Its name, for people."""

    @property
    def times(self) -> SearchTimes:
        """The scale, how wide the bracket may be, the error; how long loads take, and after which it must come back."""

    @property
    def health_load(self) -> WantedLoad | None:
        """The load that must hold before the search; None: there is none."""

    def spec(self, load: WantedLoad, purpose: StepPurpose) -> LoadSpec:
        """The load to run."""

    def judged(
        self, run: LoadRun, load: WantedLoad, purpose: StepPurpose, before: Sequence[Evidence]
    ) -> tuple[Step, Evidence]:
        """The step of a load that is over, pooled with those before. Raises RigError if it cannot be judged."""

    def died(self, load: WantedLoad, purpose: StepPurpose, how: str) -> Step:
        """The step of a load during whose start the service ended."""

    def return_load(self, steps: Sequence[Step]) -> WantedLoad | None:
        """The load that shows that the service came back; None: it has carried none."""

    def is_hopeless(self, steps: Sequence[Step]) -> bool:
        """Whether no further load could change what these showed."""

    def seen(self, step: Step) -> str:
        """What the service did, for people; empty: as in every search."""

    def level_text(self, level: float) -> str:
        """A level with its unit."""

    def record(self, step: Step) -> StepRecord:
        """The line of steps.ndjson."""


def describe_step(step: Step, rules: CurveRules[Step]) -> str:
    """`  azure-slow       explore        36/s  held: p99 410 ms, 12.0 in flight` for people."""
    load = f"{rules.curve:<16} {step.purpose:<8} {rules.level_text(step.searched_level):>10}"
    if step.outcome == "generator":
        return f"  {load}  says nothing: {step.reason}"
    p99 = "failed" if step.p99_ms is None else f"{step.p99_ms:,.0f} ms"
    in_flight = f"{step.in_flight_mean:,.{0 if step.in_flight_mean >= _WHOLE_FROM else 1}f}"
    seen = f"p99 {p99}, {in_flight} in flight" if step.n else "nothing arrived"
    reason = "" if step.outcome == "held" else f" ({step.reason})"
    return f"  {load}  {step.outcome}: {rules.seen(step) or seen}{reason}"
