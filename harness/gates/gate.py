"""What every gate is: a parsed text that can judge evidence. The shape only; each kind has its own file.

Reading a gate imports neither numpy nor scipy: `judge` imports what it needs when it is called.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool
    from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows

MEAN_MOMENTS: Final = 299
"""Of a batch-means bound: zero variance in a short window proves nothing."""

GateVerdict = Literal["pass", "fail", "inconclusive"]
Unit = Literal["ms", "share", "ratio", "per_s", "bytes", "count"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a gate found, in its own unit. Infinite and unknown are both None; `reason` says which."""

    verdict: GateVerdict
    reason: str
    limit: float | None
    unit: Unit
    op: Literal["<", ">"]
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    censored_at_ms: float | None = None
    failed_at_rank: bool = False
    """Of a quantile: the request at its rank failed before any timeout, so it has no latency to be told."""
    n: int = 0
    exceeded: int | None = None
    deflation: float | None = None
    withstands_ms: float | None = None
    kind: str = ""
    """Which of the gate's findings it is, for whoever picks an advice; `reason` is for people. Not in results.json."""


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


def moments_for_share(p0: float, confidence: float) -> int:
    """Independent moments without one exceedance that show a share below `p0` (299 for 1 % at 95 %)."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-p0))
