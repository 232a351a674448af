"""capacity.json: what rate the service carries, in health and with each fault on, and what stops it."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import append_line, read_ndjson
from harness.rundir.results import Machine, ScenarioRef, Tool

FILE = "capacity.json"
"""Its name, in the directory of the search."""
STEPS = "steps.ndjson"
"""The steps of a search, a line each, written as soon as each is over."""

CapacityVerdict = Literal["pass", "fail", "inconclusive", "rig_failure"]
LimiterKind = Literal[
    "cpu",
    "one_thread",
    "threads",
    "sockets",
    "upstream_calls",
    "upstream_capacity",
    "upstream_slower",
    "gateway_refusals",
    "service_ended",
    "not_known",
]
CapacityFinding = Literal[
    "not_monotone", "metastable", "restarted", "undecided_rates", "no_core_left", "gates_of_faults"
]
FINDINGS: Final[dict[CapacityFinding, str]] = {
    "not_monotone": "a rate failed below one that passed: what it carries depends on more than the rate",
    "metastable": "after a load that broke it did not carry the first rate any more (metastable)",
    "restarted": "it was started anew on the way",
    "undecided_rates": "at some rates neither an answer nor its repetition was decided",
    "no_core_left": "no core was left idle where it broke: the answer is that of this machine",
    "gates_of_faults": "it is judged by the gates of another phase, since none is written for this one",
}
"""What each says, for people."""

StepPurpose = Literal["explore", "soak", "refute", "return", "health"]
"""`return`: after a load that broke, whether the service is as it was before. `health`: before a search over the levels
of a fault, whether the gates hold without it."""
CurveEnd = Literal["bracket", "to", "generator", "nothing_holds", "undecided", "interrupted", "rig"]
"""`bracket`: it has both answers. `to`, `generator`: nothing broke up to the highest rate, or up to where the load
generator gave out."""
StepOutcome = Literal["held", "broke", "undecided", "generator"]
"""`generator`: the load generator or the machine gave out first."""


class StepGate(Frozen):
    """A gate at one step: what was observed and the limit, in its own unit. null: infinite or unknown."""

    text: str
    observed: float | None
    low: float | None
    high: float | None
    limit: float | None
    unit: str
    breaks: bool
    """By the point estimate, whether or not that is sure."""
    verdict: Literal["pass", "fail", "inconclusive"]
    n: int = 0
    """How many requests or readings were judged."""
    exceeded: int | None = None
    """How many of them count against the gate; null: it is not decided by a share."""


class StepUpstream(Frozen):
    """What the service asked of one upstream during a step. null: its calls are not recorded.

    `in_flight`: calls that are with the upstream. `open`: those that the service has open, with the time for which a
    fault delays them; null: too few. `connections`: of the service to the upstream; null: they are counted only where a
    fault of the load acts on it.
    """

    name: str
    calls_per_s: float | None
    p50_ms: float | None
    in_flight_mean: float | None
    in_flight_most: int | None
    open_mean: float | None = None
    open_most: int | None = None
    open_limit: int | None = None
    """The number that fits best as their limit."""
    refill_ratio: float | None = None
    """How closely calls begin as others end, if that is the limit: about 1 or more without any, near 0 at one."""
    connections_mean: float | None = None
    connections_most: int | None = None


class LoadStep(Frozen):
    """One load. `run`: the name of its run directory below that of the search."""

    purpose: StepPurpose
    rate_per_s: float
    run: str
    seconds: float
    outcome: StepOutcome
    reason: str
    alpha: float | None
    n: int
    completed_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    """null: the request at that rank failed, or none came."""
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None
    """The bounds of p99 at the confidence of the load; null: infinite, or the load is too short for a bound."""
    in_flight_mean: float
    little: float | None
    """Little's law: arrivals a second times the mean latency of what ended; in_flight_mean is near it if the load was
    stationary."""
    stationary: bool
    gates: tuple[StepGate, ...]
    cpu_cores: float | None
    """Cores that the service used on average."""
    busiest_thread: float | None
    """Share of a core that its busiest thread used; the threads of an interpreter with a global lock count as one."""
    busiest_waited: float | None = None
    """Share of the load in which that thread could run and had no core."""
    load_cores: float | None
    """Cores that the load generator used on average."""
    machine_cores: float | None = None
    """Cores of this machine that were in use on average: by the service, by all other processes of the run (load
    generator, gateway, Toxiproxy, fakes), and by others. null: not known."""
    threads_most: int | None
    sockets_most: int | None
    refused: int | None = None
    """Requests for which no connection to the service was made within a second: by the gateway's log, or by the load
    generator where there is no gateway. null: nobody saw that."""
    upstreams: tuple[StepUpstream, ...] = ()
    service_ended: str | None = None
    """How the service ended during the load, for people; null: it did not."""
    failed_alike: str | None = None
    """How every judged request failed at once, which no rate explains: `HTTP 500`. null: they did not."""
    nothing_for: str | None = None
    """Why a gate had nothing to judge although requests came, for people; null: every gate had something."""
    wall_s: float | None = None
    """Wall clock of the load with its settling, its drain and its judging, and the start of the stack before the first.
    """

    @property
    def searched_level(self) -> float:
        """What the search of its curve changes from load to load."""
        return self.rate_per_s


CurveKey = tuple[str | None, ...]
"""What tells the curves of a search apart: the fault, or the upstream and the kind."""


class StepRecord(Frozen):
    """A line of steps.ndjson."""

    @property
    @abstractmethod
    def curve(self) -> CurveKey:
        """The curve that the step is of."""

    def append(self, folder: Path) -> None:
        """Raises OSError."""
        append_line(folder / STEPS, self.model_dump_json(), type(self).model_validate_json)


class RecordedStep(StepRecord):
    """A step of the curve of `fault`; null: of health."""

    fault: str | None
    step: LoadStep

    @property
    def curve(self) -> CurveKey:
        return (self.fault,)


def recorded_steps(folder: Path) -> list[RecordedStep]:
    """In the order in which they ended; none if there is no such file. Raises ValueError if it is damaged, OSError if
    it cannot be read."""
    return list(read_ndjson(folder / STEPS, RecordedStep.model_validate_json, "a step"))


class Limiter(Frozen):
    """What stopped the service, by a witness outside it. `witness`: a sentence; `figures`: what it rests on."""

    kind: LimiterKind
    witness: str
    figures: dict[str, float] = {}


class RateCurve(Frozen):
    """The answer for health (`fault` null) or with one fault on. Rates are in requests a second.

    `certified_per_s`: the highest rate that passed a soak. `refuted_per_s`: the lowest that was shown to fail. What is
    between them is unknown. `at_least`: nothing failed up to there, so the service may carry more.
    """

    fault: str | None
    certified_per_s: float | None
    refuted_per_s: float | None
    at_least: bool
    ended_by: CurveEnd
    findings: tuple[CapacityFinding, ...] = ()
    limiter: Limiter
    would_decide: str = ""
    """A sentence where a certificate is missing: what would decide it, where and why the load generator gave out, or
    why no rate could change anything."""
    steps: tuple[LoadStep, ...]


class CurveReplicas(Frozen):
    """How many replicas carry the target with this fault on (null: in health). `replicas` null: no rate is known."""

    fault: str | None
    certified_per_s: float | None
    replicas: int | None
    at_most: bool
    """Whether fewer may do, since the service may carry more than was certified."""


class ReplicaPlan(Frozen):
    """How many replicas carry `target_per_s` while one of them is gone."""

    target_per_s: float
    assumption: str
    sentence: str
    curves: tuple[CurveReplicas, ...]


class CapacityResults(Frozen):
    """The whole document. `sentence`: the answer for people. `not_judged`: gates that a search cannot judge, with the
    reason."""

    schema_version: Literal[1] = 1
    kind: Literal["capacity"] = "capacity"
    tool: Tool
    verdict: CapacityVerdict
    exit_code: int
    interrupted: bool
    scenario: ScenarioRef
    machine: Machine
    confidence: float
    within: float
    sentence: str
    compared: str = ""
    """What the comparison with a baseline said; empty without one."""
    not_judged: dict[str, str]
    not_begun: tuple[str, ...] = ()
    """The curves that were asked for and not begun, since the search ended early: the fault, or `health`."""
    replicas: ReplicaPlan | None = None
    """null: no target was asked for."""
    curves: tuple[RateCurve, ...]
