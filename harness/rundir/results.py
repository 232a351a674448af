"""The shape of results.json, and its serialization. docs/results.md describes the fields for users.

Equal evidence gives equal bytes: keys are sorted, floats have six significant digits, paths are relative, and nothing
depends on the time of judging. null means unknown; an infinite latency is null with `censored_at_ms` or
`failed_at_rank` set.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.finding_kind import FindingKind
from harness.rundir.judged.fault_results import FalseAlarm, FaultResult, unmet_notes
from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.origin_notes import OF_HANDSHAKES, OriginNote
from harness.rundir.sessions.login_record import LoginRecord
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


ORIGIN_NOTES_MOST: Final = 6
"""So many notes on real origins are shown; the others are in results.json."""

REQUESTS_MOST: Final = 50
"""So many names of requests have figures of their own in a phase."""
LOCUSTFILE_NOTES_MOST: Final = 8
"""So many notes on the locustfile are shown; the others are in results.json."""


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
    """The machine of the run; of pooled runs that of the first."""

    cores: int | None = None
    """How many cores the run might use; null: unknown."""
    platform: str | None = None
    yardstick: Yardstick | None = None
    """How long the same fixed work took before and after the run; null: an older version did not measure it."""


class RunRef(Frozen):
    id: str
    started_at: str
    engine: str
    gateway: GatewayRef
    load: LoadRef
    machine: Machine = Machine()
    stopped: str | None
    """Why the load ended before the time that the plan says; null: it did not."""


class Ending(Frozen):
    """How `n` of the requests ended that count against a gate."""

    outcome: str
    """An outcome's name; `slow`: the request ended ok, but too late for the gate."""
    status: int | None = None
    """The HTTP status of an `http_error`; null: unknown."""
    n: int


class GateResult(Frozen):
    id: str
    text: str
    line: int
    metric: str
    phase: str
    verdict: Literal["pass", "fail", "inconclusive"]
    kind: FindingKind | None = None
    """Which finding it is; null: judged by an older version. Code decides by it, never by `reason`."""
    reason: str
    limit: float | None
    unit: Literal["ms", "share", "ratio", "per_s", "bytes", "count"]
    op: Literal["<", ">", "="]
    observed: float | None
    low: float | None
    high: float | None
    censored_at_ms: float | None = None
    censored_by: str | None = None
    """The outcome that censors the latency: gateway_timeout, client_timeout or unfinished."""
    failed_at_rank: bool = False
    """Of a latency gate: the request at that rank failed before any timeout, so `observed` is null and not censored."""
    as_before: bool = False
    """A failed gate was no better in the baseline, before any fault."""
    n: int
    exceeded: int | None
    exceeded_by: tuple[Ending, ...] = ()
    """How the requests that exceeded the limit ended, the most frequent first; empty: unknown, or none did."""
    deflation: float | None
    withstands_ms: float | None

    @property
    def is_infinite(self) -> bool:
        """Whether the observed latency is infinite: the request at that rank timed out or failed."""
        return self.observed is None and (self.censored_at_ms is not None or self.failed_at_rank)


class LatencySummary(Frozen):
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class PresenceResult(Frozen):
    """How many of a phase's answers contained one upstream's rows.

    `answers` is the number of the arrivals' first requests that ask for the upstream and ended ok; errors do not count.
    """

    upstream: str
    answers: int
    share: float | None
    """The share of the answers that contained its rows, during a fault or not; null: there was no answer."""
    expected: int
    """The number of answers without those during which a fault was active on it."""
    missing: int
    """How many of the expected answers lacked it, and so are incomplete."""


class RequestResult(Frozen):
    """The requests of one name in one phase: the first of each task from its intended time, later ones from when they
    were sent."""

    name: str
    n: int
    outcomes: dict[str, int]
    latency_ms: LatencySummary


class PhaseResult(Frozen):
    name: str
    start_ms: float
    end_ms: float
    n: int
    outcomes: dict[str, int]
    no_request: int = 0
    """Arrivals of a locustfile whose task sent nothing; they are not among the `n` and in no gate."""
    latency_ms: LatencySummary
    throughput_per_s: float
    complete_share: float | None
    present: tuple[PresenceResult, ...] = ()
    """One for each upstream that the phase's requests ask for; empty if `load.complete` is none."""
    requests: tuple[RequestResult, ...] = ()
    """One for each name, the most frequent first, at most REQUESTS_MOST; empty if the load has one request only."""


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
    """The share of the phase's slow requests in which this upstream answered last."""
    wait_caused_ms: float | None
    """How much longer these requests waited for it than for the next slowest; the mean over all slow requests."""


class CostResult(Frozen):
    """What the service's processes used in one phase. `…_end`: the highest of the phase's last five readings."""

    phase: str
    readings: int
    rss_max_bytes: int | None
    rss_end_bytes: int | None
    threads_max: int | None
    threads_end: int | None
    fds_max: int | None
    fds_end: int | None
    sockets_max: int | None
    """TCP sockets that do not listen."""
    sockets_end: int | None
    sockets_by_state: dict[str, int] | None
    """At the reading with the most sockets; listening ones are included."""
    cpu_s_per_s: float | None
    """Cores used on average."""
    cpu_ms_per_request: float | None


