"""How long the service waited for each backend call: the backend's own time, and the delay that a toxic added.

A backend behind a downstream toxic answers at once and does not see the delay, so it is computed from the journal. The
delay ends when the toxic is removed, and no call is counted as waiting longer than its request lasted.

In TLS a delay holds each flight of a handshake too, before the call is there. The rows say which calls came after a
handshake, and of how many flights. What a toxic adds by the size of a flight, such as `bandwidth`, is left out there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence.injections import Injection
from harness.evidence.joining.row_table import Places, RowTable, blocks
from harness.evidence.run import Evidence
from harness.evidence.window import NEVER
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.rows import FLAG_SHAKEN_ONCE, FLAG_SHAKEN_TWICE
from harness.rundir.toxics import TOXICS
from harness.units import NS_PER_MS, NS_PER_S, Span

_RELEASED_NS: Final = NS_PER_S
"""By then the call of a handshake has come that the removal of the toxic has released."""


def call_waits_ns(run: Evidence, upstream: int, chosen: Places) -> NDArray[np.int64]:
    """The wait in ns for each of the `chosen` rows of `run.calls`, which all are calls to `upstream` (its index)."""
    waits_ns = np.empty(len(chosen), np.int64)
    for block in blocks(len(chosen)):
        waits_ns[block] = _waits_ns(run, upstream, chosen[block])
    return waits_ns


def _waits_ns(run: Evidence, upstream: int, chosen: Places) -> NDArray[np.int64]:
    calls = run.calls[chosen]
    arrived_ns, done_ns = calls["arrived_ns"], calls["done_ns"]
    waits_ns: NDArray[np.int64] = done_ns - arrived_ns
    flights = _flights(calls["flags"])
    name = run.plan.upstreams[upstream].name
    touching = [
        (injection, span)
        for injection in run.journalled
        if injection.upstream == name and (span := injection.touched(run.end_ns)) is not None
    ]
    # most calls of a run are far from any fault, and waited for the backend alone
    near = np.zeros(len(calls), np.bool_)
    for _, span in touching:
        near |= (arrived_ns < span[1]) & (done_ns >= span[0])
        near |= (flights > 0) & (arrived_ns >= span[0]) & (arrived_ns < span[1] + _RELEASED_NS)
    if near.any():
        waits_ns[near] += _delays_ns(run, touching, calls[near], run.call_requests[chosen[near]], flights[near])
    return waits_ns


def _delays_ns(
    run: Evidence,
    touching: Sequence[tuple[Injection, Span]],
    calls: RowTable,
    request: Places,
    flights: NDArray[np.int64],
) -> NDArray[np.int64]:
    """What the faults of these windows added to each call, in ns. `request`: the place of its request in the samples,
    -1 if that is unknown; `flights`: of the handshake before it."""
    arrived_ns, done_ns = calls["arrived_ns"], calls["done_ns"]
    added_ns = np.zeros(len(calls), np.int64)
    shaken_ns = np.zeros(len(calls), np.int64)
    for injection, span in touching:
        inside = (arrived_ns < span[1]) & (done_ns >= span[0])
        fault = next(fault for fault in run.plan.faults if fault.name == injection.fault)
        added_ns[inside] += _added_ns(fault, injection, run.end_ns, calls["bytes"][inside], arrived_ns[inside])
        after = (flights > 0) & (arrived_ns >= span[0]) & (arrived_ns < span[1] + _RELEASED_NS)
        shaken_ns[after] += _handshake_ns(fault, flights[after], arrived_ns[after] - span[0])
    known = request >= 0
    sent_ns, request_end_ns = np.zeros(len(calls), np.int64), np.full(len(calls), NEVER)
    requests = run.samples[request[known]]
    sent_ns[known], request_end_ns[known] = requests["sent_ns"], requests["done_ns"]
    room_ns = np.maximum(request_end_ns - done_ns, 0)
    delays_ns: NDArray[np.int64] = np.minimum(added_ns, room_ns)
    delays_ns += np.minimum(shaken_ns, np.maximum(arrived_ns - sent_ns, 0))
    return delays_ns


def _added_ns(
    fault: PlannedFault,
    injection: Injection,
    end_ns: int,
    size: NDArray[np.uint32],
    arrived_ns: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The delay in ns that one window of a fault adds to each call, until its removal at most. `size`: bytes of each
    answer."""
    # a fake records its own delays; a share is drawn by Toxiproxy for each connection, and the draw is unknown
    if fault.behaviour is not None or fault.share < 1:
        return np.zeros(len(size), np.int64)
    removed_ns = injection.removed_ns if injection.removed_ns is not None else end_ns
    delay_ns = np.zeros(len(size), np.float64)
    for toxic in fault.toxics:
        delay_ns += TOXICS[toxic.type].delay_ms(toxic.attributes, size.astype(np.float64)) * NS_PER_MS
    if not fault.toxics and fault.delay_ms is not None:
        delay_ns += fault.delay_ms * NS_PER_MS
    return np.minimum(delay_ns, np.maximum(removed_ns - arrived_ns, 0)).astype(np.int64)


def _flights(flags: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many delayed flights of a handshake came before each call."""
    once, twice = (flags & FLAG_SHAKEN_ONCE) > 0, (flags & FLAG_SHAKEN_TWICE) > 0
    flights: NDArray[np.int64] = once.astype(np.int64) + 2 * twice.astype(np.int64)
    return flights


def _handshake_ns(fault: PlannedFault, flights: NDArray[np.int64], active_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long a fault held the handshake before each call, in ns. `active_ns`: since when it was active then."""
    if fault.behaviour is not None or fault.share < 1:
        return np.zeros(len(flights), np.int64)
    none = np.zeros(1)
    delay_ms = sum(float(TOXICS[toxic.type].delay_ms(toxic.attributes, none)[0]) for toxic in fault.toxics)
    if not fault.toxics and fault.delay_ms is not None:
        delay_ms = fault.delay_ms
    held_ns: NDArray[np.int64] = np.minimum(np.rint(flights * delay_ms * NS_PER_MS), active_ns).astype(np.int64)
    return held_ns
