"""From evidence to results.json: gates and validity checks combined into one verdict, with its reason and advice.

The worst gate decides: FAIL before INCONCLUSIVE before PASS. Without gates the verdict is INCONCLUSIVE. A rig failure
overrides them all, because such a run says nothing about the service. A PASS needs every gate, so it needs no
correction for multiple tests; the error that a FAIL may have is divided by the number of gates. Equal evidence gives
an equal results.json, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from harness import __version__
from harness.errors import UsageError
from harness.evidence import Evidence, Pool
from harness.evidence.detections.results import false_alarms
from harness.evidence.incomplete import incomplete_answers
from harness.evidence.locustfile_notes import locustfile_notes
from harness.evidence.meetings import never_asked
from harness.evidence.origin_notes import origin_notes
from harness.evidence.unmatched import unmatched_calls
from harness.gates.reference.baseline_file import OWN
from harness.rundir.finding_kind import FindingKind
from harness.rundir.judged.fault_results import FaultResult, unmet_notes
from harness.rundir.plan import Plan
from harness.rundir.results import (
    CHECK_ORDER,
    EXIT_CODE,
    Correlation,
    CostResult,
    GateResult,
    GatewayRef,
    LoadRef,
    MatrixResults,
    PhaseResult,
    Results,
    RunRef,
    ScenarioRef,
    Tool,
    UpstreamResult,
    Verdict,
    canonical_json,
)
from harness.rundir.sessions.login_record import together
from harness.units import NS_PER_MS, format_duration
from harness.verdict import before_fault, explanations
from harness.verdict.attribution import Attribution
from harness.verdict.bad_seconds.late import lag_finding
from harness.verdict.bad_seconds.taken import cores_finding, cores_result
from harness.verdict.before_fault import AsBefore, as_before
from harness.verdict.cut_slots import drops_finding, has_cut_drops
from harness.verdict.faults.proof import excuse_blocked, one_witness_faults, prove_faults
from harness.verdict.gates import GateVerdict, GateVerdicts, clocks_unsure, judge_gates
from harness.verdict.matrix import MATRIX, combine_cells
from harness.verdict.own_baseline import own_baseline
from harness.verdict.phases import phase_results
from harness.verdict.resource_usage import cost_results
from harness.verdict.service_alive import service_alive
from harness.verdict.validity import CHECKS, RunCheck, as_check, generator_cpu, rig_findings
from harness.verdict.warmup import SERVICE_ANSWERS, WarmupFailure, failed_warmup, held_up_warmup
from scenarios.load import planned_peak_per_s

RESULTS: Final = "results.json"
UNATTRIBUTED: Final = ("warmup", "guard", "tail")
"""Phases in which requests with and without a fault are mixed, so no upstream is held responsible there."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """All that the reason, the explanation and the advice of a verdict are made from."""

    pool: Pool
    gates: tuple[GateVerdict, ...]
    """The plan's gates; `service-alive` comes last if tailgate started the service."""
    results: tuple[GateResult, ...]
    """One for each of `gates`, in the same order."""
    findings: tuple[RunCheck, ...]
    phases: tuple[PhaseResult, ...]
    upstreams: tuple[UpstreamResult, ...]
    cost: tuple[CostResult, ...]
    unmet: tuple[str, ...]
    """The notes on the faults that the service did not meet, or perhaps did not."""
    hidden: tuple[str, ...]
    """Those of `unmet` on faults that it surely did not meet."""
    before: Mapping[str, AsBefore]
    """The failed gates, by id, that were no better before any fault."""
    warmup: WarmupFailure | None
    """Why the run was stopped after its warm-up; None if it was not."""


def judge(evidence: Evidence | Pool) -> Results:
    """The results of one run, or of several runs of the same scenario pooled."""
    pool = evidence if isinstance(evidence, Pool) else Pool.of(evidence)
    return _results(pool, judge_gates(pool))


