"""One load of a search, judged: how it ended, and its figures.

An explorative load is judged by the point estimate of each gate; a certificate by the gate's own decision, at the error
that it may have. In both a load that was surely not stationary broke, whatever the gates say. If that may be chance and
the gates do not break, the load is undecided; an explorative one that repeats it and is not stationary either broke.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from harness.errors import RigError
from harness.evidence import Evidence, Pool
from harness.evidence.cores import CoreSeconds
from harness.evidence.resources import ResourceSeries
from harness.gates.quantiles import quantile_bounds
from harness.rundir.finding_kind import FindingKind
from harness.rundir.rows import Outcome
from harness.rundir.searches.capacity import LoadStep, StepGate, StepOutcome, StepPurpose
from harness.search.stationary import mean_in_flight, not_stationary
from harness.search.witnesses.own_cores import has_quota
from harness.search.witnesses.refusals import refused
from harness.search.witnesses.upstream_figures import upstream_figures
from harness.statistics import Rule, nearest_rank
from harness.units import NS_PER_MS, NS_PER_S, Span
from harness.verdict import judge
from harness.verdict.gates import judge_gates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.rundir.results import Results
    from harness.search.level_search import WantedLoad
    from harness.search.stack_loads import LoadRun
    from harness.verdict.gates import GateVerdict, GateVerdicts

BUSY_WORKER: Final = 0.8
"""The share of its core from which on a load worker is no witness any more."""
LOST_MOST: Final = 0.5
"""A load that broke is a witness if fewer of its seconds than this share were taken by others."""
GENERATOR_CHECKS: Final = ("lag", "cores", "generator_cpu", "workers")
"""The checks of a run that fail where the load generator or the machine gave out."""


@dataclass(frozen=True, slots=True)
class LoadRules:
    """How a load is judged beside its gates. `steady`: a fault stands for the whole load or for none of it; else
    requests in flight rise and fall with it, which shows no queue. `excusing`: where one of these checks failed, the
    outcome is `generator`, and not a failure of the rig. `explains`: an undecided gate's own reason is given."""

    steady: bool = True
    excusing: tuple[str, ...] = GENERATOR_CHECKS
    explains: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    outcome: StepOutcome
    reason: str
    gates: tuple[StepGate, ...]
    stationary: bool
    service_ended: str | None = None
    nothing_for: str | None = None


def step_of(
    run: LoadRun, load: WantedLoad, purpose: StepPurpose, before: Sequence[Evidence], rules: LoadRules | None = None
) -> tuple[LoadStep, Evidence]:
    """The step of a load that is over, and its evidence. `before`: loads that are pooled with it.

    Raises RigError if the load cannot be judged and the load generator is not the reason.
    """
    evidence = Evidence.load(run.run_dir)
    pool = Pool((*before, evidence))
    judged = _judge(pool, evidence, load, purpose, rules or LoadRules())
    begin_ns, end_ns = _span(evidence)
    rows = evidence.samples
    inside = (rows["intended_ns"] >= begin_ns) & (rows["intended_ns"] < end_ns)
    ended = (rows["done_ns"] >= begin_ns) & (rows["done_ns"] < end_ns)
    latency_ns = evidence.latency_ns[inside]
    p99_low_ms, p99_high_ms = _p99_bounds_ms(evidence, latency_ns[np.argsort(rows["intended_ns"][inside])])
    seconds = (end_ns - begin_ns) / NS_PER_S
    readings = evidence.readings.within([Span(begin_ns, end_ns)], None)
    step = LoadStep(
        purpose=purpose,
        rate_per_s=load.rate_per_s,
        run=run.run_dir.name,
        seconds=seconds,
        outcome=judged.outcome,
        reason=judged.reason,
        alpha=load.alpha,
        n=int(inside.sum()),
        completed_per_s=float(ended.sum() / seconds),
        p50_ms=_quantile_ms(latency_ns, 0.5),
        p99_ms=_quantile_ms(latency_ns, 0.99),
        p99_low_ms=p99_low_ms,
        p99_high_ms=p99_high_ms,
        in_flight_mean=mean_in_flight(rows["intended_ns"], rows["done_ns"], begin_ns, end_ns),
        little=_little(rows["done_ns"][inside] - rows["intended_ns"][inside], seconds),
        stationary=judged.stationary,
        service_ended=judged.service_ended,
        failed_alike=_failed_alike(rows["outcome"][inside], rows["status"][inside]),
        nothing_for=judged.nothing_for if inside.any() else None,
        gates=judged.gates,
        cpu_cores=_cores(readings),
        busiest_thread=run.busiest and run.busiest.busy,
        busiest_waited=run.busiest and run.busiest.waited,
        load_cores=_load_cores(evidence, begin_ns, end_ns),
        machine_cores=_machine_cores(evidence, seconds),
        threads_most=_most(readings.threads),
        sockets_most=_most(readings.sockets),
        refused=_refused(evidence, run.run_dir, begin_ns, end_ns),
        upstreams=tuple(upstream_figures(evidence, each, begin_ns, end_ns) for each in evidence.plan.upstreams),
    )
    return step, evidence


