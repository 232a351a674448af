"""`named azure within 5s [during azure-slow]`: the service's log or alert names the broken upstream and no healthy one.

In every window of the fault, azure must be named within the limit after the fault was applied, and until its removal no
upstream may be named that no fault had broken. If a source named an upstream just as often before the window, it does
not count. A time is measured and no share, so no error is divided among gates; one window that fails fails the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows
from harness.gates.detection.outcome import DetectionGate, DetectionOutcome, slowest_ms, worst_of
from harness.gates.gate import Finding
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind
from harness.units import duration_literal, format_duration, parse_duration_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool

NO_WINDOW: Final = DetectionOutcome(
    "inconclusive", FindingKind.NO_WINDOW, "no window of the fault lasted longer than the limit"
)
LATE_MS: Final = 1_000.0
"""A window must last this much longer than the limit, so that it is still longer if the fault is applied late."""
_EXAMPLE = "named UPSTREAM within 5s during FAULT"


def unreadable_service(alerts: str) -> GateDiagnostic:
    """The problem of a service whose log and alert cannot be read. `alerts`: an example of `service.alerts`."""
    return GateDiagnostic(
        "tailgate cannot read the log of a service given by `url`, so it cannot see which upstreams it names",
        f"say where its alert metric is: `service: {{alerts: {alerts}}}`, or remove the gate",
    )


@dataclass(frozen=True, slots=True)
class DetectedGate(DetectionGate):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("named azure within 5s during azure-latency",)

    text: str
    upstream: str
    limit_ms: float
    fault: str | None
    """None: every fault that breaks the upstream."""

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
            after = words.text[words.offset + len(comparison) :].strip()
            fix = f"named {upstream} within {after if after[:1].isdigit() else '5s during FAULT'}"
            raise GateSyntaxError(f"a `named` gate needs a time limit{how}", fix, words.offset)
        limit_ms = words.quantity(parse_duration_ms, "a duration", _EXAMPLE)
        offset = words.offset
        phase = words.phase()
        if phase.startswith("after ") or phase == "baseline":
            fix = f"named {upstream} within {duration_literal(limit_ms)} during FAULT"
            raise GateSyntaxError("a `named` gate is about the time while a fault is active", fix, offset)
        return cls(words.text, upstream, limit_ms, None if phase == "whole" else phase)

    @property
    def metric(self) -> str:
        return f"named {self.upstream}"

    @property
    def phase(self) -> str:
        return self.fault or "whole"

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,)

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        """A fault must break the upstream, and last longer than the limit."""
        if names.missing_alerts:
            yield unreadable_service(names.missing_alerts)
        breaking = [fault for fault in names.faults if self.upstream in fault.upstreams]
        if not breaking:
            message = f"no fault breaks `{self.upstream}`, so the service has no reason to name it"
            yield GateDiagnostic(message, "name one that a fault breaks", self.upstream)
            return
        asked = [fault for fault in breaking if self.fault in (None, fault.name)]
        if not asked:
            fix = f"write `during {breaking[0].name}`, or leave it out: then every fault that breaks it counts"
            yield GateDiagnostic(f"`{self.fault}` does not break `{self.upstream}`", fix, self.fault or "")
            return
        longest_ms = max(fault.for_ms for fault in asked)
        if longest_ms < self.limit_ms + LATE_MS:
            limit = duration_literal(self.limit_ms)
            yield GateDiagnostic(
                f"the fault lasts {duration_literal(longest_ms)}, so no detection could be later than {limit}",
                f"write a shorter limit, or `for: {duration_literal(self.limit_ms + LATE_MS)}` or longer",
                limit,
            )

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        """Before the first fault there must be load for as long as the limit, the warm-up included; otherwise it is
        unknown which upstreams the service names without a fault."""
        asked = (
            each
            for each in windows.faults
            if self.upstream in each.upstreams
            and self.fault in (None, each.fault)
            # shorter windows have a diagnostic of their own
            and each.length_ms > self.limit_ms
        )
        first = min(asked, key=lambda each: each.after_load_began_ms, default=None)
        if first is not None and first.after_load_began_ms < self.limit_ms:
            limit = duration_literal(self.limit_ms)
            yield GateDiagnostic(
                f"`{first.fault}` comes {duration_literal(first.after_load_began_ms)} after the load began, too soon "
                "to know which upstreams the service names without a fault",
                f"let it come {limit} or more after the load began (raise load.baseline or load.warmup, or the fault's "
                "`at`), or write a shorter limit",
                limit,
            )

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Judge every window of every run; the worst counts."""
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
