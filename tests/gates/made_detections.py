"""What tests of gates on detections share: what a service said and when, and how the run is judged by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import verdict
from harness.evidence import Evidence
from harness.rundir.detections import Detection, DetectionGap, Recorded, Source
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.results import GateResult, Results
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

NAMED = "named azure within 5s during azure-slow"
CLEARED = "cleared within 30s after azure-slow"


def at(
    seconds: float,
    upstream: str = "azure",
    source: Source = "log",
    *,
    lines: int = 1,
    normal: bool = False,
    text: str = "ERROR {} failed",
) -> Detection:
    """A sighting so many seconds after t = 0."""
    return Detection(
        t_ns=T0_NS + round(seconds * 1e9),
        upstream=upstream,
        source=source,
        state="normal" if normal else "raised",
        lines=lines,
        text=text.format(upstream),
    )


def gap(seconds: float, source: Source, text: str = "1,000 bytes were skipped") -> DetectionGap:
    return DetectionGap(t_ns=T0_NS + round(seconds * 1e9), source=source, text=text, skipped_bytes=1_000)


def plan_of(gate: str, *faults: PlannedFault) -> Plan:
    return make_plan(faults=faults or [slow_fault()], gates=[gate], duration_ms=140_000)


def played(gate: str, detections: Sequence[Recorded] | None, *faults: PlannedFault) -> Recording:
    made = record(plan_of(gate, *faults), policy="timeout")
    made.detections = None if detections is None else list(detections)
    return made


def judged(folder: Path, made: Recording) -> GateResult:
    return results(folder, made).gates[0]


def results(folder: Path, made: Recording) -> Results:
    return verdict.judge(Evidence.load(made.write(folder)))


def noisy(upstream: str, begin_s: int, end_s: int, source: Source = "log") -> list[Detection]:
    """Named twice a second."""
    return [at(half / 2, upstream, source) for half in range(2 * begin_s, 2 * end_s)]


def alert(begin_s: int, end_s: int) -> list[Detection]:
    return [*noisy("azure", begin_s, end_s, "alert"), at(end_s, source="alert", normal=True)]
