"""The interface of every gate: a parsed text that can judge evidence. Each kind of gate has a file of its own.

Parsing a gate imports neither numpy nor scipy, nor what words a verdict: each method imports what it needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from harness.rundir.finding_kind import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool
    from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows
    from harness.gates.reference.baseline_file import BaselineFile, Figure
    from harness.rundir.metrics.series import Series
    from harness.rundir.plan import Plan
    from harness.rundir.results import Ending

MEAN_MOMENTS: Final = 299
"""A bound by batch means needs this many independent moments: in a shorter window a variance of zero proves nothing."""

GateVerdict = Literal["pass", "fail", "inconclusive"]
Unit = Literal["ms", "share", "ratio", "per_s", "bytes", "count"]
Op = Literal["<", ">", "="]
DECIDED: Final[dict[GateVerdict, FindingKind]] = {
    "pass": FindingKind.HELD,
    "fail": FindingKind.EXCEEDED,
    "inconclusive": FindingKind.NOT_JUDGED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What judging a gate found, in the gate's unit. None is infinite or unknown; `kind` tells the cases apart."""

    verdict: GateVerdict
    reason: str
    """A sentence for people. Nothing may be decided by its words."""
    limit: float | None
    unit: Unit
    op: Op
    kind: FindingKind
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    censored_at_ms: float | None = None
    censored_by: str | None = None
    """The outcome (`gateway_timeout`, `client_timeout`, `unfinished`) that cut the quantile off."""
    failed_at_rank: bool = False
    """For a quantile: the request at its rank failed before any timeout, so it has no latency to show."""
    n: int = 0
    """How many requests or readings were judged."""
    exceeded: int | None = None
    """How many of them count against the gate."""
    deflation: float | None = None
    """The design effect: the sample counts as if it were smaller by this factor, because slow requests cluster."""
    withstands_ms: float | None = None
    """The margin: the longest clump (mean length of slow spells) at which a PASS would still hold."""
    seen: str = ""
    """The part of the reason that says what was observed, without the limit; empty if there is no such part."""
    endings: tuple[Ending, ...] = ()
    """How the requests that count against the gate ended, the commonest first; empty if that is unknown."""
    socket_states: tuple[tuple[str, int], ...] = ()
    """For a failed gate on sockets: how many were in which TCP state, the most frequent first."""


@dataclass(frozen=True, slots=True)
class AdviceContext:
    """What a gate's advice may mention besides its finding."""

    gateway_timeout_ms: float | None = None
    slowest_upstream: str | None = None
    """The upstream that made most of the phase's slow requests slow."""
    endings: tuple[Ending, ...] = ()
    """How the requests that count against the gate ended; for a gate that counts no requests, how those of its phase
    ended that were not ok."""
    confidence: float = 0.95
    clump_ms: float = 0.0
    rate_per_s: float = 0.0
    """The highest planned rate of the requests that the gate counts; 0 in the closed model."""


