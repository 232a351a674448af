"""Can this run be trusted? What is the rig's fault, and never the service's, one check after the other.

Only a wrong count, a missing or damaged file, a lost child of ours, a fault not proven, a rollback not
verified, and send lag on which a FAIL would rest are the rig's. Dropped requests count against the
service: slots suffice for everything it may hold open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence.run import Evidence
from harness.rundir.manifest import SERVICE, HarnessFault
from harness.rundir.results import ValidityCheck
from harness.statistics import nearest_rank
from harness.text import split_quote
from harness.units import NS_PER_MS, NS_PER_S, format_count, format_duration, format_share, format_things
from harness.verdict.faults.proof import ProofOutcome

CHECKS: Final = ("counts", "lag", "files", "faults", "rollback", "generator_cpu", "workers")
LAG_MS: Final = 10.0
OFF_PLAN_NS: Final = NS_PER_MS


@dataclass(frozen=True, slots=True)
class RunCheck:
    """One check of one run. `fix` is empty where all is well."""

    check: str
    ok: bool
    detail: str
    fix: str = ""
    log_lines: tuple[str, ...] = ()
    """The end of a log that shows it, shortened."""
    command: str = ""
    """What the fix speaks of, to be typed into a shell."""


def rig_findings(run: Evidence, landings: tuple[ProofOutcome, ...]) -> tuple[RunCheck, ...]:
    """Every check but lag, which depends on what the gates found."""
    own = (_counts(run), _files(run), _faults(run, landings), _rollback(run), _workers(run))
    told = run.manifest.ended.rig if run.manifest.ended else ()
    merged = []
    for finding in own:
        ours = [fault for fault in told if (fault.check if fault.check in CHECKS else "workers") == finding.check]
        if ours:  # the supervisor saw it happen, and says it better than what it left behind
            merged.append(_of_supervisor(finding.check, ours))
        else:
            merged.append(finding)
    return tuple(merged)


def _of_supervisor(check: str, faults: Sequence[HarnessFault]) -> RunCheck:
    """What the supervisor has reported under one check: a sentence, and apart from it the lines of logs."""
    messages = [split_quote(fault.message) for fault in faults]
    fix, commands = split_quote(faults[0].fix)
    return RunCheck(
        check,
        False,
        "; ".join(sentence for sentence, _ in messages),
        fix,
        log_lines=tuple(line for _, lines in messages for line in lines),
        command="\n".join(commands),
    )


def _counts(run: Evidence) -> RunCheck:
    offsets = run.planned_offsets_ns
    if run.manifest.t0_ns is None:
        return RunCheck("counts", True, "no load was started")
    if offsets is None:
        return RunCheck("counts", True, f"{format_count(len(run.samples))} rows; a closed model plans no number")
    if run.stop_ns is not None:
        offsets = offsets[: int(np.searchsorted(offsets, run.stop_ns - run.t0_ns))]
    rows = run.samples[run.samples["part"] == 0] if run.has_parts else run.samples
    wanted, found = format_count(len(offsets)), format_count(len(rows))
    fix = "a worker lost rows, or two wrote the same arrival: see logs/locust-*.log"
    if len(rows) != len(offsets):
        return RunCheck("counts", False, f"{found} rows for {wanted} planned arrivals", fix)
    if len(rows) and not (rows["seq"] == np.arange(len(rows), dtype=np.uint64)).all():
        return RunCheck("counts", False, f"{found} rows, but some arrivals have none and others several", fix)
    late = np.abs(rows["intended_ns"] - run.t0_ns - offsets)
    if len(rows) and int(late.max()) > OFF_PLAN_NS:
        return RunCheck("counts", False, "rows do not stand at their planned times", "plan.json is not this run's own")
    return RunCheck("counts", True, f"all {wanted} planned arrivals have their row")


def _files(run: Evidence) -> RunCheck:
    if run.manifest.ended is None:
        return RunCheck(
            "files", False, "the run was cut short: its manifest was never finished", "run the scenario again"
        )
    if run.broken:
        return RunCheck(
            "files", False, "; ".join(run.broken), "run the scenario again; see logs/ for who was cut short"
        )
    return RunCheck("files", True, "every row file is whole")


def _faults(run: Evidence, landings: tuple[ProofOutcome, ...]) -> RunCheck:
    missing = [landing for landing in landings if landing.missing]
    if run.manifest.t0_ns is not None and missing:
        return RunCheck("faults", False, "; ".join(landing.missing for landing in missing), missing[0].fix)
    landed = sum(landing.result.landed for landing in landings)
    if not landings:
        return RunCheck("faults", True, "the scenario has none")
    notes = [landing.result.note for landing in landings if landing.result.note]
    seen = [f"{landed} of {len(landings)} seen by two witnesses"] if landed or notes else ["none was due"]
    return RunCheck("faults", True, "; ".join(seen + notes))


def _rollback(run: Evidence) -> RunCheck:
    ended = run.manifest.ended
    left = [f"`{i.fault}` on {i.upstream}" for i in run.journalled if i.requested_ns is not None and not i.verified]
    failed = {(e.fault, e.window, e.upstream) for e in run.entries if e.event == "failed"}
    left_over = [i for i in run.journalled if i.requested_ns and not i.verified and i.applied_ns is not None]
    if (ended and ended.rollback_verified is False) or left_over:
        what = ", ".join(left) if left else "the faults"
        return RunCheck("rollback", False, f"{what} was not verified to be removed", "run `tailgate toxiproxy sweep`")
    if not run.journalled or len(failed) == len(run.journalled):
        return RunCheck("rollback", True, "nothing was applied")
    return RunCheck("rollback", True, "every fault was removed, and seen to be gone")


def _workers(run: Evidence) -> RunCheck:
    ended = run.manifest.ended
    lost = [d for d in ended.deaths if d.child != SERVICE] if ended else []
    if lost:
        first = lost[0]
        tail = f": {first.last_line}" if first.last_line else ""
        return RunCheck(
            "workers", False, f"{first.child} ended with code {first.code}{tail}", f"see logs/{first.child}.log"
        )
    if ended and ended.reason in ("rig", "never_ready"):
        what = "the service was never ready" if ended.reason == "never_ready" else "the rig failed"
        return RunCheck("workers", False, what, "see the logs of this run")
    return RunCheck("workers", True, f"{format_things(run.plan.load.workers, 'load worker')} ran to the end")


# ---------------------------------------------------------------- send lag


def lag_limit_ms(latency_limits_ms: list[float]) -> float:
    """The most a second's p99 send lag may be: 10 ms, or 1 % of the smallest latency limit if that is more."""
    return max(LAG_MS, min(latency_limits_ms, default=0.0) / 100)


