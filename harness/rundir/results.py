"""The shape of results.json (the contract's section 6) and the one way it is spelled on disk.

Equal evidence gives equal bytes: sorted keys, floats to six significant digits, relative paths,
nothing of the moment of judging. null means unknown; an infinite latency is null with
`censored_at_ms` set.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import Frozen
from harness.rundir.unmatched import Unmatched
from harness.rundir.yardstick import Yardstick
from harness.text import json_text

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


class Machine(Frozen):
    """Where the run was made. Of pooled runs: the first one's."""

    cores: int | None = None
    """That the run might use; null: not known."""
    platform: str | None = None
    yardstick: Yardstick | None = None
    """How long the same fixed work took before and after the run; null: made by a tailgate that did not measure it."""


class RunRef(Frozen):
    id: str
    started_at: str
    engine: str
    gateway: GatewayRef
    load: LoadRef
    machine: Machine = Machine()
    stopped: str | None
    """Why the load ended before its plan; null: it did not."""


class Ending(Frozen):
    """How so many of the requests ended that count against a gate."""

    outcome: str
    """An outcome's name; `slow`: it ended ok, and too late for the gate."""
    status: int | None = None
    """Of an `http_error`; null: not known."""
    n: int


class GateResult(Frozen):
    id: str
    text: str
    line: int
    metric: str
    phase: str
    verdict: Literal["pass", "fail", "inconclusive"]
    kind: FindingKind | None = None
    """Which finding it is; null: judged by a tailgate that did not say. Decide by it, never by `reason`."""
    reason: str
    limit: float | None
    unit: Literal["ms", "share", "ratio", "per_s", "bytes", "count"]
    op: Literal["<", ">"]
    observed: float | None
    low: float | None
    high: float | None
    censored_at_ms: float | None = None
    censored_by: str | None = None
    """The outcome that cut it off: gateway_timeout, client_timeout or unfinished."""
    failed_at_rank: bool = False
    """Of a latency gate: the request at that rank failed before any timeout. It is null and cut off by nothing."""
    as_before: bool = False
    """Of a gate that failed: it was no better in the baseline, before any fault."""
    n: int
    exceeded: int | None
    exceeded_by: tuple[Ending, ...] = ()
    """How the requests that exceeded ended, the heaviest first; empty where that is not known, or none did."""
    deflation: float | None
    withstands_ms: float | None

    @property
    def is_infinite(self) -> bool:
        """Observed, but no number: the request at that rank did not end well."""
        return self.observed is None and (self.censored_at_ms is not None or self.failed_at_rank)


class LatencySummary(Frozen):
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class PresenceResult(Frozen):
    """How many of a phase's answers held one upstream's rows: of the first requests of its arrivals, those that ended
    ok and ask it. An error holds nobody and is not counted."""

    upstream: str
    answers: int
    share: float | None
    """Of the answers, those that held it, whatever fault stood; null: there was no answer."""
    expected: int
    """The answers but for those during which a fault stood on it."""
    missing: int
    """Of the expected, those that lacked it: what makes an answer incomplete."""


class PhaseResult(Frozen):
    name: str
    start_ms: float
    end_ms: float
    n: int
    outcomes: dict[str, int]
    latency_ms: LatencySummary
    throughput_per_s: float
    complete_share: float | None
    present: tuple[PresenceResult, ...] = ()
    """One for each upstream that the phase's requests ask; empty where answers were not looked into."""


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
    connections_during: int | None = None
    """New connections of the service's while it stood, where a fault may keep calls from the upstream; else None."""
    windows_refused: int | None = None
    """Windows in which the service tried to connect and was refused; None where the listener stayed open."""
    calls_in_baseline: int = 0
    last_call_before_ms: float | None = None
    """How long before the fault came the service's last call had come; None: none had."""


class NamedResult(Frozen):
    """Who one source, the service's log or its alert, named while a fault stood; its first sighting."""

    upstream: str
    source: Literal["log", "alert"]
    after_ms: float
    """Since the fault was applied (that window of it)."""
    lines: int
    """All of them while it stood; of an alert, how often it was found raised."""
    text: str
    healthy: bool
    """No fault had acted on this upstream: it was named wrongly."""
    no_news: bool = False
    """This source had named the upstream as much before the fault, so it says nothing of it."""
    cleared_after_ms: float | None
    """From the fault's last removal until it was named no more; None: it still was, or nobody could see."""