def _judge(pool: Pool, evidence: Evidence, load: WantedLoad, purpose: StepPurpose, rules: LoadRules) -> _Judged:
    begin_ns, end_ns = _span(evidence)
    rows = evidence.samples
    unfinished = int((rows["outcome"] == Outcome.UNFINISHED).sum())
    queue = None
    if rules.steady or unfinished:
        queue = not_stationary(rows["intended_ns"], rows["done_ns"], begin_ns, end_ns, unfinished=unfinished)
    results = judge(pool)
    judged = judge_gates(pool)
    verdicts = judged.gates
    if load.alpha is not None:
        alpha_fail = load.alpha / max(len(verdicts), 1)
        findings = [one.gate.judge(pool, alpha_fail=alpha_fail) for one in verdicts]
    else:
        findings = [one.finding for one in verdicts]
    gates = tuple(
        StepGate(
            text=one.planned.text,
            observed=finding.observed,
            low=finding.low,
            high=finding.high,
            limit=finding.limit,
            unit=finding.unit,
            breaks=one.gate.breaks(finding),
            verdict=finding.verdict,
            n=finding.n,
            exceeded=finding.exceeded,
        )
        for one, finding in zip(verdicts, findings, strict=True)
    )
    ended = next((gate.reason for gate in results.gates if gate.kind == FindingKind.SERVICE_ENDED), None)
    if ended is not None:
        return _Judged("broke", ended, gates, stationary=False, service_ended=ended)
    if (full := _out_of_slots(evidence, results)) and queue is None:
        return _Judged("generator", full, gates, stationary=True)
    if not full and (broken := _rig_reason(results, rules.excusing)):
        return _Judged("generator", broken, gates, queue is None)
    nothing = next((one.finding.reason for one in verdicts if not one.finding.n), None)
    outcome, reason = _by_gates(gates, judged.gates, certifies=load.alpha is not None, is_return=purpose == "return")
    if outcome == "undecided" and rules.explains:
        reason = next((f"{reason}: {one.reason}" for one in findings if one.verdict == "inconclusive"), reason)
    if queue is not None and (queue.is_sure or outcome != "broke"):
        outcome = "broke" if queue.is_sure or load.pooled else "undecided"
        reason = f"not stationary: {queue.reason}"
    else:
        queue = None
    if outcome == "broke" and (taken := _taken_by_others(judged, evidence)):
        outcome, reason = "generator", taken
    return _Judged(outcome, reason, gates, queue is None, nothing_for=nothing)


def _taken_by_others(judged: GateVerdicts, evidence: Evidence) -> str:
    """Why a load that broke says nothing of the service: the machine was busy with something else, or the load
    generator was late, in half of its seconds or more. Empty if it was not."""
    seconds = evidence.plan.load.duration_ms / 1000
    lost = {second for second in (*judged.taken[-1].in_load, *judged.late[-1]) if 0 <= second < seconds}
    if len(lost) < LOST_MOST * seconds:
        return ""
    return f"in {len(lost)} of {seconds:.0f} seconds others took the cores, or the load generator was late"


def _out_of_slots(evidence: Evidence, results: Results) -> str:
    """Why it is unknown how the service would have taken arrivals that found no slot; empty if none is missing, or the
    gates fall or hold without them."""
    dropped = int((evidence.samples["outcome"] == Outcome.DROPPED).sum())
    if not evidence.plan.load.slots_cut or not dropped or results.verdict != "rig_failure":
        return ""
    if any(not check.ok and check.check != "counts" for check in results.validity):
        return ""
    return (
        f"{dropped:,} arrivals were not sent, since no more than {evidence.plan.load.max_in_flight:,} requests may be "
        "open at once (`load.max_in_flight`, or the open-file limit)"
    )


def _rig_reason(results: Results, excusing: tuple[str, ...]) -> str:
    """Why the load generator or the machine gave out; empty if it did not. Raises RigError for any other reason."""
    if results.verdict != "rig_failure":
        return ""
    failed = [check for check in results.validity if not check.ok]
    of_generator = [check for check in failed if check.check in excusing]
    if of_generator:
        return of_generator[0].detail
    raise RigError(results.reason, "see the directory of this load, whose evidence is kept")


