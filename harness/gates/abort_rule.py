"""`errors > 20% for 10s`: a safety stop (`load.abort_if`). It ends a run that does harm, and judges nothing.

It looks at the requests that ended in the last DURATION, of which there must be at least 20. Without a phase it holds
wherever the plan has no fault, since during a fault failures are what a run is for. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from harness.gates.shares.outcomes import BAD_OUTCOMES, did
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.value_types import refusal
from harness.rundir.phases import planned_phases
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS, duration_literal, format_count, format_share, parse_duration_ms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.rundir.plan import Plan

METRICS: Final = ("errors", "timeouts", "dropped")
REQUESTS_LEAST: Final = 20
"""Fewer requests in the duration are too few to end a run by."""
FOR_MS_LEAST: Final = 1_000.0
"""Workers write their rows once a second, so a shorter time cannot be looked at."""
_EXAMPLE: Final = "errors > 20% for 10s"


@dataclass(frozen=True, slots=True)
class AbortRule:
    text: str
    metric: str
    share: float
    """Above this fraction of the requests the run is ended."""
    for_ms: float
    phase: str | None
    """None: wherever the plan has no fault."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises GateSyntaxError."""
        words = Tokens(text)
        offset = words.offset
        metric = words.take("`errors`, `timeouts` or `dropped`", _EXAMPLE).text
        if metric not in METRICS:
            raise GateSyntaxError(f"a run is not ended by `{metric}`", f"one of {', '.join(METRICS)}", offset)
        words.comparison(">", f"{metric} > 20% for 10s")
        share = words.share("20%")
        offset = words.offset
        if not words.accept("for"):
            before = text[:offset].rstrip()
            raise GateSyntaxError("the rule does not say for how long", f"write `{before} for 10s`", offset)
        offset = words.offset
        for_ms = words.quantity(parse_duration_ms, "a duration", "10s")
        if for_ms < FOR_MS_LEAST:
            raise GateSyntaxError("requests are looked at once a second", duration_literal(FOR_MS_LEAST), offset)
        phase = None
        if words.accept("during"):
            phase = words.name("a fault's name, `baseline` or `whole`", "during FAULT")
        if words.peek() == "after":
            reason = "a safety stop holds during a phase, and after every fault where it names none"
            raise GateSyntaxError(reason, f"write `{text[: words.offset].rstrip()}`", words.offset)
        words.end()
        return cls(text, metric, share, for_ms, phase)

    def reason(self, plan: Plan, rows: NDArray[Any], t0_ns: int) -> str | None:
        """Why the run should be ended now; None if it may go on. `rows`: the requests so far, in any order."""
        import numpy as np

        if not len(rows):
            return None
        now_ms = (int(rows["done_ns"].max()) - t0_ns) / NS_PER_MS
        begin_ms = now_ms - self.for_ms
        within = next((each for each in self._intervals(plan) if each[0] <= begin_ms and now_ms < each[1]), None)
        if within is None:
            return None
        # what was sent before the phase began says nothing about it
        chosen = rows["intended_ns"] >= t0_ns + round(within[0] * NS_PER_MS)
        chosen &= rows["done_ns"] > t0_ns + round(begin_ms * NS_PER_MS)
        outcomes = rows["outcome"][chosen]
        outcomes = outcomes[outcomes != Outcome.NO_REQUEST]
        n, k = len(outcomes), int(np.isin(outcomes, BAD_OUTCOMES[self.metric]).sum())
        if n < REQUESTS_LEAST or k <= self.share * n:
            return None
        last = f"{format_count(k)} of the {format_count(n)} requests that ended in the last"
        return f"`{self.text}`: {last} {duration_literal(self.for_ms)} ({format_share(k / n)}) {did(self.metric)}"

    def _intervals(self, plan: Plan) -> list[tuple[float, float]]:
        """Where the rule holds, in ms from t = 0."""
        if self.phase is not None:
            return [i for phase in planned_phases(plan) if phase.name == self.phase for i in phase.intervals]
        free = [(-plan.load.warmup_ms, float("inf"))]
        for window in (window for fault in plan.faults for window in fault.windows):
            free = [
                part
                for begin, end in free
                for part in ((begin, min(end, window.apply_ms)), (max(begin, window.remove_ms), end))
                if part[0] < part[1]
            ]
        return free


def abort_text(value: Any) -> Any:
    """The value unchanged. Raises a refusal if it is a text that is no rule."""
    if isinstance(value, str):
        try:
            AbortRule.parse(value)
        except GateSyntaxError as exc:
            raise refusal(f"`{value}`: {exc.message}", exc.fix or f"such as {_EXAMPLE}") from None
    return value
