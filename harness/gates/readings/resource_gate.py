"""`(rss|threads|sockets) < LIMIT`: memory, threads or sockets of the service's whole process tree, during a phase or
again after a fault.

The limit is a number, a size for memory (`rss < 300MB`), or a multiple of the baseline's highest reading. Readings are
taken once a second and are no random sample, so no statistics are involved; `resource_judge` decides. Limits that no
process can keep are refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import AdviceContext, Finding, GateDefaults, Unit
from harness.gates.readings.sampled_gate import SampledGate, not_started, phase_of
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.meant_quantities import numbers_meant, sizes_meant
from harness.rundir.finding_kind import FindingKind
from harness.units import duration_literal, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.evidence import Pool

Metric = Literal["rss", "threads", "sockets"]
FIGURES: Final[dict[Metric, str]] = {"rss": "rss_bytes", "threads": "threads", "sockets": "sockets"}
"""The field of the readings that each metric is read from."""
READINGS_LEAST: Final = 3
"""Fewer readings are too few to judge a phase by."""
READINGS_LAST: Final = 5
"""A phase after a fault is judged by its last readings, this many."""
END_S: Final = 12.0
"""The last readings of a phase after a fault must lie within its last seconds, this many, to be judged."""
_WINDOW_MS_LEAST: Final[dict[Metric, float]] = {"rss": 6_000.0, "threads": 6_000.0, "sockets": 8_000.0}
"""A phase of this length has enough readings even on a slow machine: one in 2 s, and one in 2.6 s for sockets that are
expensive to count."""
SLACK: Final[dict[Metric, float]] = {"rss": 8e6, "threads": 5.0, "sockets": 10.0}
"""A limit that is a multiple of the baseline is at least this much above it: twice two sockets would leave no room."""
_LEAST: Final[dict[Metric, float]] = {"rss": 1e6, "threads": 2.0, "sockets": 1.0}
"""A smaller limit is refused, because every process exceeds it."""
_LOOK_FOR: Final[dict[Metric, str]] = {
    "threads": "Look for threads that never return: a deadline around a blocking call gives up waiting, and the call "
    "goes on in its thread. Give the call itself a timeout, and bound how many may run at once for each backend.",
    "sockets": "See in which state the sockets are (results.json, `cost`), and which code never closes them.",
    "rss": "Look for what grows with the requests that wait: queues without a maximum, bodies kept whole, caches "
    "without a limit, tasks of calls that were given up on.",
}
"""The advice for a failed gate, by its metric."""
_OF_STATES: Final = {
    "CLOSE_WAIT": "{many} CLOSE_WAIT: the other side closed them and the service never did. Close every connection, "
    "also that of a call that was given up on.",
    "CLOSE": "{many} CLOSE: connections that were reset or have ended, and the service never closed its end. Close "
    "every connection whose call failed.",
    "ESTABLISHED": "{many} ESTABLISHED, calls under way. During a fault even a service with deadlines holds about 2 x "
    "rate x deadline of them more, once towards the backend and once towards the client: a limit must leave room "
    "for those. Beyond that, calls have no deadline of their own: give them one, and bound how many connections each "
    "backend may have.",
    "SYN_SENT": "{many} SYN_SENT: connections that the other side does not accept. Give connecting a timeout of its "
    "own, and bound how many are tried at once.",
}
"""The advice for a failed gate on sockets, by a TCP state that many of them were in."""
_STATE_LEAST: Final = 0.25
"""Advice is given on a state only if at least this share of the sockets was in it."""
_MOST: Final = 1e18
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)(x?)")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True)
class ResourceGate(SampledGate):
    """`limit`: in bytes, or a number; None: `factor` times the baseline's highest reading."""

    EXAMPLES: ClassVar[tuple[str, ...]] = (
        "rss < 300MB",
        "threads < 100 during azure-latency",
        "sockets < 1.5x baseline after azure-latency",
    )

    resource: Metric

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        metric = next(known for known in FIGURES if known == words.peek())
        words.take()
        words.comparison("<", _example(metric))
        offset = words.offset
        limit, factor = _limit(words, metric)
        return cls(words.text, limit, factor, phase_of(words, factor, _example(metric), offset), metric)

    @property
    def metric(self) -> Metric:
        return self.resource

    @property
    def figure(self) -> str:
        """The field of the readings that it judges."""
        return FIGURES[self.metric]

    @property
    def unit(self) -> Unit:
        return "bytes" if self.metric == "rss" else "count"

    @property
    def uses_resources(self) -> bool:
        return True

    @property
    def window_ms_least(self) -> float:
        return _WINDOW_MS_LEAST[self.metric]

    @property
    def pace(self) -> str:
        """How often readings are taken, in words."""
        if self.metric == "sockets":
            return "sockets are counted every 2 s where counting them takes long"
        return "the service is measured once a second"

    @property
    def needs(self) -> str:
        return f"a PASS needs {duration_literal(self.window_ms_least)}, since {self.pace}"

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        return not_started(names, self.metric)

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.readings.resource_judge import judge

        return judge(self, pool)

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "fail":
            return _about_states(finding.socket_states) or _LOOK_FOR[self.metric]
        if finding.kind in (FindingKind.NO_PROCESS, FindingKind.STOPPED):
            return GateDefaults.advice(self, finding, ctx)
        phase = "baseline" if finding.kind == FindingKind.NO_BASELINE else self.phase
        longer = f"Let the phase `{phase}` last longer, on a less busy machine"
        return f"{longer}. Pooling runs does not help here: the worst of them counts."


