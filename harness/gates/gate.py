"""What every gate is: a parsed text that can judge evidence. The shape only; each kind has its own file.

Reading a gate imports neither numpy nor scipy: `judge` imports what it needs when it is called.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Protocol

from harness.gates.wording.figures import format_figure
from harness.gates.wording.outcomes import advice_on_endings
from harness.gates.wording.undecided import what_would_decide
from harness.rundir.finding_kind import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool
    from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows
    from harness.gates.reference_baseline import Quantile
    from harness.rundir.results import Ending

MEAN_MOMENTS: Final = 299
"""Of a batch-means bound: zero variance in a short window proves nothing."""

GateVerdict = Literal["pass", "fail", "inconclusive"]
Unit = Literal["ms", "share", "ratio", "per_s", "bytes", "count"]
DECIDED: Final[dict[GateVerdict, FindingKind]] = {
    "pass": FindingKind.HELD,
    "fail": FindingKind.EXCEEDED,
    "inconclusive": FindingKind.NOT_JUDGED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a gate found, in its own unit. Infinite and unknown are both None; `kind` says which finding it is."""

    verdict: GateVerdict
    reason: str
    """For people. Nothing decides by it."""
    limit: float | None
    unit: Unit
    op: Literal["<", ">"]
    kind: FindingKind
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    censored_at_ms: float | None = None
    censored_by: str | None = None
    """The outcome (`gateway_timeout`, `client_timeout`, `unfinished`) that cut the quantile off."""
    failed_at_rank: bool = False
    """Of a quantile: the request at its rank failed before any timeout, so it has no latency to show."""
    n: int = 0
    exceeded: int | None = None
    deflation: float | None = None
    withstands_ms: float | None = None
    seen: str = ""
    """The part of the reason that says what was seen, without the limit; empty where there is no such part."""
    endings: tuple[Ending, ...] = ()
    """How the requests that count against the gate ended, the heaviest first; empty where that is not known."""
    socket_states: tuple[tuple[str, int], ...] = ()
    """Of a failed gate on sockets: the states of those that were there, the most frequent first."""


@dataclass(frozen=True, slots=True)
class AdviceContext:
    """What advice may speak of beside the finding."""

    gateway_timeout_ms: float | None = None
    slowest_upstream: str | None = None
    """The upstream that made most of the phase's slow requests slow."""
    endings: tuple[Ending, ...] = ()
    """How the gate's bad requests ended; of a gate that counts none, those of its phase that were not ok."""
    confidence: float = 0.95
    clump_ms: float = 0.0
    rate_per_s: float = 0.0
    """The highest planned; 0 in the closed model."""


class Gate(Protocol):
    """One gate of a scenario. `phase` is `whole`, `baseline`, a fault's name, or `after ` and one."""

    @property
    def text(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def phase(self) -> str: ...

    @property
    def uses_gateway_timeout(self) -> bool: ...

    @property
    def uses_complete(self) -> bool:
        """It asks which upstreams' rows were in an answer."""
        ...

    @property
    def uses_main(self) -> bool:
        """Its limit stands in the file given by `--baseline`."""
        ...

    @property
    def uses_resources(self) -> bool:
        """It is about what the service's processes hold, which is often why another gate failed."""
        ...

    @property
    def significance(self) -> str:
        """Of a gate that is not about how requests ended: a sentence on why it matters; else empty."""
        ...

    def phases(self) -> tuple[str, ...]:
        """Every phase it rests on: its own, and the baseline it compares with."""
        ...

    def upstreams(self) -> tuple[str, ...]: ...

    def requests(self) -> tuple[str, ...]: ...

    def moments(self, confidence: float) -> int:
        """How many independent moments (clumps) a window needs for a PASS to be possible at all; 0: not so bound."""
        ...

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        """How long the load must go on after its fault's last removal for it to be decided; 0: no such need."""
        ...

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        """The latency it forbids, where it is one and known before the run."""
        ...

    def window_needed_ms(self) -> float:
        """How long a phase must last at least, whatever arrives in it; 0: its moments say so alone."""
        ...

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        """What this kind of gate needs of a scenario besides the names it refers to, where that is not so."""
        ...

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        """What this kind of gate needs of the planned windows besides moments and arrivals, where that is not so."""
        ...

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Decide from evidence. `alpha_fail` is the error a FAIL may have, the gates' number already divided out."""
        ...

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        """Of a run under way: the FAIL that holds for every completion of its plan.

        None where nothing is sure yet, and of a gate whose FAIL is never sure before the end.
        """
        ...

    def in_baseline(self) -> Gate | None:
        """The same gate put to the baseline; None where it speaks of a fault alone or compares with the baseline."""
        ...

    def breaks(self, finding: Finding) -> bool:
        """Whether what was seen is beyond the limit, surely or not."""
        ...

    def own_quantile(self, pool: Pool) -> Quantile | None:
        """The quantile that a later run may compare itself with; None where the gate has none."""
        ...

    def headline(self, finding: Finding) -> str:
        """What was seen, beside the limit: the middle of a sentence that begins with when it was."""
        ...

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        """What to do next where the gate failed, or what would decide it."""
        ...

    def format(self, value: float) -> str:
        """A figure of this gate for people."""
        ...


class GateDefaults:
    """What holds for most gates, so that a kind states only what is special to it."""

    __slots__ = ()

    WORDS: ClassVar[tuple[str, ...]] = ()

    @property
    def uses_gateway_timeout(self) -> bool:
        return False

    @property
    def uses_complete(self) -> bool:
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
    def unit(self) -> Unit:
        return "ms"

    def phases(self: Gate) -> tuple[str, ...]:
        return (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return ()

    def requests(self) -> tuple[str, ...]:
        return ()

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
        return finding.observed >= finding.limit if finding.op == "<" else finding.observed <= finding.limit

    def own_quantile(self, pool: Pool) -> Quantile | None:
        return None

    def headline(self: Gate, finding: Finding) -> str:
        return f"`{self.text}` did not hold, {finding.reason}"

    def advice(self: Gate, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "inconclusive":
            return what_would_decide(self, finding.kind, ctx)
        return advice_on_endings(ctx)

    def format(self, value: float) -> str:
        return format_figure(self.unit, value)


def moments_for_share(p0: float, confidence: float) -> int:
    """Independent moments without one exceedance that show a share below `p0` (299 for 1 % at 95 %)."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-p0))
