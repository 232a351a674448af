"""Why and next for gates on whom the service names, in sentences. Decides nothing."""

from __future__ import annotations

from typing import Final

from harness.gates.detection import cleared, named
from harness.rundir.results import GateResult

WHY: Final = "The log and the alert are what tells whoever is on call which backend it is."
_FAILED: Final = {
    named.BLAMED: "Name only the backend whose own call failed or was given up on; see logs/sut.log for why another "
    "was. One deadline over all calls blames whoever is still open, and a line that lists every backend names all.",
    named.LATE: "Give up on a call well before this gate's limit, and log it then; an alert needs fewer failures, or a "
    "shorter time to look at them.",
    named.UNHEEDED: "Log that it failed at WARNING or ERROR, in a word that is known (docs/scenarios.md lists them): "
    "INFO, a line without a level, and the frames and source lines of a traceback name nobody.",
    named.MUTE: "Mend `service.alerts`: see the service's metrics for the path, the metric's name and its labels; or "
    "log a line of WARNING or ERROR with the upstream's name whenever a call to it fails.",
    named.SILENT: "Log a line of WARNING or ERROR with the upstream's name, or its address, whenever a call to it "
    "fails or is given up on, or raise an alert (`service.alerts`); logs/sut.log holds what it wrote meanwhile.",
    cleared.STILL_BY["alert"]: "Let the alert fall back when calls succeed again; one that needs calls to clear must "
    "let some through.",
    cleared.STILL_BY["log"]: "See logs/sut.log for what still failed after the fault: a breaker that stays open, dead "
    "connections in a pool, calls that were queued meanwhile.",
}
_UNDECIDED: Final = {
    named.ANYWAY: "Find out why it is named when nothing is wrong (logs/sut.log): is its deadline too near its usual "
    "latency? A line about something else needs a level below WARN, or not its name; what an earlier fault left needs "
    "time to be over.",
    named.UNHEARD: "Let the fault come later: raise `load.baseline`, or the fault's `at`.",
    named.UNREAD: "See notices.ndjson for what could not be read: a log that floods, or an alert that is silent.",
    named.NO_WITNESS: "Mend `service.alerts`: see the service's metrics for the metric's name and labels.",
    cleared.NOT_RAISED: "Ask first that it is named: `named UPSTREAM within 5s`.",
    cleared.TOO_EARLY: "Let the load go on longer after the fault: raise `load.recovery`.",
}


def is_about_naming(gate: GateResult) -> bool:
    return gate.metric == "cleared" or gate.metric.startswith("named ")


def next_failed(kind: str) -> str:
    """What to do, by the kind of the finding."""
    return _FAILED[kind]


def next_undecided(gate: GateResult, kind: str) -> str:
    """What would decide it; empty where that is not special to these gates."""
    return _UNDECIDED.get(kind, "") if is_about_naming(gate) else ""
