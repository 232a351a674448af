"""The validity checks: can this run be trusted? A check that fails makes the run a rig failure.

Only these are the harness's fault and not the service's: a wrong number of rows, a missing or damaged file, a child
process of the harness that died, a fault that was not proven, a rollback that was not verified, and a verdict that
changes without the seconds in which the load generator was late or others took the cores. Dropped requests count
against the service, because there are enough slots for everything that it may hold open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.evidence.joining.row_table import blocks
from harness.evidence.run import Evidence
from harness.rundir.judged.fault_results import unmet_notes
from harness.rundir.manifest import SERVICE, HarnessFault, part_of, part_of_upstream
from harness.rundir.results import ValidityCheck
from harness.text import split_quote
from harness.units import NS_PER_MS, NS_PER_S, format_count, format_duration, format_share, format_things
from harness.verdict.faults.proof import ProofOutcome

CHECKS: Final = ("counts", "lag", "cores", "files", "faults", "rollback", "generator_cpu", "workers")
UNPROVEN_MOST: Final = 3
"""So many faults are described that were not proven; the others are counted."""
OFF_PLAN_NS: Final = NS_PER_MS
"""The intended time in a row may differ from the planned one by this much."""


@dataclass(frozen=True, slots=True)
class RunCheck:
    """One check of one run. `detail`: what was found; `fix`: what to do if the check failed."""

    check: str
    ok: bool
    detail: str
    fix: str = ""
    log_lines: tuple[str, ...] = ()
    """The last lines of the log that shows the failure, shortened."""
    command: str = ""
    """The shell command that `fix` mentions; empty if it mentions none."""
    part: str = ""
    """What failed, for people: `upstream cache`, `gateway`; empty: the check's name says it."""


def rig_findings(run: Evidence, proofs: tuple[ProofOutcome, ...]) -> tuple[RunCheck, ...]:
    """Every check but `lag`, `cores` and `generator_cpu`, which depend on what the gates found."""
    own = (_counts(run), _files(run), _faults(run, proofs), _rollback(run), _workers(run))
    reported = run.manifest.ended.rig if run.manifest.ended else ()
    merged = []
    for finding in own:
        same = [fault for fault in reported if (fault.check if fault.check in CHECKS else "workers") == finding.check]
        if same:  # the supervisor saw it happen, so its report says more than the files do
            merged.append(_of_supervisor(finding.check, same))
        else:
            merged.append(finding)
    return tuple(merged)


def _of_supervisor(check: str, faults: Sequence[HarnessFault]) -> RunCheck:
    """One check from the faults that the supervisor reported under it, with log lines and commands kept apart from the
    sentences."""
    messages = [split_quote(fault.message) for fault in faults]
    fix, commands = split_quote(faults[0].fix)
    return RunCheck(
        check,
        False,
        "; ".join(sentence for sentence, _ in messages),
        fix,
        log_lines=tuple(line for _, lines in messages for line in lines),
        command="\n".join(commands),
        part=faults[0].part,
    )


def _counts(run: Evidence) -> RunCheck:
    if run.manifest.t0_ns is None:
        return RunCheck("counts", True, "no load was started")
    planned = run.draw_plan()  # not kept: only gates of a stopped run need it again
    if planned is None:
        return RunCheck("counts", True, f"{format_count(len(run.samples))} rows; a closed model plans no number")
    offsets = np.asarray(planned.at_ns)
    rows = run.samples[run.samples["part"] == 0] if run.has_parts else run.samples
    if run.stop_ns is not None:
        offsets = offsets[: int(np.searchsorted(offsets, run.stop_ns - run.t0_ns - run.clock_drift_ns))]
    if run.clocks:  # two workers' clocks may disagree on which of two arrivals was first, and on the last one
        rows = rows[np.argsort(rows["seq"], kind="stable")]
        rows = rows if run.stop_ns is None else rows[rows["seq"] < len(offsets)]
    wanted, found = format_count(len(offsets)), format_count(len(rows))
    fix = "a worker lost rows, or two wrote the same arrival: see logs/locust-*.log"
    if len(rows) != len(offsets):
        return RunCheck("counts", False, f"{found} rows for {wanted} planned arrivals", fix)
    off_plan_ns = 0
    for block in blocks(len(rows)):
        own = rows[block]
        if not (own["seq"] == np.arange(block.start, block.stop, dtype=np.uint64)).all():
            return RunCheck("counts", False, f"{found} rows, but some arrivals have none and others several", fix)
        off_plan_ns = max(off_plan_ns, int(np.abs(own["intended_ns"] - run.t0_ns - offsets[block]).max()))
    if off_plan_ns > OFF_PLAN_NS + run.clock_drift_ns:
        problem = "the intended times in the rows are not their planned times"
        return RunCheck("counts", False, problem, "plan.json may belong to another run")
    return RunCheck("counts", True, f"all {wanted} planned arrivals have their row")


