"""The implicit gate `service-alive`: a service that tailgate started must run until tailgate stops it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.evidence import Pool
from harness.gates.gate import AdviceContext, Finding, GateDefaults
from harness.rundir.finding_kind import FindingKind
from harness.rundir.manifest import SERVICE
from harness.rundir.plan import PlannedGate
from harness.units import NS_PER_MS, format_duration
from harness.verdict.gates import GateVerdict

SERVICE_ALIVE = "service-alive"


@dataclass(frozen=True, slots=True)
class ServiceAliveGate(GateDefaults):
    text: str = SERVICE_ALIVE
    metric: str = SERVICE_ALIVE
    phase: str = "whole"

    @property
    def significance(self) -> str:
        return "It was not told to stop, and what the other gates measured is only of the time before."

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        deaths = [
            (run, death)
            for run in pool.runs
            if run.manifest.ended
            for death in run.manifest.ended.deaths
            if death.child == SERVICE
        ]
        reason = "it ran until it was stopped"
        if deaths:
            run, death = deaths[0]
            after = format_duration((death.t_ns - run.t0_ns) / NS_PER_MS)
            last = f"; the last line of its log: {death.last_line}" if death.last_line else ""
            reason = f"the service {death.how}, {after} after t = 0{last}"
        return Finding(
            verdict="fail" if deaths else "pass",
            reason=reason,
            limit=None,
            unit="share",
            op="<",
            kind=FindingKind.SERVICE_ENDED if deaths else FindingKind.HELD,
            n=len(pool.runs),
            exceeded=len(deaths),
        )

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        return (
            "See logs/sut.log for the last lines it wrote, and find out what ends or stops processes here (the kernel, "
            "out of memory?)."
        )


def service_alive(pool: Pool) -> GateVerdict | None:
    """The gate's verdict; None if tailgate did not start the service, or if it never became ready, which is a rig
    failure."""
    if pool.plan.service.kind == "url" or any(run.manifest.t0_ns is None for run in pool.runs):
        return None
    gate = ServiceAliveGate()
    planned = PlannedGate(id=SERVICE_ALIVE, text=SERVICE_ALIVE, line=0)
    return GateVerdict(planned, gate, gate.judge(pool, alpha_fail=0.0))