class CoresResult(Frozen):
    """Who had the cores that the service may use, in one run while the load was on. Figures are seconds per second."""

    cores: int
    """How many the service may use."""
    seconds: int
    waited_s_per_s: float
    """How long the service's threads, added up, were ready to run and waited for a core; the mean."""
    waited_most_s: float
    """The same in the worst second."""
    others_s_per_s: float
    """The processor time that processes outside the run used of these cores, with what a hypervisor took; the mean."""
    others_most_s: float
    taken: tuple[tuple[int, int], ...]
    """The seconds in which others took the cores while the service waited for one: from, to, counted from t = 0. None
    where the service needs far more cores for the load than it has."""


class IncompleteAnswerResult(Frozen):
    """One of the first answers that were ok and lacked an upstream that no fault excuses; its body was kept."""

    seq: int
    part: int
    """0: the arrival's first request."""
    at_ms: float
    """The intended time, from t = 0."""
    phase: str
    request: str
    status: int
    missing: tuple[str, ...]
    file: str | None
    """Relative to the directory of results.json; null: it could not be written."""
    bytes: int
    """The size of the whole decoded body."""
    cut: bool
    """Whether the file contains its beginning only."""


CHECK_ORDER: Final = ("faults", "workers", "rollback", "files", "counts", "cores", "lag", "generator_cpu")
"""If several checks failed, the first of these gives the reason of the run: causes stand before their consequences."""


class ValidityCheck(Frozen):
    check: Literal["counts", "lag", "cores", "files", "faults", "rollback", "generator_cpu", "workers"]
    ok: bool
    detail: str
    part: str = ""
    """What failed, for people: `upstream cache`, `service`, `gateway`; empty: nothing did, or the check's name says
    it."""


class Correlation(Frozen):
    mode: Literal["header", "traceparent", "none"]
    joined_share: float | None
    replayable: bool = True
    """Every call of the service carried the number of its arrival, so another run with this seed draws the same
    latencies and breaks the same calls. Calls without a number are counted, and their order differs between runs."""


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
    """Empty: there were none, or they were not recorded."""
    upstreams: tuple[UpstreamResult, ...]
    never_asked: tuple[str, ...] = ()
    """Upstreams that got no call in the whole run, the warm-up included."""
    incomplete_answers: tuple[IncompleteAnswerResult, ...] = ()
    """At most five, in order of time."""
    unmatched: tuple[Unmatched, ...] = ()
    """The service's calls that the fakes do not support, over the whole run, the warm-up included."""
    origins: tuple[OriginNote, ...] = ()
    """What was noticed of real origins, and of handshakes that failed, over the whole run, the warm-up included."""
    locustfile: tuple[LocustfileNote, ...] = ()
    """What was noticed of the user's own locustfile: what has no meaning in the run, and what it did wrong."""
    login: LoginRecord | None = None
    """The sessions of the load and how their renewals went, over all runs; None: it has none."""
    cost: tuple[CostResult, ...] = ()
    """The service's resources, one per phase; empty if tailgate did not start the service."""
    cores: tuple[CoresResult | None, ...] = ()
    """One for each run that was judged; null: it is unknown who used the cores. Empty: an older version judged it."""
    validity: tuple[ValidityCheck, ...]
    correlation: Correlation
    why: str
    next: str
    log_lines: tuple[str, ...] = ()
    """For a rig failure: the end of the log that shows the reason, shortened in the middle."""
    next_command: str = ""
    """The shell command that `next` recommends; empty if it recommends none."""
    replay: str

    @property
    def failed_checks(self) -> tuple[ValidityCheck, ...]:
        """Causes before their consequences. In a rig failure the first one's detail is the `reason`."""
        failed = [check for check in self.validity if not check.ok]
        return tuple(sorted(failed, key=lambda check: CHECK_ORDER.index(check.check)))

    @property
    def unheard(self) -> tuple[str, ...]:
        """Of `never_asked` those with which the service tried no handshake either: a note on that says more."""
        tried = {note.upstream for note in self.origins if note.kind in OF_HANDSHAKES}
        return tuple(name for name in self.never_asked if name not in tried)

    @property
    def notes(self) -> tuple[str, ...]:
        """What every output adds to the verdict: faults that no call of the service met (for a rig failure the reason
        says so already), upstreams that it never called, what was noticed of real origins, of handshakes and of the
        user's locustfile, and renewals of the login that failed."""
        unmet = unmet_notes(self.faults) if self.verdict != "rig_failure" else ()
        listed = ", ".join(self.unheard)
        origins = [note.sentence() for note in self.origins[:ORIGIN_NOTES_MOST]]
        locustfile = [note.sentence() for note in self.locustfile if not note.is_fatal]
        never = [f"no call of the service came to {listed} in the whole run"] if listed else []
        login = self.login.notes() if self.login else ()
        return (*unmet, *never, *origins, *locustfile[:LOCUSTFILE_NOTES_MOST], *login)


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


def prepare() -> None:
    """Build the validators of all parts of results. Otherwise each is built when it is first used."""
    for part in tuple(globals().values()):
        if isinstance(part, type) and issubclass(part, Frozen):
            part.model_rebuild()


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
            raise ValueError("results.json cannot contain infinity; use null and censored_at_ms")
        return float(f"{value:.6g}")
    return value
