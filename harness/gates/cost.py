"""`(rss|threads|sockets) < LIMIT`: what the service's whole process tree may hold, in a phase or back after a fault.

The limit is a number, a size for memory (`rss < 300MB`), or a multiple of the baseline's highest reading. Readings
come once a second and are no sample of anything, so nothing is statistical here; `cost_judge` decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from harness.gates.gate import Finding, Unit
from harness.gates.words import GateSyntaxError, Words
from harness.units import parse_bytes

if TYPE_CHECKING:
    from harness.evidence import Pool

Metric = Literal["rss", "threads", "sockets"]
FIGURES: Final[dict[Metric, str]] = {"rss": "rss_bytes", "threads": "threads", "sockets": "sockets"}
"""Of each metric, what it is called among the readings."""
READINGS_LEAST: Final = 5
"""Fewer tell nothing of a phase; after a fault the last so many are judged."""
WINDOW_MS_LEAST: Final = 6_000.0
"""A phase this long has that many readings, one a second."""
_MOST: Final = 1e15
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)(x?)")
_AFTER: Final = "after "


@dataclass(frozen=True, slots=True)
class CostGate:
    text: str
    metric: Metric
    limit: float | None
    """Bytes or a count; None: `factor` times the baseline's highest reading."""
    factor: float | None
    phase: str

    uses_gateway_timeout: ClassVar[bool] = False
    uses_complete: ClassVar[bool] = False
    uses_main: ClassVar[bool] = False

    @classmethod
    def reads(cls, word: str) -> bool:
        return word in FIGURES

    @classmethod
    def parse(cls, words: Words) -> Self:
        metric = next(known for known in FIGURES if known == words.peek())
        words.take()
        words.comparison("<", _example(metric))
        offset = words.offset
        limit, factor = _limit(words, metric)
        phase = words.phase()
        if factor is not None and phase == "baseline":
            raise GateSyntaxError("the baseline would be compared with itself", _example(metric), offset)
        return cls(words.text, metric, limit, factor, phase)

    @property
    def figure(self) -> str:
        return FIGURES[self.metric]

    @property
    def unit(self) -> Unit:
        return "bytes" if self.metric == "rss" else "count"

    @property
    def is_back(self) -> bool:
        """It asks whether what was held has been let go again, so only the phase's end counts."""
        return self.phase.startswith(_AFTER)

    def phases(self) -> tuple[str, ...]:
        return (self.phase,) if self.factor is None else (self.phase, "baseline")

    def upstreams(self) -> tuple[str, ...]:
        return ()

    def requests(self) -> tuple[str, ...]:
        return ()

    def moments(self, confidence: float) -> int:
        return 0

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return WINDOW_MS_LEAST if self.is_back else 0.0

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return None

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.cost_judge import judge

        return judge(self, pool)


def _example(metric: Metric) -> str:
    return "rss < 300MB" if metric == "rss" else f"{metric} < 100 during azure-latency"


def _limit(words: Words, metric: Metric) -> tuple[float | None, float | None]:
    """An absolute limit or a factor."""
    offset = words.offset
    match = _NUMBER.fullmatch(words.peek())
    if match is None:
        parse = _size if metric == "rss" else _count
        return words.quantity(parse, f"a limit ({_limits(metric)})", _limits(metric), most=_MOST), None
    number = words.take()
    if match[2] or words.accept("x"):
        of = words.take("`baseline`", "1.5 x baseline")
        if of.text != "baseline":
            raise GateSyntaxError(
                f"`{of.text}` is nothing to compare {metric} with; only the baseline of the same run is",
                "1.5 x baseline",
                of.offset,
            )
        factor = float(match[1])
        if not 0 < factor <= 1_000_000:
            raise GateSyntaxError("the factor must be above zero, and a million at most", "1.5 x baseline", offset)
        return None, factor
    if metric == "rss":
        raise GateSyntaxError(f"`{number.text}` has no unit", f"{number.text}MB, or {number.text} x baseline", offset)
    count = float(match[1])
    if not count.is_integer():
        raise GateSyntaxError(f"`{number.text}` is not a whole number", f"{count:.0f}, or 1.5 x baseline", offset)
    if not 0 < count <= _MOST:
        raise GateSyntaxError("a service holds more than none, and fewer than that", _example(metric), offset)
    return count, None


def _limits(metric: Metric) -> str:
    return "300MB or 1.5 x baseline" if metric == "rss" else "100 or 1.5 x baseline"


def _size(text: str) -> float:
    return float(parse_bytes(text))


def _count(text: str) -> float:
    raise ValueError(f"`{text}` is not a number; it has no unit")
