"""Which answers are complete: ok, and with the rows of every upstream that the request asks and no fault explains away.

An upstream need not be in the answer if a fault acted on it at any moment between the intended time and the end of the
request, because a service should then answer with partial results. The rows of all others must be in the body.

Upstreams are bits of an unsigned 64-bit number: `1 << upstream.index`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.evidence.run import Evidence
from harness.evidence.window import Window
from harness.units import Span


def complete(run: Evidence, window: Window) -> NDArray[np.bool_]:
    """For each request of the window, whether its answer is complete."""
    whole = np.empty(len(window), np.bool_)
    for block, piece in window.pieces():
        whole[block] = piece.ok & (lacking(run, piece) == 0)
    return whole


def asks_any(run: Evidence, window: Window) -> NDArray[np.bool_]:
    """For each request of the window, whether it asks an upstream."""
    by_request = np.array([bool(request.asks) for request in run.plan.load.requests])
    asks: NDArray[np.bool_] = by_request[window.samples["request"]]
    return asks


def lacking(run: Evidence, window: Window) -> NDArray[np.uint64]:
    """For each request the bits of the upstreams that should be in its answer and are not, whether or not it was ok."""
    missing: NDArray[np.uint64] = expected(run, window) & ~window.samples["answered"]
    return missing


def asked(run: Evidence, window: Window) -> NDArray[np.uint64]:
    """For each request the bits of the upstreams that it asks."""
    indices = {upstream.name: upstream.index for upstream in run.plan.upstreams}
    by_request = [sum(1 << indices[name] for name in request.asks) for request in run.plan.load.requests]
    bits: NDArray[np.uint64] = np.array(by_request, dtype=np.uint64)[window.samples["request"]]
    return bits


def expected(run: Evidence, window: Window) -> NDArray[np.uint64]:
    """For each request the bits of the upstreams that it asks and that no fault explains away."""
    bits = asked(run, window)
    for upstream in run.plan.upstreams:
        spans = run.injections(upstream.name)
        if spans:
            touched = _overlaps(window.samples["intended_ns"], window.samples["done_ns"], spans)
            bits[touched] &= ~np.uint64(1 << upstream.index)
    return bits


def _overlaps(begin_ns: NDArray[np.int64], end_ns: NDArray[np.int64], spans: list[Span]) -> NDArray[np.bool_]:
    """Which stretches from `begin_ns` to `end_ns` overlap any of `spans`, which are in order and do not overlap."""
    starts = np.array([start for start, _ in spans], np.int64)
    ends = np.array([end for _, end in spans], np.int64)
    # if the first span that has not ended when the request begins does not overlap it, no span does
    first = np.searchsorted(ends, begin_ns, side="right")
    reached: NDArray[np.bool_] = (first < len(starts)) & (starts[np.minimum(first, len(starts) - 1)] < end_ns)
    return reached
