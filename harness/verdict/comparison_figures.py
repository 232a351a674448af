"""The figures that `tailgate compare` compares: quantiles, the mean, first bytes, single requests, processor time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.evidence import NEVER, Evidence, Window
from harness.gates.answered.mean import LEFT_OUT_MOST
from harness.gates.batch_means import moments_of
from harness.gates.exceedance import Population
from harness.gates.gate import MEAN_MOMENTS, moments_for_share
from harness.gates.quantiles import Bounds, quantile_bounds
from harness.gates.readings.growth import growth
from harness.gates.readings.per_request import FIGURES, READINGS_LEAST
from harness.statistics import Counts, Rule, batch_sizes, batch_sums, decide, mean_bounds
from harness.units import NS_PER_MS

QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
REQUESTS_MOST: Final = 10
"""At most so many single requests are compared, the most frequent of BASE first."""


class Figure(Protocol):
    """A figure in ms of one phase of a run. `lower`, `upper`: the error that each bound may have."""

    @property
    def metric(self) -> str: ...

    @property
    def request(self) -> str | None:
        """The request that it is of; None: all."""

    @property
    def is_needed(self) -> bool:
        """Whether FINE needs it; else it can only show that HEAD is worse."""

    def bounds(self, run: Evidence, phase: str, *, lower: float, upper: float) -> Bounds: ...

    def long_enough(self, run: Evidence, phase: str, *, upper: float) -> bool:
        """Whether the phase holds enough independent moments for this figure to have an upper bound at all."""

    def surely_infinite(self, run: Evidence, phase: str, *, lower: float) -> bool:
        """Whether so many requests failed that the figure surely has no finite value."""


@dataclass(frozen=True, slots=True)
class QuantileFigure:
    """`first_byte`: of the time to the first byte of the body."""

    metric: str
    quantile: float
    request: str | None = None
    first_byte: bool = False

    @property
    def is_needed(self) -> bool:
        return self.request is None and not self.first_byte

    def bounds(self, run: Evidence, phase: str, *, lower: float, upper: float) -> Bounds:
        window = _window(run, phase, self.request)
        return quantile_bounds([self._latency_ns(window)], window.seconds, self._rule(run, lower=lower, upper=upper))

    def long_enough(self, run: Evidence, phase: str, *, upper: float) -> bool:
        rule = self._rule(run, lower=upper, upper=upper)
        return _moments(run, phase, self.request) >= moments_for_share(rule.p0, 1 - rule.alpha)

    def surely_infinite(self, run: Evidence, phase: str, *, lower: float) -> bool:
        window = _window(run, phase, self.request)
        rule = self._rule(run, lower=lower, upper=lower)
        return decide(Counts.of(~window.ok), window.seconds, rule).verdict == "fail"

    def _rule(self, run: Evidence, *, lower: float, upper: float) -> Rule:
        return Rule(round(1 - self.quantile, 9), run.clump_s, upper, lower)

    def _latency_ns(self, window: Window) -> NDArray[np.int64]:
        if not self.first_byte:
            return window.latency_ns
        return np.where(window.ok, window.samples["first_ns"] - window.samples["intended_ns"], NEVER)


@dataclass(frozen=True, slots=True)
class MeanFigure:
    """Of the requests that ended ok; unknown where more than `LEFT_OUT_MOST` of them did not."""

    metric: ClassVar[str] = "mean"
    request: ClassVar[None] = None
    is_needed: ClassVar[bool] = False

    def bounds(self, run: Evidence, phase: str, *, lower: float, upper: float) -> Bounds:
        window = _window(run, phase, None)
        ns = window.latency_ns[window.ok]
        if not len(ns) or 1 - len(ns) / len(window.samples) > LEFT_OUT_MOST:
            return Bounds(len(ns), None, None, None)
        sums, sizes = batch_sums(ns) / NS_PER_MS, batch_sizes(len(ns))
        low, high = mean_bounds(sums, sizes, lower)[0], mean_bounds(sums, sizes, upper)[1]
        return Bounds(len(ns), float(sums.sum() / sizes.sum()), max(low, 0.0), high)

    def long_enough(self, run: Evidence, phase: str, *, upper: float) -> bool:
        return _moments(run, phase, None) >= MEAN_MOMENTS

    def surely_infinite(self, run: Evidence, phase: str, *, lower: float) -> bool:
        return False


def figures_of(base: Evidence, head: Evidence, phase: str) -> Iterator[Figure]:
    """Those that both runs can know of the phase."""
    for metric, quantile in QUANTILES:
        yield QuantileFigure(metric, quantile)
    yield MeanFigure()
    if all(_has_first_bytes(run, phase) for run in (base, head)):
        yield QuantileFigure("p99(ttfb)", 0.99, first_byte=True)
    for request in _common_requests(base, head, phase):
        yield QuantileFigure("p99", 0.99, request=request)


def cpu_ms(run: Evidence, phase: str) -> float | None:
    """Processor time of the service in ms for each request that ended in the phase; None if it is not known."""
    known = run.readings_in(phase).knowing(FIGURES["cpu"])
    if len(known) < READINGS_LEAST:
        return None
    grown = growth(run, known.t_ns, known.figure(FIGURES["cpu"]) * 1000.0)
    return grown.each if grown.requests and not grown.fell else None


def _window(run: Evidence, phase: str, request: str | None) -> Window:
    # the later requests of an arrival count only where a request is named, as in a gate
    return Population(phase, request, every_part=request is not None).window(run)


def _moments(run: Evidence, phase: str, request: str | None) -> float:
    window = _window(run, phase, request)
    return moments_of(len(window.samples), window.seconds, run.clump_s)


def _has_first_bytes(run: Evidence, phase: str) -> bool:
    window = run.window(phase)
    return bool(window.ok.any()) and not bool((window.samples["first_ns"][window.ok] == 0).any())


def _common_requests(base: Evidence, head: Evidence, phase: str) -> list[str]:
    """The names of requests of which both runs have some in the phase; none if there is only one."""
    counts = [_counts(run, phase) for run in (base, head)]
    common = [name for name in counts[0] if name in counts[1]]
    common.sort(key=lambda name: (-counts[0][name], name))
    return common[:REQUESTS_MOST] if len(common) > 1 else []


def _counts(run: Evidence, phase: str) -> dict[str, int]:
    samples = run.window(phase, every_part=True).samples
    numbers, counts = np.unique(samples["request"], return_counts=True)
    requests = run.plan.load.requests
    return {
        requests[number].name: int(n)
        for number, n in zip(numbers.tolist(), counts, strict=True)
        if not run.is_unnamed(number)
    }
