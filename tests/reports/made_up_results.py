"""Results made up by hand for the reports' tests: every verdict, and strings that want to break out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from harness.rundir.judged.fault_results import FaultProof, FaultResult, NamedResult, WindowResult
from harness.rundir.plan import Plan
from harness.rundir.results import (
    Correlation,
    GateResult,
    GatewayRef,
    IncompleteAnswerResult,
    LatencySummary,
    LoadRef,
    PhaseResult,
    PresenceResult,
    Results,
    RunRef,
    ScenarioRef,
    Tool,
    UpstreamResult,
    ValidityCheck,
    Verdict,
    canonical_json,
)
from harness.rundir.unmatched import Unmatched

NASTY = "</script><script>alert(1)</script> & \"'<b>\x1b[31m\u202e\x00]]>"


def gate(
    verdict: Literal["pass", "fail", "inconclusive"] = "pass", *,
    text: str = "p99 < 2s during baseline", line: int = 11, reason: str = "",
    unit: Literal["ms", "share", "ratio", "per_s", "bytes", "count"] = "ms", op: Literal["<", ">"] = "<",
    limit: float | None = 2000.0, observed: float | None = 873.0, low: float | None = 843.0, high: float | None = 924.0,
    censored_at_ms: float | None = None, n: int = 1200, phase: str = "baseline",
) -> GateResult:  # fmt: skip
    return GateResult(
        id="gate-1", text=text, line=line, metric="p99", phase=phase, verdict=verdict, reason=reason, limit=limit,
        unit=unit, op=op, observed=observed, low=low, high=high, censored_at_ms=censored_at_ms, n=n, exceeded=0,
        deflation=1.0, withstands_ms=200.0 if verdict == "pass" else None,
    )  # fmt: skip


ALL_VERDICTS = (
    gate("fail", text="p99 < gateway.timeout during azure-slow", phase="azure-slow", observed=None, low=None, high=None,
         censored_at_ms=2000.0, reason="every arrival of the phase was cut off", n=2400),
    gate("fail", text="errors < 1%", phase="whole", unit="share", limit=0.01, observed=0.206, low=0.199, high=0.213,
         reason="20.6 % is surely above 1 %", line=12, n=4800),
    gate("inconclusive", text="p99 < 2.5s during after azure-slow", phase="after azure-slow", limit=2500.0,
         observed=2520.0, low=2130.0, high=2790.0, reason="share above the limit, but not surely", line=13, n=400),
    gate("pass"),
    gate("pass", text="complete > 99% during baseline", unit="share", op=">", limit=0.99, observed=0.9979, low=0.994,
         high=0.9995, line=14),
    gate("pass", text="throughput > 30/s", unit="per_s", op=">", limit=30.0, observed=39.8, low=39.0, high=40.6,
         phase="whole", line=15),
)  # fmt: skip


def phase(name: str, start_ms: float, end_ms: float, n: int, *, lost: int = 0) -> PhaseResult:
    return PhaseResult(
        name=name, start_ms=start_ms, end_ms=end_ms, n=n, outcomes={"ok": n - lost, "gateway_timeout": lost},
        latency_ms=LatencySummary(p50=120.0, p90=180.0, p99=None if lost else 240.0, p99_9=None if lost else 310.0,
                                  max=None if lost else 330.0),
        throughput_per_s=(n - lost) / max((end_ms - start_ms) / 1000, 1), complete_share=(n - lost) / n if n else None,
    )  # fmt: skip


def results(
    plan: Plan, *, verdict: Verdict = "fail", gates: tuple[GateResult, ...] = ALL_VERDICTS, landed: bool = True,
    nasty: str = "", stopped: str | None = None, phases: tuple[PhaseResult, ...] | None = None,
) -> Results:  # fmt: skip
    """For a run of `plan`; `nasty` is put into every string that comes from outside."""
    rig = verdict == "rig_failure"
    faults = [(fault, upstream) for fault in plan.faults for upstream in fault.upstreams]
    made = [phase("baseline", 0, 33_000, 1320), phase("whole", 0, plan.load.duration_ms, 4400, lost=2400)]
    for fault in plan.faults:
        window = fault.windows[-1]
        made.insert(-1, phase(fault.name, fault.windows[0].apply_ms, window.remove_ms - fault.held_ms, 2400, lost=2400))
        made.insert(-1, phase(f"after {fault.name}", window.remove_ms, plan.load.duration_ms, 400))
    shown_phases = tuple(made) if phases is None else phases
    shown_phases = tuple(each.model_copy(update={"present": _present(plan, each, nasty)}) for each in shown_phases)
    return Results(
        tool=Tool(version="0.1.0"),
        verdict=verdict,
        exit_code={"pass": 0, "fail": 1, "inconclusive": 3, "rig_failure": 4}[verdict],
        reason=f"While azure was slow, p99 reached the 2 s gateway timeout: every request got a 504.{nasty}",
        interrupted=stopped == "interrupted",
        scenario=ScenarioRef(name=f"{plan.name}{nasty}", file=f"{plan.scenario_file}{nasty}", sha256="0" * 64, seed=7),
        run=RunRef(
            id=plan.run_id, started_at="2025-01-02T03:04:05Z", engine="real 2.12.0",
            gateway=GatewayRef(kind=plan.gateway.kind, timeout_ms=plan.gateway.timeout_ms),
            load=LoadRef(model=plan.load.model, rate_per_s=40.0 if plan.load.model == "open" else None,
                         duration_ms=plan.load.duration_ms),
            stopped=stopped,
        ),
        gates=tuple(
            each.model_copy(update={"text": each.text + nasty, "reason": each.reason + nasty}) for each in gates
        ),
        phases=shown_phases,
        faults=tuple(
            FaultResult(
                name=fault.name + nasty, upstream=upstream + nasty, kind=fault.kind, landed=landed,
                windows=tuple(
                    WindowResult(requested_ms=w.apply_ms - 3, applied_ms=w.apply_ms, observed_ms=w.apply_ms + 2100,
                                 removed_ms=w.remove_ms, verified=True)
                    for w in fault.windows
                ),
                proof=FaultProof(
                    canary_baseline_ms=2.0,
                    canary_during_ms=3000.0,
                    canary_failures=0,
                    service_calls=3391,
                    calls_during=2391,
                ),
                named=(
                    NamedResult(upstream=upstream + nasty, source="log", after_ms=1200.0, lines=17,
                                text=f"ERROR {upstream} failed{nasty}", healthy=False, cleared_after_ms=3100.0),
                    NamedResult(upstream="oci" + nasty, source="alert", after_ms=9000.0, lines=2,
                                text=f"degraded > 0{nasty}", healthy=True, cleared_after_ms=None),
                ),
            )
            for fault, upstream in faults
        ),
        upstreams=tuple(
            UpstreamResult(
                name=upstream.name + nasty, source="fake", phase=each.name, calls=each.n, calls_per_arrival=1.0,
                p50_ms=60.0, p99_ms=60_140.0 if hit else 140.0, slowest_share=0.98 if hit else 0.3,
                wait_caused_ms=59_000.0 if hit else 12.0 * 4.0**index,
            )
            for index, upstream in enumerate(plan.upstreams)
            for each in shown_phases
            for hit in [any(each.name == f.name and upstream.name in f.upstreams for f in plan.faults)]
        ),
        incomplete_answers=(
            IncompleteAnswerResult(
                seq=1234, part=0, at_ms=36_200.0, phase=f"azure-slow{nasty}", request=f"GET /v1/offers{nasty}",
                status=200, missing=tuple(f"{each.name}{nasty}" for each in plan.upstreams[:2]),
                file=f"answers/1234.txt{nasty}", bytes=70_000, cut=True,
            ),
        ) if plan.upstreams else (),
        unmatched=tuple(
            Unmatched(
                upstream=each.name + nasty, method="GET", path=f"/v2/offers{nasty}", status=404, calls=312,
                speaks=f"a fake of the provider generic speaks GET /offers?cursor={nasty}",
            )
            for each in plan.upstreams[:1]
        ),
        validity=(
            ValidityCheck(check="counts", ok=True, detail="4,480 planned, 4,480 rows"),
            ValidityCheck(check="lag", ok=True, detail="send lag p99 0.3 ms, worst second 1.2 ms"),
            ValidityCheck(check="files", ok=verdict != "rig_failure", detail=f"all closed{nasty}"),
        ),
        correlation=Correlation(mode="header", joined_share=0.999),
        why=f"azure was last in 98 % of the slow requests.{nasty}",
        next=f"Give the azure call a deadline below 2 s and return partial results.{nasty}",
        log_lines=(f"Error: no price list{nasty}", f"  at app.js:1{nasty}") if nasty or rig else (),
        next_command=f"cd /srv && env A=1{nasty} ./serve" if nasty or rig else "",
        replay=f"tailgate run made-up.yaml --seed 7{nasty}",
    )  # fmt: skip


def _present(plan: Plan, phase: PhaseResult, nasty: str) -> tuple[PresenceResult, ...]:
    """The last upstream is missing from every tenth answer; the first under its fault from all."""
    ok, found = phase.outcomes["ok"], []
    for each in plan.upstreams:
        hit = any(phase.name == fault.name and each.name in fault.upstreams for fault in plan.faults)
        missing = ok // 10 if each is plan.upstreams[-1] and not hit else 0
        held = 0 if hit else ok - missing
        found.append(
            PresenceResult(upstream=each.name + nasty, answers=ok, share=held / ok if ok else None,
                           expected=0 if hit else ok, missing=missing)
        )  # fmt: skip
    return tuple(found)


def write_results(run_dir: Path, made: Results) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "results.json").write_text(canonical_json(made), encoding="utf-8")
