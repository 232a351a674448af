"""frontier.json: how slow, how broken and how long gone each upstream may be before a gate falls."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import read_ndjson
from harness.rundir.results import Machine, ScenarioRef, Tool
from harness.rundir.searches.capacity import STEPS, CurveKey, LoadStep, StepRecord

FILE = "frontier.json"
"""Its name, in the directory of the search."""

FrontierKind = Literal["latency", "errors", "hang", "outage"]
"""`latency`: every answer comes so much later. `errors`, `hang`: so large a share of the calls is answered 503, or
never. `outage`: every call hangs for so long, once, and then the service must recover."""
LevelUnit = Literal["ms", "share"]
FrontierVerdict = Literal["pass", "fail", "inconclusive", "rig_failure"]
FrontierFinding = Literal[
    "not_monotone", "metastable", "restarted", "undecided_levels", "borrowed_gates", "default_recovery", "no_core_left"
]
FINDINGS: Final[dict[FrontierFinding, str]] = {
    "not_monotone": "a level failed below one that passed: what the service stands depends on more than the level",
    "metastable": "after a load that broke it did not come back when the fault was gone (metastable)",
    "restarted": "it was started anew on the way",
    "undecided_levels": "at some levels neither an answer nor its repetition was decided",
    "borrowed_gates": "it is judged by gates that were written for something else, since none is for this upstream",
    "default_recovery": "the scenario has no recovery gate, so the limit is the time that a load goes on after a fault",
    "no_core_left": "no core was left idle where it broke: the answer is that of this machine",
}
"""What each says, for people."""
FrontierEnd = Literal["bracket", "to", "generator", "nothing_holds", "undecided", "unhealthy", "interrupted", "rig"]
"""`to`: every level held up to the end of the scale. `unhealthy`: before the search the gates did not hold without the
fault, twice."""


class FrontierStep(LoadStep):
    """One load with the fault at one level. `level`: null: without the fault (`health`, `return`). The outcome
    `generator` says nothing of the level: the machine gave out, nothing proves that the fault was there, or the service
    ended before the load began."""

    level: float | None
    fault_seen: str = ""
    """What canaries saw of the fault: `held up to 2.01 s instead of 1.2 ms`."""
    fault_met: bool | None = None
    """Whether a call of the service met the fault; null without one."""
    unmet: str | None = None
    """Why a load whose fault stood says nothing of the level, for people: `no call of the service reached azure`. null:
    it says something, or nothing for another reason."""

    @property
    def searched_level(self) -> float:
        return self.level or 0.0


class RecordedFrontierStep(StepRecord):
    """A step of the curve of this upstream and kind."""

    upstream: str
    kind: FrontierKind
    step: FrontierStep

    @property
    def curve(self) -> CurveKey:
        return (self.upstream, self.kind)


def recorded_frontier_steps(folder: Path) -> list[RecordedFrontierStep]:
    """In the order in which they ended; none if there is no such file. Raises ValueError if it is damaged, OSError if
    it cannot be read."""
    return list(read_ndjson(folder / STEPS, RecordedFrontierStep.model_validate_json, "a step"))


class FrontierCurve(Frozen):
    """The answer for one upstream and one kind of fault, in `unit` (`share`: of the calls, 1 is all of them).

    `certified`: the highest level that passed a soak. `refuted`: the lowest that was shown to fail. What is between
    them is unknown. `at_least`: nothing failed up to there, which is the end of the scale unless `ended_by` says
    otherwise. `broken_gate`: the gate that fell at the lowest level that broke; null if none did, or if it was not a
    gate that broke. `broke`: why that level broke, for people. `given_up`: why no further load would have said anything
    of a level, so that the search of the curve ended `undecided`, for people; empty if it was not given up.
    """

    upstream: str
    kind: FrontierKind
    unit: LevelUnit
    certified: float | None
    refuted: float | None
    at_least: bool
    ended_by: FrontierEnd
    findings: tuple[FrontierFinding, ...] = ()
    broken_gate: str | None
    broke: str
    given_up: str = ""
    gates: tuple[str, ...]
    """The gates that judged its loads."""
    steps: tuple[FrontierStep, ...]


class FrontierResults(Frozen):
    """The whole document. `sentence`: the answer for people. `not_judged`: gates that no load of the search can judge,
    with the reason. `not_searched`: what was asked for and cannot be done to an upstream, with the reason."""

    schema_version: Literal[1] = 1
    kind: Literal["frontier"] = "frontier"
    tool: Tool
    verdict: FrontierVerdict
    exit_code: int
    interrupted: bool
    scenario: ScenarioRef
    machine: Machine
    confidence: float
    within: float
    rate_per_s: float
    """At which every load was sent: the scenario's highest."""
    sentence: str
    not_judged: dict[str, str]
    not_searched: dict[str, str] = {}
    not_begun: tuple[str, ...] = ()
    """The curves that were asked for and not begun, since the search ended early: `azure latency`."""
    curves: tuple[FrontierCurve, ...]
