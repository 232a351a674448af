"""Which answers are complete: ok, with the rows of every upstream asked that no fault touched meanwhile.

An upstream under a fault at any moment between intended and done is excused; partial results are what
is wanted of a service then. Everyone else's rows must be in the body.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.evidence.run import Evidence, Window


def complete(run: Evidence, window: Window) -> NDArray[np.bool_]:
    """One truth a request of the window."""
    whole: NDArray[np.bool_] = window.ok & (lacking(run, window) == 0)
    return whole


def lacking(run: Evidence, window: Window) -> NDArray[np.uint64]:
    """For each request a bit for each upstream that should be in its answer and is not, whether or not it was ok."""
    missing: NDArray[np.uint64] = expected(run, window) & ~window.samples["answered"]
    return missing


def asked(run: Evidence, window: Window) -> NDArray[np.uint64]:
    """For each request a bit for each upstream that it asks."""
    indices = {upstream.name: upstream.index for upstream in run.plan.upstreams}
    by_request = [sum(1 << indices[name] for name in request.asks) for request in run.plan.load.requests]
    bits: NDArray[np.uint64] = np.array(by_request, dtype=np.uint64)[window.samples["request"]]
    return bits


def expected(run: Evidence, window: Window) -> NDArray[np.uint64]:
    """Those asked without the excused."""
    bits = asked(run, window)
    for upstream in run.plan.upstreams:
        spans = run.injections(upstream.name)
        if spans:
            touched = _overlaps(window.samples["intended_ns"], window.samples["done_ns"], spans)
            bits[touched] &= ~np.uint64(1 << upstream.index)
    return bits


def _overlaps(
    begin_ns: NDArray[np.int64], end_ns: NDArray[np.int64], spans: list[tuple[int, int]]
) -> NDArray[np.bool_]:
    """Which stretches share a moment with any of `spans` (ordered, apart)."""
    starts = np.array([start for start, _ in spans], np.int64)
    ends = np.array([end for _, end in spans], np.int64)
    # the first span that is not over when the request begins is the only one that can matter
    first = np.searchsorted(ends, begin_ns, side="right")
    reached: NDArray[np.bool_] = (first < len(starts)) & (starts[np.minimum(first, len(starts) - 1)] < end_ns)
    return reached
