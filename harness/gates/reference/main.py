"""Main's figures for a gate that compares with them, or why there are none to compare with.

They come from the run's `main.json`. A machine that was not equally fast for both runs is a reason too.
"""

from __future__ import annotations

from harness.errors import UsageError
from harness.evidence import Evidence
from harness.gates.exceedance import InconclusiveReason
from harness.gates.reference.baseline_file import MAIN, BaselineFile, FailedShare, Quantile, SuccessRate, load_baseline
from harness.gates.reference.machine import machine_difference
from harness.rundir.finding_kind import FindingKind


def main_of(run: Evidence) -> BaselineFile | InconclusiveReason:
    """The baseline file that the run was given, if its figures may be compared with those of the run."""
    path = run.run_dir / MAIN
    try:
        main = load_baseline(path)
    except UsageError as exc:
        reason = exc.message if path.exists() else "a comparison with main needs --baseline FILE"
        return InconclusiveReason(FindingKind.NO_MAIN, reason)
    if difference := machine_difference(main.machine, run.machine, ("main", "this run")):
        return InconclusiveReason(FindingKind.MAIN_UNLIKE, f"it cannot be compared with main: {difference}")
    return main


def main_quantile(run: Evidence, *, metric: str, request: str | None, phase: str) -> Quantile | InconclusiveReason:
    """Main's figure of this metric, request and phase."""
    main = main_of(run)
    if isinstance(main, InconclusiveReason):
        return main
    for one in main.quantiles:
        if (one.metric, one.request, one.phase) == (metric, request, phase):
            return one
    return _lacks(metric, request, phase)


def main_share(run: Evidence, *, metric: str, request: str | None, phase: str) -> FailedShare | InconclusiveReason:
    """Main's count of this metric, request and phase."""
    main = main_of(run)
    if isinstance(main, InconclusiveReason):
        return main
    for one in main.shares:
        if (one.metric, one.request, one.phase) == (metric, request, phase):
            return one
    return _lacks(metric, request, phase)


def main_rate(run: Evidence, *, request: str | None, phase: str) -> SuccessRate | InconclusiveReason:
    """Main's rate of successes of this request and phase."""
    main = main_of(run)
    if isinstance(main, InconclusiveReason):
        return main
    for one in main.rates:
        if (one.request, one.phase) == (request, phase):
            return one
    return _lacks("throughput", request, phase)


def _lacks(metric: str, request: str | None, phase: str) -> InconclusiveReason:
    what = f"{metric} for {request}" if request else metric
    return InconclusiveReason(FindingKind.NO_MAIN, f"the file of --baseline has no {what} of the phase {phase}")
