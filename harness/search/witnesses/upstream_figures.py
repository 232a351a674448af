"""What the service asked of an upstream during a load: by the upstream's own records and by the connections there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.rundir.rows import NO_SEQ
from harness.rundir.searches.capacity import StepUpstream
from harness.search.stationary import mean_in_flight
from harness.search.witnesses.open_calls import OpenCalls, call_ends, injected_delay, listener_use, open_calls
from harness.statistics import nearest_rank
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.evidence import Evidence
    from harness.rundir.planned.upstream import PlannedUpstream


def upstream_figures(evidence: Evidence, planned: PlannedUpstream, begin_ns: int, end_ns: int) -> StepUpstream:
    """Of the judged part [begin, end); what was open at once of its last half, in which it is settled."""
    half_ns = (begin_ns + end_ns) // 2
    calls: NDArray[Any] = evidence.calls[
        (evidence.calls["upstream"] == planned.index) & (evidence.calls["seq"] != NO_SEQ)
    ]
    use = listener_use(evidence.canaries, planned.name, half_ns, end_ns)
    if not planned.records_calls:
        return StepUpstream(
            name=planned.name,
            calls_per_s=None,
            p50_ms=None,
            in_flight_mean=None,
            in_flight_most=None,
            connections_mean=use.mean,
            connections_most=use.most,
        )
    inside = calls[(calls["arrived_ns"] >= begin_ns) & (calls["arrived_ns"] < end_ns)]
    took_ms = np.sort(inside["done_ns"] - inside["arrived_ns"]) / NS_PER_MS
    seen = _seen_by_service(evidence, calls, planned.name, half_ns, end_ns)
    return StepUpstream(
        name=planned.name,
        calls_per_s=float(len(inside) / ((end_ns - begin_ns) / NS_PER_S)),
        p50_ms=float(nearest_rank(took_ms, [0.5])[0]) if len(took_ms) else None,
        in_flight_mean=mean_in_flight(calls["arrived_ns"], calls["done_ns"], half_ns, end_ns),
        in_flight_most=_most_at_once(calls, begin_ns, end_ns),
        open_mean=seen.mean,
        open_most=seen.most,
        open_limit=seen.limit,
        refill_ratio=seen.refill_ratio,
        connections_mean=use.mean,
        connections_most=use.most,
    )


def _seen_by_service(evidence: Evidence, calls: NDArray[Any], upstream: str, begin_ns: int, end_ns: int) -> OpenCalls:
    """The calls whose request is known, as the service has them open."""
    order = np.argsort(evidence.samples["seq"])
    numbers = evidence.samples["seq"][order]
    if not len(numbers):
        return OpenCalls()
    place = np.minimum(np.searchsorted(numbers, calls["seq"]), len(numbers) - 1)
    known = numbers[place] == calls["seq"]
    calls, request_done_ns = calls[known], evidence.samples["done_ns"][order][place[known]]
    delay = injected_delay(evidence.plan.faults, upstream)
    begun_ns = calls["arrived_ns"] - round(delay.before_ms * NS_PER_MS)
    ended_ns = call_ends(begun_ns, calls["done_ns"], request_done_ns, delay)
    return open_calls(begun_ns, ended_ns, begin_ns, end_ns)


def _most_at_once(calls: NDArray[Any], begin_ns: int, end_ns: int) -> int:
    """The largest number of calls that were open at one moment of [begin, end)."""
    arrived, done = np.sort(calls["arrived_ns"]), np.sort(calls["done_ns"])
    moments = arrived[(arrived >= begin_ns) & (arrived < end_ns)]
    if not len(moments):
        return 0
    open_ = np.searchsorted(arrived, moments, "right") - np.searchsorted(done, moments, "right")
    return int(open_.max())