def _about_states(states: Sequence[tuple[str, int]]) -> str:
    """What to do about the states that many of the sockets were in; empty if there is no advice on them."""
    total = sum(count for _, count in states)
    common = [(state, count) for state, count in states if count >= _STATE_LEAST * total]
    known = [_OF_STATES[state].format(many=count) for state, count in common if state in _OF_STATES]
    return " ".join(f"{advice[:1].upper()}{advice[1:]}" for advice in known)


def _example(metric: Metric) -> str:
    return "rss < 300MB" if metric == "rss" else f"{metric} < 100"


def _limit(words: Tokens, metric: Metric) -> tuple[float | None, float | None]:
    """An absolute limit, or a factor of the baseline; the other one is None."""
    words.refuse_glued()
    if words.peek() == "baseline" or _PERCENT.fullmatch(words.peek()):
        _refuse_without_factor(words, metric)
    offset = words.offset
    match = _NUMBER.fullmatch(words.peek())
    if match is None:
        parse = _size if metric == "rss" else _count
        meant = sizes_meant if metric == "rss" else numbers_meant
        units = ("MB", "GB") if metric == "rss" else ("",)
        what = f"a limit ({_limits(metric)})"
        size = words.quantity(parse, what, _limits(metric), most=_MOST, meant=meant, units=units)
        return _refuse_impossible(size, metric, offset), None
    number = words.take()
    if match[2] or words.accept("x"):
        return None, _factor(words, metric, match[1], offset)
    if metric == "rss":
        own = f"{number.text}MB" if float(number.text) >= 1 else "300MB"
        fix = words.respelled(sizes_meant, number) or own
        raise GateSyntaxError(f"`{number.text}` has no unit", fix, offset)
    count = float(match[1])
    if not count.is_integer():
        whole, factor = max(math.ceil(count), _LEAST[metric]), number.text if count > 1 else "1.5"
        raise GateSyntaxError(f"`{number.text}` is not a whole number", f"{whole:.0f}, or {factor}x baseline", offset)
    if count > _MOST:
        raise GateSyntaxError(f"`{number.text}` is more than any service could hold", _example(metric), offset)
    return _refuse_impossible(count, metric, offset), None


def _factor(words: Tokens, metric: Metric, number: str, offset: int) -> float:
    factor = float(number)
    example = f"{metric} < {number if factor > 1 else 1.2}x baseline"
    of = words.take("`baseline`", example)
    if of.text != "baseline":
        raise GateSyntaxError(
            f"{metric} cannot be compared with `{of.text}`, only with the baseline of the same run",
            example,
            of.offset,
        )
    if not 1 < factor <= 1_000_000:
        reason = "the factor must be above 1, since the baseline itself reaches 1x baseline, and a million at most"
        raise GateSyntaxError(reason, "1.2x baseline", offset)
    return factor


def _refuse_without_factor(words: Tokens, metric: Metric) -> None:
    """Refuse `baseline` without a factor, `150% baseline`, and a percentage alone."""
    word = words.take()
    percent = _PERCENT.fullmatch(word.text)
    if percent is None:
        raise GateSyntaxError("a multiple of the baseline needs its factor", "1.2x baseline", word.offset)
    if words.accept("of") or words.peek() == "baseline":
        factor = float(percent[1]) / 100
        fix = f"{factor:g}x baseline" if factor > 1 else "1.2x baseline"
        raise GateSyntaxError(f"`{word.text}` is not a factor", fix, word.offset)
    kind = "a size" if metric == "rss" else "a number"
    fix = _limits(metric) if metric == "rss" else f"{percent[1]} or 1.5x baseline"
    raise GateSyntaxError(f"`{word.text}` is not {kind}", fix, word.offset)


def _refuse_impossible(limit: float, metric: Metric, offset: int) -> float:
    """The limit unchanged. Raises GateSyntaxError if no process can keep it."""
    if limit >= _LEAST[metric]:
        return limit
    reason, fix = {
        "rss": ("no process fits into less than 1 MB, so none could pass", "rss < 300MB"),
        "threads": ("a process has one thread at least, so none could pass", "threads < 2, or more"),
        "sockets": ("no service can have fewer than 0 sockets", "sockets < 1, or more"),
    }[metric]
    raise GateSyntaxError(reason, fix, offset)


def _limits(metric: Metric) -> str:
    return "300MB or 1.5x baseline" if metric == "rss" else "100 or 1.5x baseline"


def _size(text: str) -> float:
    return float(parse_bytes(text))


def _count(text: str) -> float:
    if re.fullmatch("[0-9]+", text):
        return float(text)
    raise ValueError(f"`{text}` is not a number; it has no unit")
