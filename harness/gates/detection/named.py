"""`named azure within 5s [during azure-slow]`: log or alert of the service name the faulted upstream, no healthy one.

In every window of the fault: azure named within the limit of the fault's coming, and until its removal nobody that no
fault had touched. What a source was saying already when the window began is no news of it, whomever it names. What is
seen is a time, not a share: no error is shared out, and one window that fails fails the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from harness.gates.detection.outcome import DetectionGate, DetectionOutcome, slowest_ms, worst_of
from harness.gates.gate import Finding
from harness.gates.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind
from harness.units import format_duration, parse_duration_ms

if TYPE_CHECKING:
    from harness.evidence import Pool

NO_WINDOW: Final = DetectionOutcome(
    "inconclusive", FindingKind.NO_WINDOW, "no window of the fault lasted longer than the limit"
)
_EXAMPLE = "named UPSTREAM within 5s during FAULT"


@dataclass(frozen=True, slots=True)
class DetectedGate(DetectionGate):
    text: str
    upstream: str
    limit_ms: float
    fault: str | None
    """None: every fault that hits the upstream."""

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

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,)

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Every window of every run; the worst counts."""
        from harness.gates.detection.named_judge import outcomes_of

        outcomes = [outcome for run in pool.runs for outcome in outcomes_of(run, self)]
        worst = worst_of(outcomes) or NO_WINDOW
        reason = worst.reason
        if worst.verdict == "pass":
            windows = f", the slowest of {len(outcomes)} windows" if len(outcomes) > 1 else ""
            reason = f"{reason}{windows}, limit {format_duration(self.limit_ms)}"
        return Finding(
            verdict=worst.verdict,
            reason=reason,
            limit=self.limit_ms,
            unit="ms",
            op="<",
            kind=worst.kind,
            observed=slowest_ms(outcomes),
            n=sum(o.n for o in outcomes),
        )