def _results(pool: Pool, gates: GateVerdicts) -> Results:
    gates = gates.undecided(one_witness_faults(pool)).without_phases(clocks_unsure(pool))
    alive, (warmup, gates) = service_alive(pool), _failed_warmup(pool, gates)
    if gates.has_sure_fail or (alive and alive.finding.verdict == "fail"):
        gates = gates.without_unsure()
    findings, faults = _check(pool, gates, warmup)
    before = {one.planned.id: in_baseline for one in gates.failed if (in_baseline := as_before(pool, one))}
    every = (*gates.gates, *([alive] if alive else []))
    results = tuple(one.result(as_before=one.planned.id in before) for one in every)
    results += (warmup.gate(),) if warmup and warmup.blames_service else ()
    phases = phase_results(pool)
    upstreams = _attributed(pool, phases)
    cost = cost_results(pool, [phase for phase in phases if phase.name not in UNATTRIBUTED])
    interrupted, verdict = _was_interrupted(pool), _combine(gates, alive, findings, warmup)
    if (interrupted or _was_aborted(pool)) and verdict == "pass":
        verdict = "inconclusive"  # a reader who sees only the verdict must not take a stopped run for a complete one
    unmet, hidden = unmet_notes(faults), unmet_notes(fault for fault in faults if not fault.proof.one_witness)
    broken = next(iter(_failed_checks(findings)), None) if verdict == "rig_failure" else None
    reason, why, next_ = _explain(
        _Judged(pool, every, results, findings, phases, upstreams, cost, unmet, hidden, before, warmup), verdict
    )
    return Results(
        tool=Tool(version=__version__),
        verdict=verdict,
        exit_code=130 if interrupted else _exit_code(pool.plan, verdict),
        reason=reason,
        interrupted=interrupted,
        scenario=_scenario_ref(pool.plan),
        run=_run_ref(pool),
        gates=results,
        phases=phases,
        faults=faults,
        false_alarms=tuple(alarm for run in pool.runs for alarm in false_alarms(run)),
        upstreams=upstreams,
        never_asked=_never_asked(pool),
        incomplete_answers=incomplete_answers(pool),
        unmatched=unmatched_calls(pool.runs),
        origins=origin_notes(pool.runs),
        locustfile=locustfile_notes(pool.runs),
        login=together(run.logins for run in pool.runs if run.logins is not None),
        cost=cost,
        cores=tuple(map(cores_result, gates.taken)),
        validity=tuple(as_check(finding) for finding in findings),
        correlation=_correlation(pool),
        why=why,
        next=next_,
        log_lines=broken.log_lines if broken else (),
        next_command=broken.command if broken else "",
        replay=explanations.replay(pool.plan),
    )


def _failed_warmup(pool: Pool, gates: GateVerdicts) -> tuple[WarmupFailure | None, GateVerdicts]:
    """The failure by which the warm-up ended the run; none where others may have made it, and the gates say so."""
    failure = failed_warmup(pool)
    if failure and failure.blames_service and held_up_warmup(pool, gates.taken):
        return None, gates.resting_on_cores(SERVICE_ANSWERS)
    return failure, gates


def _attributed(pool: Pool, phases: Sequence[PhaseResult]) -> tuple[UpstreamResult, ...]:
    names = [phase.name for phase in phases if phase.name not in UNATTRIBUTED]
    attribution = Attribution(pool, names)
    return tuple(upstream for name in names for upstream in attribution.of(name))


def write(run_dir: Path) -> Results:
    """Judge a run directory and write its results.json and baseline.json. Raises UsageError if it is not one."""
    return write_judged(Pool.of(Evidence.load(run_dir)), run_dir)


def write_pool(run_dirs: Sequence[Path], folder: Path) -> Results:
    """Judge several runs of one scenario pooled, and write the result to `folder`; each run is judged by itself too."""
    runs = [Evidence.load(run_dir) for run_dir in run_dirs]
    for run in runs:
        write_judged(Pool.of(run), run.run_dir)
    return write_judged(Pool.of(*runs), folder)


def judge_matrix(folder: Path) -> MatrixResults:
    """Judge every cell of a matrix directory again, and the matrix as a whole. Raises UsageError if it is no matrix."""
    return combine_matrix(folder, write_any)


def combine_matrix(folder: Path, results_of: Callable[[Path], Results]) -> MatrixResults:
    """Judge a matrix as a whole and write its results.json. `results_of` gives the results of a cell's directory."""
    results = combine_cells(folder, results_of)
    (folder / RESULTS).write_text(canonical_json(results), encoding="utf-8")
    return results


def write_any(folder: Path) -> Results:
    """Judge a run directory, or a directory of pooled runs (`run-1`, `run-2` …). Raises UsageError if it is neither."""
    if (folder / "plan.json").exists():
        return write(folder)
    pooled = sorted(folder.glob("run-*/plan.json"), key=lambda path: int(path.parent.name.removeprefix("run-")))
    if not pooled:
        raise UsageError(f"{folder} is no run directory: plan.json is missing", "name a directory under .runs")
    return write_pool([path.parent for path in pooled], folder)


def is_matrix(folder: Path) -> bool:
    """Whether it is the directory of a matrix, and not of a single or pooled run."""
    return (folder / MATRIX).exists()


