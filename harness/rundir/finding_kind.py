"""The kinds of findings of gates, as results.json has them (`gates[].kind`).

Code that decides something by a finding (advice, reports) reads its kind. The sentence in `reason` is for people only.
"""

from __future__ import annotations

from enum import StrEnum


class FindingKind(StrEnum):
    """The values are a contract: new ones may be added, none may change."""

    # pass or fail
    HELD = "held"
    HELD_ON_ONE_SOURCE = "held_on_one_source"
    """A PASS of a gate on detections by the log alone: the alert of the scenario never had a sample."""
    EXCEEDED = "exceeded"
    ROWS_MISSING = "rows_missing"
    """Of `complete`: answers lacked the rows of an upstream. If the answers failed only by errors, it is EXCEEDED."""
    SERVICE_ENDED = "service_ended"
    WARMUP_FAILED = "warmup_failed"
    """Of `service-answers`: every answer of the warm-up's last half was an error, so the run was stopped."""
    NOT_BACK = "not_back"
    """Of `recovery`: the service was slower than before beyond the limit, or until the load ended."""

    # inconclusive: the sample is too small or unclear
    NO_ARRIVALS = "no_arrivals"
    ABOVE_NOT_SURELY = "above_not_surely"
    """Above the limit, but perhaps by a single event."""
    TOO_FEW = "too_few"
    WINDOW_TOO_SHORT = "window_too_short"
    """Too short for the declared clump: it has too few independent moments."""
    TOO_FEW_BURSTS = "too_few_bursts"
    TOO_CLOSE = "too_close"
    """Of a mean: its bounds are on both sides of the limit."""
    TOO_EARLY = "too_early"
    """The load ended before the gate's time was over."""

    # inconclusive: something that the gate needs is missing
    STOPPED = "stopped"
    """The load was stopped before the phase was over."""
    GUARD_TOO_SHORT = "guard_too_short"
    NO_MAIN = "no_main"
    """The limit comes from the file of --baseline, which is missing or lacks the figure."""
    REFERENCE_UNSURE = "reference_unsure"
    """The figure that the gate compares with is too uncertain."""
    NO_GATEWAY = "no_gateway"
    """The limit is `gateway.timeout`, and there is no gateway."""
    ANSWERS_NOT_READ = "answers_not_read"
    """`load.complete` is none."""
    NOT_JOINED = "not_joined"
    """Too few backend calls can be tied to a request."""
    NO_CALLS = "no_calls"
    """No backend call was recorded at all."""
    BASELINE_BROKEN = "baseline_broken"
    """Of `recovery`: the baseline itself was bad, so the service cannot return to it."""
    NO_PROCESS = "no_process"
    """The service's processes do not belong to tailgate."""
    NO_BASELINE = "no_baseline"
    """Of `rss`, `threads` and `sockets`: too few readings of the service in the phase `baseline`."""
    NO_READINGS = "no_readings"
    """Too few readings of the service in the phase."""
    NOT_JUDGED = "not_judged"
    """Judging the gate raised an exception."""
    ONE_WITNESS = "one_witness"
    """Only canaries show the fault: it is unknown whether the service met it."""
    RESTS_ON_LAG = "rests_on_lag"
    """The verdict changes without the seconds in which the load generator was late; another gate's FAIL does not."""

    # of gates on detections: which upstreams the service's log and alert name; fail or inconclusive
    HEALTHY_NAMED = "healthy_named"
    NAMED_LATE = "named_late"
    NAMED_BELOW_WARNING = "named_below_warning"
    """The log contained the upstream's name, but no line that counts."""
    NEVER_NAMED = "never_named"
    ALERT_SILENT = "alert_silent"
    """Never named, and the alert never had a sample at all."""
    NAMED_ANYWAY = "named_anyway"
    """Named before the fault as well."""
    HEARD_TOO_SHORTLY = "heard_too_shortly"
    """Log and alert were observed too shortly before the fault to know what they name anyway."""
    UNREAD = "unread"
    """A part of the log or of the alert could not be read."""
    NO_SOURCE = "no_source"
    """No log is read, and the alert never had a sample."""
    NOT_RECORDED = "not_recorded"
    """The run has no record of what the gate needs."""
    NOT_RAISED = "not_raised"
    """Of `cleared`: never named, so nothing could clear."""
    STILL_IN_LOG = "still_in_log"
    STILL_IN_ALERT = "still_in_alert"
    NO_WINDOW = "no_window"
    """No window of the fault lasted longer than the limit."""