class FalseAlarm(Frozen):
    """An upstream that one source named while no fault stood, and none had hit it by then."""

    upstream: str
    source: Literal["log", "alert"]
    first_ms: float
    """From t = 0."""
    lines: int
    """All of them; of an alert, how often it was found raised."""
    text: str
    """The first's."""


class FaultResult(Frozen):
    name: str
    upstream: str
    kind: str
    windows: tuple[WindowResult, ...]
    proof: FaultProof
    landed: bool
    """It was observed, and the service met it."""
    observed: bool = True
    """Canaries saw it; of a fault that none can see, it was applied."""
    met: bool = True
    """The service asked the upstream while the fault stood, and where a fake did it, a call was hit."""
    must_be_met: bool = True
    """False: the scenario says `met: optional`."""
    named: tuple[NamedResult, ...] = ()
    """Empty where nobody was, or where it was not recorded."""

    @property
    def note(self) -> str:
        """What must be said of a fault that stood and that the service did not meet; empty where it met it."""
        if self.met or not self.observed:
            return ""
        if self.proof.calls_during:
            return f"none of the {self.proof.calls_during} calls to {self.upstream} was hit while {self.name} stood"
        return f"{self.upstream} was never asked while it was broken ({self.name})"


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


class CostResult(Frozen):
    """What the service's process tree held in one phase. `…_end`: the highest of the phase's last five readings."""

    phase: str
    readings: int
    rss_max_bytes: int | None
    rss_end_bytes: int | None
    threads_max: int | None
    threads_end: int | None
    fds_max: int | None
    fds_end: int | None
    sockets_max: int | None
    """TCP, without those that listen."""
    sockets_end: int | None
    sockets_by_state: dict[str, int] | None
    """When there were most of them; those that listen too."""
    cpu_s_per_s: float | None
    """Cores used on average."""
    cpu_ms_per_request: float | None


class IncompleteAnswerResult(Frozen):
    """One of the first answers that were ok and lacked an upstream that no fault excuses; its body was kept."""

    seq: int
    part: int
    """0: the arrival's first request."""
    at_ms: float
    """Intended, from t = 0."""
    phase: str
    request: str
    status: int
    missing: tuple[str, ...]
    file: str | None
    """Relative to the directory of results.json; null: it could not be written."""
    bytes: int
    """Of the whole decoded body."""
    cut: bool
    """The file holds its beginning only."""


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
    false_alarms: tuple[FalseAlarm, ...] = ()
    """Empty where there were none, or where it was not recorded."""
    upstreams: tuple[UpstreamResult, ...]
    never_asked: tuple[str, ...] = ()
    """Upstreams to which no call came in the whole run, the warm-up included."""
    incomplete_answers: tuple[IncompleteAnswerResult, ...] = ()
    """At most five, in order of time."""
    unmatched: tuple[Unmatched, ...] = ()
    """What the service asked of fakes that they do not have, over the whole run, the warm-up included."""
    cost: tuple[CostResult, ...] = ()
    """Of the service, one a phase; empty where it is no process of ours."""
    validity: tuple[ValidityCheck, ...]
    correlation: Correlation
    why: str
    next: str
    log_lines: tuple[str, ...] = ()
    """Of a rig failure: the end of the log that shows what the reason says, shortened in the middle."""
    next_command: str = ""
    """What `next` speaks of, to be typed into a shell; empty where it speaks of no command."""
    replay: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What every output says beside the verdict: of faults that the service did not meet, of upstreams that it
        never asked. Of a rig failure the reason says the former."""
        unmet = dict.fromkeys(fault.note for fault in self.faults if fault.note and self.verdict != "rig_failure")
        listed = ", ".join(self.never_asked)
        return (*unmet, *([f"no call of the service came to {listed} in the whole run"] if listed else []))


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
