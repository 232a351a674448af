"""`cpu < 5ms`, `log < 2kB`: processor time of the service, or bytes that it wrote to its log, for each request.

Both are totals over the phase divided by the requests that ended in it, read from counters once a second, so no
statistics are involved: `per_request_judge` decides. The limit is a duration, a size, or a multiple of the baseline's
own figure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import AdviceContext, Finding, Gate, GateDefaults, Unit
from harness.gates.readings.sampled_gate import SampledGate, not_started, phase_of
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.meant_quantities import durations_meant, sizes_meant
from harness.rundir.finding_kind import FindingKind
from harness.units import duration_literal, parse_bytes, parse_duration_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool

Counter = Literal["cpu", "log"]
FIGURES: Final[dict[Counter, str]] = {"cpu": "cpu_s", "log": "log_bytes"}
"""The counter in the readings that each metric is read from."""
READINGS_LEAST: Final = 5
"""Fewer readings are too few to judge a phase by."""
WINDOW_MS_LEAST: Final = 10_000.0
"""A phase of this length has enough readings even on a slow machine, where one is taken in 2 s."""
_EXAMPLES: Final[dict[Counter, str]] = {"cpu": "cpu < 5ms", "log": "log < 2kB"}
_LOOK_FOR: Final[dict[Counter, str]] = {
    "cpu": "Profile the service in this phase: look for retries, for work that goes on after a call was given up, and "
    "for bodies that are parsed more than once.",
    "log": "Read logs/sut.log of this phase: a traceback for each failed call grows with the rate and fills the disk.",
}
_RATIO: Final = re.compile(r"(\d+(?:\.\d+)?)(x?)")


@dataclass(frozen=True, slots=True)
class PerRequestGate(SampledGate):
    """`limit`: in ms or bytes for each request."""

    EXAMPLES: ClassVar[tuple[str, ...]] = ("cpu < 5ms during baseline", "log < 2kB during azure-latency")

    counter: Counter

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        metric = next(known for known in FIGURES if known == words.peek())
        words.take()
        words.comparison("<", _EXAMPLES[metric])
        offset = words.offset
        factor = _factor(words, metric)
        limit = None if factor is not None else _limit(words, metric)
        return cls(words.text, limit, factor, phase_of(words, factor, _EXAMPLES[metric], offset), metric)

    @property
    def metric(self) -> Counter:
        return self.counter

    @property
    def figure(self) -> str:
        """The counter in the readings."""
        return FIGURES[self.metric]

    @property
    def unit(self) -> Unit:
        return "ms" if self.metric == "cpu" else "bytes"

    @property
    def uses_resources(self) -> bool:
        return True

    @property
    def window_ms_least(self) -> float:
        return WINDOW_MS_LEAST

    @property
    def needs(self) -> str:
        return f"{READINGS_LEAST} readings of the service need {duration_literal(WINDOW_MS_LEAST)}"

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        return not_started(names, self.metric)

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.readings.per_request_judge import judge

        return judge(self, pool)

    def in_baseline(self) -> Gate | None:
        return None

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "fail":
            return _LOOK_FOR[self.metric]
        if finding.kind in (FindingKind.NO_PROCESS, FindingKind.STOPPED):
            return GateDefaults.advice(self, finding, ctx)
        phase = "baseline" if finding.kind == FindingKind.NO_BASELINE else self.phase
        return f"Let the phase `{phase}` last longer, on a less busy machine."


def _factor(words: Tokens, metric: Counter) -> float | None:
    """The factor of `1.5x baseline`; None if the limit is a quantity."""
    words.refuse_glued()
    offset = words.offset
    match = _RATIO.fullmatch(words.peek())
    if match is None:
        return None
    number = words.take()
    if not (match[2] or words.accept("x")):
        meant = words.respelled(durations_meant if metric == "cpu" else sizes_meant, number)
        units = ("ms", "s") if metric == "cpu" else ("B", "kB")
        fix = meant or " or ".join(f"{number.text}{unit}" for unit in units)
        raise GateSyntaxError(f"`{number.text}` has no unit", fix, offset)
    of = words.take("`baseline`", f"{metric} < {match[1]}x baseline")
    if of.text != "baseline":
        reason = f"{metric} cannot be compared with `{of.text}`, only with the baseline of the same run"
        raise GateSyntaxError(reason, f"{metric} < {match[1]}x baseline", of.offset)
    factor = float(match[1])
    if not 1 < factor <= 1_000_000:
        reason = "the factor must be above 1, since the baseline itself reaches 1x baseline, and a million at most"
        raise GateSyntaxError(reason, "1.2x baseline", offset)
    return factor


def _limit(words: Tokens, metric: Counter) -> float:
    offset, word = words.offset, words.peek()
    if word.endswith("%"):
        reason = f"`{word}`: {metric} is what each request takes, and no share of a core"
        raise GateSyntaxError(reason, _EXAMPLES[metric], offset)
    if metric == "cpu":
        return words.quantity(parse_duration_ms, "processor time for each request", "5ms or 1.5x baseline")
    return words.quantity(
        _size, "bytes for each request", "2kB or 1.5x baseline", most=1e18, meant=sizes_meant, units=("B", "kB")
    )


def _size(text: str) -> float:
    return float(parse_bytes(text))