def write_judged(pool: Pool, folder: Path) -> Results:
    """Judge runs that are loaded already, and write results.json and baseline.json to `folder`.

    baseline.json is written only for a run that reached its end and is no rig failure.
    """
    gates = judge_gates(pool)
    results = _results(pool, gates)
    (folder / RESULTS).write_text(canonical_json(results), encoding="utf-8")
    if results.verdict != "rig_failure" and results.run.stopped is None:
        (folder / OWN).write_text(
            canonical_json(own_baseline(pool, [one.gate for one in gates.gates])), encoding="utf-8"
        )
    return results


# ---------------------------------------------------------------- the verdict


def _was_interrupted(pool: Pool) -> bool:
    return any(run.manifest.ended and run.manifest.ended.reason == "interrupted" for run in pool.runs)


def _was_aborted(pool: Pool) -> bool:
    return any(run.manifest.ended is not None and run.manifest.ended.reason == "aborted" for run in pool.runs)


def _combine(
    gates: GateVerdicts, alive: GateVerdict | None, findings: Sequence[RunCheck], warmup: WarmupFailure | None
) -> Verdict:
    if not all(finding.ok for finding in findings):
        return "rig_failure"
    if warmup and warmup.blames_service:
        return "fail"
    verdicts = {one.finding.verdict for one in gates.gates}
    if "fail" in verdicts or (alive and alive.finding.verdict == "fail"):
        return "fail"
    return "pass" if verdicts == {"pass"} else "inconclusive"


def _exit_code(plan: Plan, verdict: Verdict) -> int:
    if verdict == "inconclusive" and plan.verdict.inconclusive == "warn":
        return 0
    return EXIT_CODE[verdict]


def _check(
    pool: Pool, gates: GateVerdicts, warmup: WarmupFailure | None
) -> tuple[tuple[RunCheck, ...], tuple[FaultResult, ...]]:
    """Every check once (the first run that fails it stands for the pool), and the proof of every fault in every run."""
    by_check: dict[str, list[RunCheck]] = {check: [] for check in CHECKS}
    faults: list[FaultResult] = []
    for run, late, taken in zip(pool.runs, gates.late, gates.taken, strict=True):
        proofs = prove_faults(run)
        if gates.failed:
            proofs = excuse_blocked(proofs)
        faults += [proof.result for proof in proofs]
        lag = lag_finding(run, gates.lag_limit_ms, late, list(gates.rests_on_lag.values()) if late else [])
        cores = cores_finding(taken, list(gates.rests_on_cores.values()) if taken.seconds else [])
        cpu = generator_cpu(run, run.resources, lag_ok=lag.ok)
        for finding in (*rig_findings(run, proofs), lag, cores, cpu):
            by_check[finding.check].append(finding)
        if gates.unsent and by_check["counts"][-1].ok and has_cut_drops(Pool.of(run)):
            by_check["counts"][-1] = drops_finding(run, gates.unsent[0])
    findings = tuple(next((f for f in of_check if not f.ok), of_check[0]) for of_check in by_check.values())
    if warmup and not warmup.blames_service:
        findings = tuple(warmup.check() if f.check == warmup.check().check and f.ok else f for f in findings)
    return findings, tuple(faults)


# ---------------------------------------------------------------- reason, why, next


def _explain(judged: _Judged, verdict: Verdict) -> tuple[str, str, str]:
    """The `reason` (one line), `why` and `next` of results.json."""
    plan = judged.pool.plan
    if verdict == "rig_failure":
        broken = _failed_checks(judged.findings)
        return broken[0].detail, *explanations.rig(broken)
    if verdict == "pass":
        results = judged.results
        reason = explanations.headline_passed(plan, results, judged.unmet)
        return (
            reason,
            explanations.why_passed(plan, results),
            explanations.next_passed(
                plan, judged.hidden, unmatched_calls(judged.pool.runs), origin_notes(judged.pool.runs)
            ),
        )
    if verdict == "fail" and judged.warmup:
        return f"{judged.warmup.reason[0].upper()}{judged.warmup.reason[1:]}.", judged.warmup.why, judged.warmup.next
    failed = [one for one in judged.gates if one.finding.verdict == "fail"]
    if failed:
        ended = next((one for one in failed if one.finding.kind == FindingKind.SERVICE_ENDED), None)
        # a gate that a fault made worse says more than one that was as bad before any fault
        first = ended or next((one for one in failed if one.planned.id not in judged.before), failed[0])
        others = [one for one in failed if one is not first]
        if first.planned.id in judged.before:
            return _explain_as_before(judged, first, others)
        failure = explanations.failure_of(judged.pool, first, judged.phases, judged.upstreams)
        return (
            explanations.headline(failure) + explanations.also_failed(others),
            explanations.why_failed(failure, judged.cost) + explanations.but_unmet(judged.unmet),
            first.gate.advice(first.finding, failure.context) + explanations.advice_on_resources(first, others),
        )
    undecided = [one for one in judged.gates if one.finding.verdict == "inconclusive"]
    if not undecided and judged.results:
        reason = "The run was interrupted. Every gate held on what was measured until then, which is not a pass."
        return reason, "The run was stopped before its plan was done.", "Let it run to its end."
    if not undecided:
        return "There is no gate.", "Without a gate there is nothing to decide.", "Write a gate."
    one = undecided[0]
    more = f" (and {len(undecided) - 1} more)" if len(undecided) > 1 else ""
    warned = " `verdict.inconclusive: warn` lets the build pass." if plan.verdict.inconclusive == "warn" else ""
    return (
        f"`{one.planned.text}` is undecided{more}: {one.finding.reason}",
        f"`{one.planned.text}` could not be decided: {one.finding.reason}.{warned}"
        f"{explanations.but_unmet(judged.unmet)}",
        one.gate.advice(one.finding, explanations.context_of(plan, one.gate)),
    )


