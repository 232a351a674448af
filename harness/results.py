"""The shape of results.json (the contract's section 6) and the one way it is spelled on disk.

Equal evidence gives equal bytes: sorted keys, floats to six significant digits, relative paths,
nothing of the moment of judging. null means unknown; an infinite latency is null with
`censored_at_ms` set.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from harness.legible import json_text
from harness.plan import Frozen

Verdict = Literal["pass", "fail", "inconclusive", "rig_failure"]
EXIT_CODE: dict[str, int] = {"pass": 0, "fail": 1, "inconclusive": 3, "rig_failure": 4}
VERDICT_WORD: dict[str, str] = {
    "pass": "PASS",
    "fail": "FAIL",
    "inconclusive": "INCONCLUSIVE",
    "rig_failure": "RIG_FAILURE",
}


class Tool(Frozen):
    name: Literal["tailgate"] = "tailgate"
    version: str


class ScenarioRef(Frozen):
    name: str
    file: str
    sha256: str
    seed: int


class GatewayRef(Frozen):
    kind: str
    timeout_ms: float | None


class LoadRef(Frozen):
    model: Literal["open", "closed"]
    rate_per_s: float | None
    duration_ms: float


class RunRef(Frozen):
    id: str
    started_at: str
    engine: str
    gateway: GatewayRef
    load: LoadRef
    stopped: str | None
    """Why the load ended before its plan; null: it did not."""


class GateResult(Frozen):
    id: str
    text: str
    line: int
    metric: str
    phase: str
    verdict: Literal["pass", "fail", "inconclusive"]
    reason: str
    limit: float | None
    unit: Literal["ms", "share", "ratio", "per_s"]
    op: Literal["<", ">"]
    observed: float | None
    low: float | None
    high: float | None
    censored_at_ms: float | None = None
    n: int
    exceeded: int | None
    deflation: float | None
    withstands_ms: float | None


class LatencySummary(Frozen):
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class PhaseResult(Frozen):
    name: str
    start_ms: float
    end_ms: float
    n: int
    outcomes: dict[str, int]
    latency_ms: LatencySummary
    throughput_per_s: float
    complete_share: float | None


class WindowResult(Frozen):
    requested_ms: float | None
    applied_ms: float | None
    observed_ms: float | None
    """The first canary (or call of the service) that met it was over."""
    removed_ms: float | None
    last_observed_ms: float | None = None
    verified: bool


class FaultProof(Frozen):
    canary_baseline_ms: float | None
    canary_during_ms: float | None
    canary_failures: int
    service_calls: int
    witness: Literal["canary", "calls"] = "canary"
    """Who saw it: fresh connections of ours, or the service's own calls in the fake's records."""
    seen: str = ""
    """What became of the witnesses: `held up to 2.01 s instead of 1.2 ms`, `met status 503`; empty: nothing."""
    canaries_during: int = 0
    canaries_showing: int = 0
    calls_during: int | None = None
    """The service's calls while it stood; None where nobody records them."""
    calls_hit: int | None = None
    """Of these, those that a fake broke by itself; None for a fault on the wire."""


class FaultResult(Frozen):
    name: str
    upstream: str
    kind: str
    windows: tuple[WindowResult, ...]
    proof: FaultProof
    landed: bool


class UpstreamResult(Frozen):
    """One upstream in one phase."""

    name: str
    source: str
    phase: str
    calls: int
    calls_per_arrival: float | None
    p50_ms: float | None
    p99_ms: float | None
    slowest_share: float | None
    """Of the phase's slow requests, how many this upstream answered last."""
    wait_caused_ms: float | None
    """Mean over the slow requests of what they waited for it beyond the next slowest."""


class ValidityCheck(Frozen):
    check: Literal["counts", "lag", "files", "faults", "rollback", "generator_cpu", "workers"]
    ok: bool
    detail: str


class Correlation(Frozen):
    mode: Literal["header", "traceparent", "none"]
    joined_share: float | None


class Results(Frozen):
    schema_version: Literal[1] = 1
    kind: Literal["run"] = "run"
    tool: Tool
    verdict: Verdict
    exit_code: int
    reason: str
    interrupted: bool
    scenario: ScenarioRef
    run: RunRef
    gates: tuple[GateResult, ...]
    phases: tuple[PhaseResult, ...]
    faults: tuple[FaultResult, ...]
    upstreams: tuple[UpstreamResult, ...]
    validity: tuple[ValidityCheck, ...]
    correlation: Correlation
    why: str
    next: str
    replay: str


class CellResult(Frozen):
    cell: str
    values: dict[str, Any]
    verdict: Verdict
    expected: tuple[str, ...]
    as_expected: bool
    results: str
    """Path of the cell's results.json, relative to the matrix directory."""


class MatrixResults(Frozen):
    schema_version: Literal[1] = 1
    kind: Literal["matrix"] = "matrix"
    tool: Tool
    verdict: Verdict
    exit_code: int
    scenario: ScenarioRef
    cells: tuple[CellResult, ...]


def canonical_json(document: Frozen) -> str:
    """The bytes of results.json: sorted keys, floats to six significant digits, infinities refused."""
    return json_text(_rounded(document.model_dump(mode="json"))) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("results.json holds no infinities; use null and censored_at_ms")
        return float(f"{value:.6g}")
    return value
