"""`named azure within 5s [during azure-slow]`: log or alert of the service name the faulted upstream, no healthy one.

In every window of the fault: azure named within the limit of the fault's coming, and until its removal nobody that no
fault had touched. What a source was saying already when the window began is no news of it, whomever it names. What is
seen is a time, not a share: no error is shared out, and one window that fails fails the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.gate import Finding
from harness.gates.tokenizer import GateSyntaxError, Tokens
from harness.units import format_duration, parse_duration_ms

if TYPE_CHECKING:
    from harness.evidence import Pool

STOPPED: Final = "the run was stopped before this phase was over"
UNRECORDED: Final = "this run recorded nothing of whom the service named"
# what a finding is, for whoever advises; its reason holds lines of the service's own
BLAMED: Final = "blamed"
LATE: Final = "late"
UNHEEDED: Final = "unheeded"
MUTE: Final = "mute"
SILENT: Final = "silent"
ANYWAY: Final = "anyway"
UNHEARD: Final = "unheard"
UNREAD: Final = "unread"
NO_WITNESS: Final = "no witness"
_EXAMPLE = "named UPSTREAM within 5s during FAULT"


@dataclass(frozen=True, slots=True)
class DetectedGate:
    text: str
    upstream: str
    limit_ms: float
    fault: str | None
    """None: every fault that hits the upstream."""

    uses_gateway_timeout: ClassVar[bool] = False
    uses_complete: ClassVar[bool] = False
    uses_main: ClassVar[bool] = False

    @classmethod
    def reads(cls, word: str) -> bool:
        return word == "named"

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        offset = words.offset
        upstream = words.name("an upstream's name", _EXAMPLE)
        if not words.accept("within"):
            if upstream == "within":
                raise GateSyntaxError("the upstream is missing", f"named UPSTREAM within {words.peek()}", offset)
            comparison = words.peek() if words.peek()[:1] == "<" else ""
            how = f": write `within` for `{comparison}`" if comparison else ""
            fix = f"named {upstream} within 5s during FAULT"
            raise GateSyntaxError(f"a `named` gate says within which time{how}", fix, words.offset)
        limit_ms = words.quantity(parse_duration_ms, "a duration", _EXAMPLE)
        offset = words.offset
        phase = words.phase()
        if phase.startswith("after ") or phase == "baseline":
            raise GateSyntaxError("a `named` gate speaks of a fault while it stands", _EXAMPLE, offset)
        return cls(words.text, upstream, limit_ms, None if phase == "whole" else phase)

    @property
    def metric(self) -> str:
        return f"named {self.upstream}"

    @property
    def phase(self) -> str:
        return self.fault or "whole"

    def phases(self) -> tuple[str, ...]:
        return (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,)

    def requests(self) -> tuple[str, ...]:
        return ()

    def moments(self, confidence: float) -> int:
        return 0

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return 0.0

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return None

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Every window of every run; the worst counts."""
        from harness.gates.detection.named_judge import outcomes_of

        outcomes = [outcome for run in pool.runs for outcome in outcomes_of(run, self)]
        times = [o.after_ms for o in outcomes if o.after_ms is not None]
        worst = next((o for v in ("fail", "inconclusive", "pass") for o in outcomes if o.verdict == v), None)
        reason = worst.reason if worst else "no window of the fault lasted longer than the limit"
        if worst and worst.verdict == "pass":
            slowest = max(outcomes, key=lambda o: o.after_ms or 0.0)
            windows = f", the slowest of {len(outcomes)} windows" if len(outcomes) > 1 else ""
            reason = f"{slowest.reason}{windows}, limit {format_duration(self.limit_ms)}"
        return Finding(
            verdict=worst.verdict if worst else "inconclusive",
            reason=reason,
            limit=self.limit_ms,
            unit="ms",
            op="<",
            observed=max(times) if outcomes and len(times) == len(outcomes) else None,
            n=sum(o.n for o in outcomes),
            kind=worst.kind if worst else "",
        )