def send_lag_ns(run: Evidence) -> NDArray[np.int64]:
    lag: NDArray[np.int64] = run.samples["sent_ns"] - run.intended_ns
    return lag[run.samples["part"] == 0] if run.has_parts else lag


def bad_seconds(run: Evidence, limit_ms: float) -> frozenset[int]:
    """The seconds from t = 0 (warm-up negative) whose p99 send lag is above the limit."""
    lag = send_lag_ns(run)
    late = lag > limit_ms * NS_PER_MS
    if not late.any():
        return frozenset()
    intended = run.intended_ns[run.samples["part"] == 0] if run.has_parts else run.intended_ns
    second = (intended - run.t0_ns) // NS_PER_S
    first = int(second[0])
    arrivals = np.bincount(second - first)
    too_late = np.bincount((second - first)[late], minlength=len(arrivals))
    # p99 by nearest rank is above the limit iff fewer than that rank are at or below it
    rank = np.ceil(np.round(0.99 * arrivals, 6))
    return frozenset(int(index) + first for index in np.flatnonzero(arrivals - too_late < rank))


def lag_finding(run: Evidence, limit_ms: float, bad: frozenset[int], undone: list[str]) -> RunCheck:
    """`undone`: what gates whose verdict rests on the bad seconds do without them."""
    lag = send_lag_ns(run)
    if not len(lag):
        return RunCheck("lag", True, "nothing was sent")
    p99_ms = max(0, int(nearest_rank(lag, [0.99])[0])) / NS_PER_MS
    told = f"p99 {format_duration(p99_ms)}, {format_things(len(bad), 'second')} above {format_duration(limit_ms)}"
    if undone:
        return RunCheck(
            "lag",
            False,
            f"the load generator was late ({told}), and without those seconds {undone[0]}",
            "free the machine, lower the rate, or add --workers; then run again",
        )
    return RunCheck("lag", True, told if not bad else f"{told}; no verdict rests on them")


def generator_cpu(run: Evidence, resources: Sequence[Mapping[str, object]], *, lag_ok: bool) -> RunCheck:
    """How busy the busiest worker was. Told, and blamed only together with send lag."""
    busiest = max((_cpu_share(resources, f"locust-{i}") for i in range(run.plan.load.workers)), default=None, key=_zero)
    if busiest is None:
        return RunCheck("generator_cpu", True, "not measured")
    detail = f"the busiest load worker used {format_share(busiest)} of a core"
    return RunCheck("generator_cpu", lag_ok or busiest < 0.9, detail, "add --workers")


def _zero(share: float | None) -> float:
    return -1.0 if share is None else share


def _cpu_share(resources: Sequence[Mapping[str, object]], child: str) -> float | None:
    points = [
        (t_ns, cpu_s)
        for line in resources
        if line.get("child") == child
        and isinstance(t_ns := line.get("t_ns"), int)
        and isinstance(cpu_s := line.get("cpu_s"), int | float)
    ]
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    return (points[-1][1] - points[0][1]) / ((points[-1][0] - points[0][0]) / NS_PER_S)


def as_check(finding: RunCheck) -> ValidityCheck:
    return ValidityCheck.model_validate({"check": finding.check, "ok": finding.ok, "detail": finding.detail})
