"""What gates on detections share: the outcome of one window or upstream, and the advice for each kind of finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.gates.gate import AdviceContext, Finding, Gate, GateDefaults, GateVerdict
from harness.gates.wording.undecided import what_would_decide
from harness.rundir.finding_kind import FindingKind

STOPPED: Final = "the run was stopped before this phase was over"
UNRECORDED: Final = "this run has no record of which upstreams the service named"
_ADVICE: Final[dict[FindingKind, str]] = {
    FindingKind.HEALTHY_NAMED: (
        "Name only the backend whose own call failed or was given up on; see logs/sut.log for why another was "
        "named. A single deadline over all calls blames every backend whose call is still open, and a line that lists "
        "all backends names all of them."
    ),
    FindingKind.NAMED_LATE: (
        "Give up on a call well before this gate's limit, and log it then; an alert needs fewer failures, or "
        "a shorter time to look at them."
    ),
    FindingKind.NAMED_BELOW_WARNING: (
        "Log that it failed at WARNING or ERROR, with a level that tailgate knows (docs/scenarios.md lists them): "
        "lines of INFO, lines without a level, and the frames and source lines of a traceback do not count."
    ),
    FindingKind.ALERT_SILENT: (
        "Correct `service.alerts`: see the service's metrics for the path, the metric's name and its labels; or "
        "log a line of WARNING or ERROR with the upstream's name whenever a call to it fails."
    ),
    FindingKind.NEVER_NAMED: (
        "Log a line of WARNING or ERROR with the upstream's name, or its address, whenever a call to it fails "
        "or is given up on, or raise an alert (`service.alerts`); logs/sut.log holds what it wrote meanwhile."
    ),
    FindingKind.STILL_IN_ALERT: (
        "Let the alert fall back when calls succeed again; one that needs calls to clear must let some through."
    ),
    FindingKind.STILL_IN_LOG: (
        "See logs/sut.log for what still failed after the fault: a breaker that stays open, dead connections "
        "in a pool, calls that were queued meanwhile."
    ),
    FindingKind.NAMED_ANYWAY: (
        "Find out why it is named when nothing is wrong (logs/sut.log): is its deadline too near its usual "
        "latency? A line about something else needs a level below WARN, or must not contain its name; the effects of "
        "an earlier fault need time to end."
    ),
    FindingKind.HEARD_TOO_SHORTLY: ("Let the fault come later: raise `load.baseline`, or the fault's `at`."),
    FindingKind.DETECTION_GAP: (
        "See notices.ndjson for what could not be read: a log that floods, or an alert that is silent."
    ),
    FindingKind.NO_SOURCE: ("Correct `service.alerts`: see the service's metrics for the metric's name and labels."),
    FindingKind.NOT_RAISED: ("First write a gate that it is named: `named UPSTREAM within 5s`."),
    FindingKind.TOO_EARLY: ("Let the load go on longer after the fault: raise `load.recovery`."),
}


@dataclass(frozen=True, slots=True)
class DetectionOutcome:
    """A gate in one window, or for one upstream. `n`: the requests that arrived in it. `after_ms`: how long after the
    fault came, or was removed, the upstream was named, or no longer named."""

    verdict: GateVerdict
    kind: FindingKind
    reason: str
    n: int = 0
    after_ms: float | None = None


class DetectionGate(GateDefaults):
    """A gate on the upstreams that the service names. It measures a time; how requests ended does not matter."""

    __slots__ = ()

    @property
    def unfit_for_one_rate(self) -> str:
        return "it is about when a fault begins and ends, and here it stands for its whole curve"

    @property
    def significance(self) -> str:
        return "The log and the alert tell the person on call which backend is broken."

    def headline(self, finding: Finding) -> str:
        return finding.reason

    def advice(self: Gate, finding: Finding, ctx: AdviceContext) -> str:
        return _ADVICE.get(finding.kind) or what_would_decide(self, finding.kind, ctx)


def worst_of(outcomes: Sequence[DetectionOutcome]) -> DetectionOutcome | None:
    """The first that failed, else the first that is inconclusive, else the slowest; None if there are none."""
    for verdict in ("fail", "inconclusive"):
        if worst := next((outcome for outcome in outcomes if outcome.verdict == verdict), None):
            return worst
    return max(outcomes, key=lambda outcome: outcome.after_ms or 0.0, default=None)


def slowest_ms(outcomes: Sequence[DetectionOutcome]) -> float | None:
    """The longest of the times; None if there are no outcomes, or one has no time."""
    times = [outcome.after_ms for outcome in outcomes if outcome.after_ms is not None]
    return max(times) if outcomes and len(times) == len(outcomes) else None