def _files(run: Evidence) -> RunCheck:
    if run.manifest.ended is None:
        return RunCheck(
            "files", False, "the run was cut short: its manifest was never finished", "run the scenario again"
        )
    if run.broken:
        return RunCheck(
            "files", False, "; ".join(run.broken), "run the scenario again; see logs/ for which process was cut short"
        )
    return RunCheck("files", True, "every row file is whole")


def _faults(run: Evidence, proofs: tuple[ProofOutcome, ...]) -> RunCheck:
    missing = [proof for proof in proofs if proof.missing]
    if run.manifest.t0_ns is not None and missing:
        return RunCheck("faults", False, _some([proof.missing for proof in missing]), missing[0].fix)
    if late := _not_back(run):
        what = f"{', '.join(late)} did not get ready again before the load ended, so what followed is not its recovery"
        return RunCheck(
            "faults", False, what, "give it longer: write a larger load.recovery", part=part_of_upstream(late[0])
        )
    landed = sum(proof.result.landed for proof in proofs)
    if not proofs:
        return RunCheck("faults", True, "the scenario has none")
    notes = list(unmet_notes(proof.result for proof in proofs))
    summary = [f"{landed} of {len(proofs)} proven by canaries and by calls"] if landed or notes else ["none was due"]
    return RunCheck("faults", True, "; ".join(summary + notes))


def _not_back(run: Evidence) -> list[str]:
    """The upstreams whose process a fault had ended or stopped, and that never got ready again in a run that was not
    cut short."""
    ended = run.manifest.ended
    if ended is None or ended.reason != "done":
        return []
    faults = {fault.name for fault in run.plan.faults if fault.process and not fault.on_service}
    late = (each for each in run.journalled if each.fault in faults and each.removing_ns and each.ready_ns is None)
    return list(dict.fromkeys(each.upstream for each in late))


def _some(problems: Sequence[str]) -> str:
    """The problems of the first UNPROVEN_MOST faults, and how many others there are."""
    more = [f"and so for {len(problems) - UNPROVEN_MOST} more"] if len(problems) > UNPROVEN_MOST else []
    return "; ".join([*problems[:UNPROVEN_MOST], *more])


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
    return RunCheck("rollback", True, "every fault was removed, and its removal verified")


def _workers(run: Evidence) -> RunCheck:
    ended = run.manifest.ended
    lost = [d for d in ended.deaths if d.child != SERVICE] if ended else []
    if lost:
        first = lost[0]
        tail = f": {first.last_line}" if first.last_line else ""
        return RunCheck(
            "workers",
            False,
            f"{first.child} ended with code {first.code}{tail}",
            f"see logs/{first.child}.log",
            part=part_of(first.child),
        )
    if ended and ended.reason in ("rig", "never_ready"):
        what = "the service was never ready" if ended.reason == "never_ready" else "the rig failed"
        return RunCheck("workers", False, what, "see the logs of this run")
    detail = f"{format_things(run.plan.load.workers, 'load worker')} ran to the end"
    if run.clocks:
        known = format_duration(run.clock_uncertainty_ns / NS_PER_MS)
        detail += f" on other machines, whose clocks are known to {known}"
    return RunCheck("workers", True, detail)


def generator_cpu(run: Evidence, resources: Sequence[Mapping[str, object]], *, lag_ok: bool) -> RunCheck:
    """How busy the busiest load worker was. Reported always; the check fails only if send lag failed as well."""
    shares = [_cpu_share(resources, f"locust-{index}") for index in range(run.plan.load.workers)]
    busiest = max((share for share in shares if share is not None), default=None)
    if busiest is None:
        return RunCheck("generator_cpu", True, "not measured")
    detail = f"the busiest load worker used {format_share(busiest)} of a core"
    fix = "start more workers, and raise --expect-workers" if run.plan.load.remote else "add --workers"
    return RunCheck("generator_cpu", lag_ok or busiest < 0.9, detail, fix)


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
    """The check's entry in results.json."""
    return ValidityCheck.model_validate(
        {"check": finding.check, "ok": finding.ok, "detail": finding.detail, "part": finding.part}
    )