def _by_gates(
    gates: tuple[StepGate, ...], verdicts: Sequence[GateVerdict], *, certifies: bool, is_return: bool
) -> tuple[StepOutcome, str]:
    """`is_return`: a load of some seconds, which may have nothing for a gate on a rare request. What the other gates
    say of the service is enough there."""
    if certifies:
        failed = [gate.text for gate in gates if gate.verdict == "fail"]
        open_ = [gate.text for gate in gates if gate.verdict == "inconclusive"]
        if failed:
            return "broke", f"`{failed[0]}` failed"
        return ("undecided", f"`{open_[0]}` is undecided") if open_ else ("held", "every gate passed")
    nothing = [one.planned.text for one in verdicts if not one.finding.n]
    if nothing and not (is_return and len(nothing) < len(verdicts)):
        return "undecided", f"nothing came that `{nothing[0]}` could judge"
    broken = [gate.text for gate in gates if gate.breaks]
    return ("broke", f"`{broken[0]}` did not hold") if broken else ("held", "every gate held")


# ---------------------------------------------------------------- figures


def _span(evidence: Evidence) -> tuple[int, int]:
    """The judged part of the load, absolute."""
    begin_ns = evidence.t0_ns
    return begin_ns, begin_ns + round(evidence.plan.load.duration_ms * NS_PER_MS)


def _refused(evidence: Evidence, run_dir: Path, begin_ns: int, end_ns: int) -> int | None:
    offset_ns = evidence.manifest.wall_offset_ns
    return refused(evidence.plan, run_dir, (begin_ns + offset_ns) / NS_PER_S, (end_ns + offset_ns) / NS_PER_S)


def _little(took_ns: NDArray[np.int64], seconds: float) -> float | None:
    """Requests in flight by Little's law: arrivals a second times the mean time that they took."""
    return float(len(took_ns) / seconds * (took_ns / NS_PER_S).mean()) if len(took_ns) else None


def _failed_alike(outcome: NDArray[np.uint8], status: NDArray[np.uint16]) -> str | None:
    """`HTTP 500` if every request was answered so; None if one was not, or if they ran out of time."""
    if not len(outcome) or (outcome != Outcome.HTTP_ERROR).any() or (status != status[0]).any():
        return None
    return f"HTTP {int(status[0])}"


def _quantile_ms(latency_ns: NDArray[np.int64], quantile: float) -> float | None:
    from harness.evidence.window import NEVER

    if not len(latency_ns):
        return None
    (value,) = nearest_rank(np.sort(latency_ns), [quantile])
    return None if value == NEVER else float(value) / NS_PER_MS


def _p99_bounds_ms(evidence: Evidence, latency_ns: NDArray[np.int64]) -> tuple[float | None, float | None]:
    """At the confidence of the load. `latency_ns`: of its requests, in order of their intended times."""
    alpha = round(1 - evidence.plan.verdict.confidence, 9)
    rule = Rule(p0=0.01, clump_s=evidence.clump_s, alpha=alpha, alpha_fail=alpha)
    bounds = quantile_bounds([latency_ns], evidence.plan.load.duration_ms / 1000, rule)
    return bounds.low_ms, bounds.high_ms


def _cores(readings: ResourceSeries) -> float | None:
    known = ~np.isnan(readings.cpu_s)
    if known.sum() < 2:
        return None
    used, times = readings.cpu_s[known], readings.t_ns[known]
    seconds = (times[-1] - times[0]) / NS_PER_S
    return float((used[-1] - used[0]) / seconds) if seconds > 0 else None


def _load_cores(evidence: Evidence, begin_ns: int, end_ns: int) -> float | None:
    names = {str(line["child"]) for line in evidence.resources if str(line.get("child", "")).startswith("locust")}
    cores = [
        _cores(ResourceSeries.of(evidence.resources, name).within([Span(begin_ns, end_ns)], None)) for name in names
    ]
    return sum(each for each in cores if each is not None) if any(each is not None for each in cores) else None


def _machine_cores(evidence: Evidence, seconds: float) -> float | None:
    """Of the judged part, which begins at t = 0 and is so long. None too where a quota allows less than the machine."""
    record = CoreSeconds.of(evidence.resources, evidence.t0_ns)
    if record is None or has_quota():
        return None
    used = (record.used_s + record.rig_used_s + record.others_s)[max(0, -record.first) :]
    inside = used[: max(0, math.floor(seconds) - max(0, record.first))]
    return float(inside.mean()) if len(inside) else None


def _most(figures: NDArray[np.float64]) -> int | None:
    known = figures[~np.isnan(figures)]
    return int(known.max()) if len(known) else None
