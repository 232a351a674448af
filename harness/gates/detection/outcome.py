"""What gates on detections share: the finding of one window or one upstream, and what to do about each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.gates.gate import AdviceContext, Finding, Gate, GateDefaults, GateVerdict
from harness.gates.wording.undecided import what_would_decide
from harness.rundir.finding_kind import FindingKind

STOPPED: Final = "the run was stopped before this phase was over"
UNRECORDED: Final = "this run recorded nothing of whom the service named"
_ADVICE: Final[dict[FindingKind, str]] = {
    FindingKind.HEALTHY_NAMED: (
        "Name only the backend whose own call failed or was given up on; see logs/sut.log for why another "
        "was. One deadline over all calls blames whoever is still open, and a line that lists every backend "
        "names all."
    ),
    FindingKind.NAMED_LATE: (
        "Give up on a call well before this gate's limit, and log it then; an alert needs fewer failures, or "
        "a shorter time to look at them."
    ),
    FindingKind.NAMED_BELOW_WARNING: (
        "Log that it failed at WARNING or ERROR, in a word that is known (docs/scenarios.md lists them): "
        "INFO, a line without a level, and the frames and source lines of a traceback name nobody."
    ),
    FindingKind.ALERT_SILENT: (
        "Mend `service.alerts`: see the service's metrics for the path, the metric's name and its labels; or "
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
        "latency? A line about something else needs a level below WARN, or not its name; what an earlier "
        "fault left needs time to be over."
    ),
    FindingKind.HEARD_TOO_SHORTLY: ("Let the fault come later: raise `load.baseline`, or the fault's `at`."),
    FindingKind.UNREAD: (
        "See notices.ndjson for what could not be read: a log that floods, or an alert that is silent."
    ),
    FindingKind.NO_SOURCE: ("Mend `service.alerts`: see the service's metrics for the metric's name and labels."),
    FindingKind.NOT_RAISED: ("Ask first that it is named: `named UPSTREAM within 5s`."),
    FindingKind.TOO_EARLY: ("Let the load go on longer after the fault: raise `load.recovery`."),
}


@dataclass(frozen=True, slots=True)
class DetectionOutcome:
    """Of one window, or of one upstream. `n`: the requests that arrived in it; `after_ms`: how late it was."""

    verdict: GateVerdict
    kind: FindingKind
    reason: str
    n: int = 0
    after_ms: float | None = None


class DetectionGate(GateDefaults):
    """Gates on the upstreams that the service names: what is seen is a time, and how requests ended says nothing."""

    __slots__ = ()

    @property
    def significance(self) -> str:
        return "The log and the alert are what tells whoever is on call which backend it is."

    def headline(self, finding: Finding) -> str:
        return finding.reason

    def advice(self: Gate, finding: Finding, ctx: AdviceContext) -> str:
        return _ADVICE.get(finding.kind) or what_would_decide(self, finding.kind, ctx)


def worst_of(outcomes: Sequence[DetectionOutcome]) -> DetectionOutcome | None:
    """The first that failed, else the first that is undecided, else the slowest; None of none."""
    for verdict in ("fail", "inconclusive"):
        if worst := next((outcome for outcome in outcomes if outcome.verdict == verdict), None):
            return worst
    return max(outcomes, key=lambda outcome: outcome.after_ms or 0.0, default=None)


def slowest_ms(outcomes: Sequence[DetectionOutcome]) -> float | None:
    """None where one of them has no time."""
    times = [outcome.after_ms for outcome in outcomes if outcome.after_ms is not None]
    return max(times) if outcomes and len(times) == len(outcomes) else None
