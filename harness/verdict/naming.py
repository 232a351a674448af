"""Why and next for gates on whom the service names, in sentences. Decides nothing."""

from __future__ import annotations

from typing import Final

from harness.results import GateResult

WHY: Final = "The log and the alert are what tells whoever is on call which backend it is."
_ANSWERS: Final = (
    (
        "was healthy and was named",
        "Name only the backend whose own call failed or was given up on; see logs/sut.log for why another was. One "
        "deadline over all calls blames whoever is still open, and a line that lists every backend names them all.",
    ),
    (
        "was named only",
        "Give up on a call well before this gate's limit, and log it then; an alert needs fewer failures, or a shorter "
        "time to look at them.",
    ),
    (
        "with no level that is known: ",
        "Log that it failed at WARNING or ERROR, in a word that is known (docs/scenarios.md lists them): INFO, and a "
        "line without a level, name nobody.",
    ),
    (
        "never had a sample",
        "Mend `service.alerts`: see the service's metrics for the path, the metric's name and its labels; or log a "
        "line of WARNING or ERROR with the upstream's name whenever a call to it fails.",
    ),
    (
        "was not named",
        "Log a line of WARNING or ERROR with the upstream's name, or its address, whenever a call to it fails or is "
        "given up on, or raise an alert (`service.alerts`); logs/sut.log holds what it wrote meanwhile.",
    ),
    (
        "still named by the service's alert",
        "Let the alert fall back when calls succeed again; one that needs calls to clear must let some through.",
    ),
    (
        "still named by the service's log",
        "See logs/sut.log for what still failed after the fault: a breaker that stays open, dead connections in a "
        "pool, calls that were queued meanwhile.",
    ),
)
_UNDECIDED: Final = (
    (
        "so it says nothing",
        "Find out why it is named when nothing is wrong (logs/sut.log): is its deadline too near its usual latency? A "
        "line about something else needs a level below WARN, or not its name.",
    ),
    ("nothing could clear", "Ask first that it is named: `named UPSTREAM within 5s`."),
    ("too early to tell", "Let the load go on longer after the fault: raise `load.recovery`."),
    (
        "could not be read",
        "See notices.ndjson for what could not be read: a log that floods, or an alert that is silent.",
    ),
    ("was no witness", "Mend `service.alerts`: see the service's metrics for the metric's name and labels."),
)


def is_about_naming(gate: GateResult) -> bool:
    return gate.metric == "cleared" or gate.metric.startswith("named ")


def next_failed(gate: GateResult) -> str:
    """What to do, by what was found."""
    return next((answer for found, answer in _ANSWERS if found in gate.reason), _ANSWERS[2][1])


def next_undecided(gate: GateResult) -> str:
    """What would decide it; empty where that is not special to these gates."""
    return next((answer for found, answer in _UNDECIDED if found in gate.reason), "") if is_about_naming(gate) else ""