def _failed_checks(findings: Sequence[RunCheck]) -> list[RunCheck]:
    """The checks that failed, causes before their consequences."""
    return sorted((f for f in findings if not f.ok), key=lambda f: CHECK_ORDER.index(f.check))


def _explain_as_before(judged: _Judged, first: GateVerdict, others: Sequence[GateVerdict]) -> tuple[str, str, str]:
    """`reason`, `why` and `next` of a FAIL that no fault caused: every failed gate was no better in the baseline."""
    in_baseline = judged.before[first.planned.id]
    return (
        f"{before_fault.headline_of(first)}.{explanations.also_failed(others)}",
        before_fault.why_of(judged.pool, in_baseline) + explanations.but_unmet(judged.unmet),
        before_fault.next_of(first.gate, in_baseline),
    )


def _never_asked(pool: Pool) -> tuple[str, ...]:
    """The upstreams that the service asked in no run of the pool, in the plan's order."""
    each = [set(never_asked(run)) for run in pool.runs]
    return tuple(upstream.name for upstream in pool.plan.upstreams if all(upstream.name in names for names in each))


def _scenario_ref(plan: Plan) -> ScenarioRef:
    return ScenarioRef(name=plan.name, file=plan.scenario_file, sha256=plan.scenario_sha256, seed=plan.seed)


def _run_ref(pool: Pool) -> RunRef:
    run = pool.runs[0]
    plan, manifest = run.plan, run.manifest
    schedules = [stream.schedule for stream in plan.load.streams]
    # the peak of a recording depends on the length of the stretch in which arrivals are counted, so it is no rate
    has_rate = bool(schedules) and all(schedule.replay_ms is None for schedule in schedules)
    rate = planned_peak_per_s(plan.load) if has_rate else None
    return RunRef(
        id=plan.run_id,
        started_at=manifest.started_at,
        engine=" ".join(filter(None, (manifest.engine.kind, manifest.engine.version))),
        gateway=GatewayRef(kind=plan.gateway.kind, timeout_ms=plan.gateway.timeout_ms),
        load=LoadRef(model=plan.load.model, rate_per_s=rate, duration_ms=plan.load.duration_ms),
        machine=run.machine,
        stopped=next(filter(None, (_stopped(one) for one in pool.runs)), None),
    )


def _stopped(run: Evidence) -> str | None:
    ended = run.manifest.ended
    if ended is None:
        return "the run was cut short"
    if ended.reason == "done":
        return None
    how = {
        "fail_fast": "a gate could no longer pass",
        "aborted": f"aborted by {' or '.join(f'`{rule}`' for rule in run.plan.abort_if)}",
        "warmup_failed": "the warm-up had shown that the run cannot end well",
        "interrupted": "interrupted",
        "service_gone": "the service ended",
        "rig": "the rig failed",
        "never_ready": "the service was never ready",
    }[ended.reason]
    if run.stop_ns is None or run.manifest.t0_ns is None:
        return how
    return f"{how}, at {format_duration((run.stop_ns - run.t0_ns) / NS_PER_MS)}"


def _correlation(pool: Pool) -> Correlation:
    shares = [share for run in pool.runs if (share := run.joined_share) is not None]
    if not shares:
        return Correlation(mode="none", joined_share=None)
    mode: Literal["header", "none"] = "header" if min(shares) > 0 else "none"
    return Correlation(mode=mode, joined_share=min(shares), replayable=min(shares) == 1)
