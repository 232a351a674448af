"""`metric pool_in_use{backend=azure} < 20`: a metric of the service itself, which `service.metrics` gives.

What is judged depends on the metric's TYPE, which only a run shows: of a gauge the highest reading, of a counter its
increase for each request that ended meanwhile. Histograms, summaries and metrics without a TYPE are not judged.
`metric_judge` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import AdviceContext, Finding, GateDefaults, Unit
from harness.gates.readings.per_request import READINGS_LEAST, WINDOW_MS_LEAST
from harness.gates.readings.sampled_gate import SampledGate, phase_of
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.meant_quantities import numbers_meant
from harness.rundir.finding_kind import FindingKind
from harness.rundir.metrics.series import Series, SeriesError
from harness.units import duration_literal, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool

_EXAMPLE: Final = "metric pool_in_use{backend=azure} < 20"
_SERIES: Final = re.compile(r"[^\s<>{}=]+(?:\{[^{}]*\})?")
_RATIO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*x(?=\s|$)\s*")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class MetricGate(SampledGate):
    """`limit`: a number, or bytes; None: `factor` times the baseline's own figure."""

    EXAMPLES: ClassVar[tuple[str, ...]] = (
        "metric pool_in_use{backend=azure} < 20 during azure-latency",
        "metric retries_total < 0.1 during azure-latency",
    )

    of: Series
    in_bytes: bool

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        series = _series(words)
        words.comparison("<", _EXAMPLE)
        offset = words.offset
        factor = _factor(words)
        in_bytes = factor is None and not _NUMBER.fullmatch(words.peek())
        limit = None if factor is not None else _limit(words, in_bytes=in_bytes)
        return cls(words.text, limit, factor, phase_of(words, factor, _EXAMPLE, offset), series, in_bytes)

    @property
    def metric(self) -> str:
        return f"metric {self.of.text}"

    @property
    def unit(self) -> Unit:
        return "bytes" if self.in_bytes else "ratio"

    @property
    def series(self) -> Series | None:
        return self.of

    @property
    def window_ms_least(self) -> float:
        return WINDOW_MS_LEAST

    @property
    def needs(self) -> str:
        return f"{READINGS_LEAST} readings of the service's metrics need {duration_literal(WINDOW_MS_LEAST)}"

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if not names.has_metrics:
            message = "the scenario does not say where the service's metrics are"
            yield GateDiagnostic(message, "write service.metrics: GET /metrics", "metric")

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.readings.metric_judge import judge

        return judge(self, pool)

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "fail":
            return f"Look in the service for what moves {self.of.text} in this phase."
        if finding.kind == FindingKind.NO_SERIES:
            return "Compare the gate with what `service.metrics` answers: the name, and the values of its labels."
        if finding.kind == FindingKind.NOT_A_READING:
            return "Take a gauge or a counter; of a histogram its `_count` is none, but `calls` and p99 are gates."
        if finding.kind == FindingKind.STOPPED:
            return GateDefaults.advice(self, finding, ctx)
        phase = "baseline" if finding.kind == FindingKind.NO_BASELINE else self.phase
        return f"Let the phase `{phase}` last longer, and see that the service answers `service.metrics` within 1 s."


def _series(words: Tokens) -> Series:
    offset = words.offset
    match = _SERIES.match(words.text, offset)
    if match is None:
        raise GateSyntaxError("the gate does not say which metric", _EXAMPLE, offset)
    try:
        series = Series.parse(match[0])
    except SeriesError as exc:
        before, after = words.text[:offset], words.text[match.end() :]
        raise GateSyntaxError(str(exc), f"write `{before}{exc.fix}{after}`", offset) from None
    words.skip_to(match.end())
    return series


def _factor(words: Tokens) -> float | None:
    """The factor of `1.5x baseline`; None if the limit is a quantity."""
    words.refuse_glued()
    offset = words.offset
    match = _RATIO.match(words.text, offset)
    if match is None:
        return None
    words.skip_to(match.end())
    of = words.take("`baseline`", f"{match[1]}x baseline")
    if of.text != "baseline":
        reason = f"a metric cannot be compared with `{of.text}`, only with the baseline of the same run"
        raise GateSyntaxError(reason, f"{match[1]}x baseline", of.offset)
    factor = float(match[1])
    if not 1 < factor <= 1_000_000:
        reason = "the factor must be above 1, since the baseline itself reaches 1x baseline, and a million at most"
        raise GateSyntaxError(reason, "1.2x baseline", offset)
    return factor


def _limit(words: Tokens, *, in_bytes: bool) -> float:
    what, example = "a number, or a size such as 300MB", "20, 300MB or 1.5x baseline"
    parse = _size if in_bytes else float
    return words.quantity(parse, what, example, most=1e18, meant=numbers_meant, units=("",))


def _size(text: str) -> float:
    return float(parse_bytes(text))