class Gate(Protocol):
    """One gate of a scenario. `phase` is `whole`, `baseline`, a fault's name, or `after ` and a fault's name."""

    @property
    def text(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def phase(self) -> str: ...

    @property
    def uses_gateway_timeout(self) -> bool:
        """Whether its limit is `gateway.timeout`."""
        ...

    @property
    def uses_complete(self) -> bool:
        """Whether it needs to know which upstreams' rows were in an answer."""
        ...

    @property
    def uses_first_byte(self) -> bool:
        """Whether it needs the time of the first byte, which a gateway that buffers answers would hide."""
        ...

    @property
    def uses_main(self) -> bool:
        """Whether its limit comes from the file given by `--baseline`."""
        ...

    @property
    def uses_resources(self) -> bool:
        """Whether it is about the service's memory, threads or sockets, which often explain why another gate failed."""
        ...

    @property
    def significance(self) -> str:
        """For a gate that is not about how requests ended, a sentence on why it matters; else empty."""
        ...

    @property
    def series(self) -> Series | None:
        """The series of the service's metrics that it is about, which the run records; None if it is about none."""
        ...

    def phases(self) -> tuple[str, ...]:
        """Every phase that it needs: its own, and the baseline if it compares with it."""
        ...

    def upstreams(self) -> tuple[str, ...]: ...

    def requests(self) -> tuple[str, ...]: ...

    @property
    def counts_calls(self) -> bool:
        """Whether it is decided by the records of calls: those to its upstreams, or to all where it names none."""

    @property
    def allowed_share(self) -> float | None:
        """If the gate is decided by the share of requests that count against it: the share from which on it does not
        hold. None if it is decided in another way, or against a limit that only the run gives."""
        ...

    @property
    def unfit_for_one_rate(self) -> str:
        """Why a search over rates, whose loads differ in length and whose faults never end, cannot judge it; empty if
        it can."""
        ...

    @property
    def limits_rate(self) -> bool:
        """Whether its limit is a rate of the requests that it judges, which a search over rates changes."""
        ...

    def moments(self, confidence: float) -> int:
        """How many independent moments (clumps) a window needs so that a PASS is possible; 0: any number will do."""
        ...

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        """How long the load must go on after the fault's last removal for the gate to be decided; 0: not at all."""
        ...

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        """The latency from which on a request counts against it; None if it has no such limit, or one that only the run
        gives."""
        ...

    def window_needed_ms(self) -> float:
        """How long a phase must last at least, whatever arrives in it; 0: only `moments` and arrivals matter."""
        ...

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        """What the scenario lacks that this kind of gate needs, besides the names that the gate refers to."""
        ...

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        """What the planned windows lack that this kind of gate needs, besides moments and arrivals."""
        ...

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Decide from evidence. `alpha_fail`: the error a FAIL may have, already divided by the number of gates."""
        ...

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        """For a run under way: the FAIL that holds however the run goes on.

        None if nothing is certain yet, and always for a gate whose FAIL is never certain before the end.
        """
        ...

    def in_baseline(self) -> Gate | None:
        """The same gate for the baseline; None if it only makes sense for a fault, or compares with the baseline."""
        ...

    def breaks(self, finding: Finding) -> bool:
        """Whether the observed figure is beyond the limit, whether or not that is certain."""
        ...

    def own_figure(self, pool: Pool) -> Figure | None:
        """The figure with which a later run may compare itself; None if the gate has none."""
        ...

    def refuses_main(self, main: BaselineFile, plan: Plan) -> str:
        """Why the gate could never be decided with this file of --baseline; empty if it can."""
        ...

    def headline(self, finding: Finding) -> str:
        """What was observed and the limit: the part of a sentence that follows `During azure-slow (azure: …),`."""
        ...

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        """What to do next if the gate failed; what would decide it if it is inconclusive."""
        ...

    def format(self, value: float) -> str:
        """A figure in the gate's unit, for people."""
        ...


class GateDefaults:
    """The answers that are right for most kinds of gate, so that a kind states only where it differs."""

    __slots__ = ()

    @property
    def uses_gateway_timeout(self) -> bool:
        return False

    @property
    def uses_complete(self) -> bool:
        return False

    @property
    def uses_first_byte(self) -> bool:
        return False

    @property
    def uses_main(self) -> bool:
        return False

    @property
    def uses_resources(self) -> bool:
        return False

    @property
    def significance(self) -> str:
        return ""

    @property
    def series(self) -> Series | None:
        return None

    @property
    def unit(self) -> Unit:
        return "ms"

    def phases(self: Gate) -> tuple[str, ...]:
        return (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return ()

    def requests(self) -> tuple[str, ...]:
        return ()

    @property
    def counts_calls(self) -> bool:
        return False

    @property
    def allowed_share(self) -> float | None:
        return None

    @property
    def unfit_for_one_rate(self) -> str:
        return ""

    @property
    def limits_rate(self) -> bool:
        return False

    def moments(self, confidence: float) -> int:
        return 0

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return 0.0

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return None

    def window_needed_ms(self) -> float:
        return 0.0

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        return ()

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        return ()

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        return None

    def in_baseline(self) -> Gate | None:
        return None

    def breaks(self, finding: Finding) -> bool:
        if finding.observed is None or finding.limit is None:
            return False
        return finding.observed <= finding.limit if finding.op == ">" else finding.observed >= finding.limit

    def own_figure(self, pool: Pool) -> Figure | None:
        return None

    def refuses_main(self, main: BaselineFile, plan: Plan) -> str:
        return ""

    def headline(self: Gate, finding: Finding) -> str:
        return f"`{self.text}` did not hold, {finding.reason}"

    def advice(self: Gate, finding: Finding, ctx: AdviceContext) -> str:
        from harness.gates.wording.outcomes import advice_on_endings
        from harness.gates.wording.undecided import what_would_decide

        if finding.verdict == "inconclusive":
            return what_would_decide(self, finding.kind, ctx)
        return advice_on_endings(ctx)

    def format(self, value: float) -> str:
        from harness.gates.wording.figures import format_figure

        return format_figure(self.unit, value)


def moments_for_share(p0: float, confidence: float) -> int:
    """How many independent moments without an exceedance show that the share is below `p0`: the smallest n with
    (1 − p0)^n ≤ 1 − confidence, so 299 for 1 % at 95 %."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-p0))
