"""Whether the service met a fault: which of its calls came to the upstream while it was active, and which it broke.

Calls before or after a window do not count, because a cache may have answered during the window. A fake records its
calls, and which of its own faults broke each; for faults on the wire only the calls that came are known. If a fault
keeps calls from reaching the fake at all, or if nothing records them, the service's new connections on the listener
count, or its attempts to connect. Canaries are left out. Nothing is decided about the run here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.evidence.injections import Injection
from harness.evidence.run import Evidence
from harness.evidence.second_witness import blindness, seen_in_requests, traffic_bytes
from harness.rundir.canaries import Connections, Refused
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import FAULT_BITS
from harness.units import NS_PER_MS, Span


@dataclass(frozen=True, slots=True)
class CallsOutside:
    """The service's calls to an upstream outside a fault's windows. Times are in ms."""

    total: int
    """Calls in the whole run, the warm-up included."""
    in_baseline: int
    last_before_ms: float | None
    """How long before the fault the last call came; None: there was none before it."""


@dataclass(frozen=True, slots=True)
class FaultContact:
    """The contact of the service with one fault on one upstream, in all its windows together."""

    stood_ms: float
    """How long the fault was active."""
    calls_outside: CallsOutside
    calls: int
    """Calls that came while it was active."""
    hit: int | None
    """How many of these it broke; None for a fault on the wire, where that is unknown."""
    hit_ns: tuple[NDArray[np.int64], ...]
    """For each injection the ends of the calls that it broke, in order."""
    connections: int | None
    """New connections on the listener while it was active; None if the calls themselves are recorded."""
    standing: int | None
    """The most connections of the service that a reading on the listener found while it was active; None if the calls
    are recorded. Whether one from before the fault was used shows `received_bytes` alone."""
    received_bytes: int | None
    """What the service sent over its connections while the fault was active; None if the calls are recorded, or the
    system did not tell."""
    refused: int | None
    """Windows in which the service tried to connect and was refused; None if the listener stayed open."""
    unwatched: str
    """Why it is unknown whether the service was refused; empty if it is known, or does not matter."""
    blind: str = ""
    """Why it proves nothing that neither a connection nor a refusal was seen; empty: it proves that none came."""
    traffic_bytes: int | None = None
    """If `blind`: what Toxiproxy received beyond canaries; None: it does not count that, or others had seen a call."""
    in_requests: str = ""
    """If `blind`, and Toxiproxy has counted nothing: what the service's requests show of the fault."""

    @property
    def was_seen(self) -> bool:
        """Whether a call, a connection or a refused attempt was seen."""
        came = self.calls if self.hit is None else self.hit
        return bool(came or self.connections or self.refused or self.received_bytes)

    @property
    def happened(self) -> bool:
        """Whether the service met the fault."""
        return self.was_seen or bool(self.traffic_bytes or self.in_requests)


def contact_of(run: Evidence, fault: PlannedFault, upstream: str, injections: Sequence[Injection]) -> FaultContact:
    """The contact with `fault` on `upstream`. `injections`: its windows there."""
    if fault.on_service:
        return _contact_of_service(run, injections)
    planned = run.plan.upstream(upstream)
    calls = run.calls[run.calls["upstream"] == planned.index]
    index = run.plan.faults.index(fault)
    recorded = fault.behaviour is not None and index < FAULT_BITS
    broken = (calls["faults"] >> np.uint32(index)) & 1 == 1 if recorded else np.zeros(len(calls), np.bool_)
    spans = [_span(injection, run.end_ns) for injection in injections]
    came = [(calls["arrived_ns"] >= begin_ns) & (calls["arrived_ns"] < end_ns) for begin_ns, end_ns in spans]
    hit_ns = tuple(np.sort(calls["done_ns"][inside & broken]) for inside in came)
    refused, unwatched = _refused(run, fault, upstream, spans)
    begin_ns = min((i.applied_ns for i in injections if i.applied_ns is not None), default=run.end_ns)
    contact = FaultContact(
        stood_ms=sum(injection.stood_ms(run.end_ns) for injection in injections),
        calls_outside=_calls_outside(run, calls["arrived_ns"], begin_ns),
        calls=sum(int(np.count_nonzero(inside)) for inside in came),
        hit=sum(map(len, hit_ns)) if recorded else None,
        hit_ns=hit_ns,
        connections=_connections(run, upstream, spans) if _counts_connections(fault, planned) else None,
        standing=None if planned.records_calls else _standing(run, upstream, spans),
        received_bytes=None if planned.records_calls else _received_bytes(run, upstream, spans),
        refused=refused,
        unwatched=unwatched,
    )
    if contact.was_seen or not (_counts_connections(fault, planned) or fault.disables_proxy):
        return contact
    if not (blind := blindness(run, upstream)):
        return contact
    # what else shows it, where this machine may not see the service's connections
    traffic = traffic_bytes(run, upstream, spans)
    in_requests = "" if traffic else seen_in_requests(run, fault, injections)
    return replace(contact, blind=blind, traffic_bytes=traffic, in_requests=in_requests)


def _contact_of_service(run: Evidence, injections: Sequence[Injection]) -> FaultContact:
    """The requests of the load that came to the service while a fault on it was active stand for calls."""
    sent_ns = run.samples["sent_ns"]
    spans = [_span(injection, run.end_ns) for injection in injections]
    begin_ns = min((i.applied_ns for i in injections if i.applied_ns is not None), default=run.end_ns)
    return FaultContact(
        stood_ms=sum(injection.stood_ms(run.end_ns) for injection in injections),
        calls_outside=_calls_outside(run, sent_ns, begin_ns),
        calls=sum(int(np.count_nonzero((sent_ns >= span.begin_ns) & (sent_ns < span.end_ns))) for span in spans),
        hit=None,
        hit_ns=tuple(np.empty(0, np.int64) for _ in spans),
        connections=None,
        standing=None,
        received_bytes=None,
        refused=None,
        unwatched="",
    )


def _calls_outside(run: Evidence, arrived_ns: NDArray[np.int64], before_ns: int) -> CallsOutside:
    """`arrived_ns`: of all calls to the upstream; `before_ns`: when the fault came."""
    earlier_ns = arrived_ns[arrived_ns < before_ns]
    baseline = run.phase("baseline")
    t_ms = (arrived_ns - run.t0_ns) / NS_PER_MS
    inside = [(t_ms >= start_ms) & (t_ms < end_ms) for start_ms, end_ms in baseline.intervals]
    return CallsOutside(
        total=len(arrived_ns),
        in_baseline=sum(int(np.count_nonzero(each)) for each in inside),
        last_before_ms=(before_ns - int(earlier_ns.max())) / NS_PER_MS if len(earlier_ns) else None,
    )


def never_asked(run: Evidence) -> tuple[str, ...]:
    """The upstreams to which no call came in the whole run, and which the service did not try to reach either while a
    fault kept calls from them. Empty if no load was started. Of an upstream whose calls are not recorded it is known
    only for the time of a fault: without one it is not listed."""
    if run.manifest.t0_ns is None:
        return ()
    called = set(np.unique(run.calls["upstream"]).tolist())
    on_upstreams = [fault for fault in run.plan.faults if not fault.on_service]
    pairs = [(fault, run.plan.upstream(name)) for fault in on_upstreams for name in fault.upstreams]
    holding = {planned.name for fault, planned in pairs if _counts_connections(fault, planned)}
    known = {u.name for u in run.plan.upstreams if u.records_calls}
    known |= {name for name in holding if not blindness(run, name)}
    tried = {
        line.upstream
        for line in run.canaries
        if (isinstance(line, Refused) and not line.unseen)
        or (isinstance(line, Connections) and line.count and line.upstream in holding)
    }
    return tuple(u.name for u in run.plan.upstreams if u.name in known - tried and u.index not in called)


def _counts_connections(fault: PlannedFault, upstream: PlannedUpstream) -> bool:
    """Whether the calls that met the fault may be missing from the records, so that connections stand for them."""
    return fault.may_keep_calls_from(upstream)


def _span(injection: Injection, end_ns: int) -> Span:
    """From applied until its removal was requested; an empty span if it was never applied."""
    if injection.applied_ns is None:
        return Span(end_ns, end_ns)
    return Span(injection.applied_ns, injection.removing_ns if injection.removing_ns is not None else end_ns)


def _was_watched(run: Evidence) -> bool:
    """Whether refused connections were recorded: runs in which they were not have no `since_ns` in their counts."""
    return any(isinstance(line, Connections) and line.since_ns is not None for line in run.canaries)


def _connections(run: Evidence, upstream: str, spans: Sequence[Span]) -> int:
    """How many connections were surely made within a window: between two counts at the listener that both lie in it."""
    return sum(
        line.new
        for line in run.canaries
        if isinstance(line, Connections) and line.upstream == upstream and line.since_ns is not None
        for begin_ns, end_ns in spans
        if begin_ns <= line.since_ns and line.t_ns < end_ns
    )


def _received_bytes(run: Evidence, upstream: str, spans: Sequence[Span]) -> int | None:
    """What came between two readings that both lie in a window."""
    counts = [
        line.received_bytes
        for line in run.canaries
        if isinstance(line, Connections) and line.upstream == upstream and line.received_bytes is not None
        for begin_ns, end_ns in spans
        if line.since_ns is not None and begin_ns <= line.since_ns and line.t_ns < end_ns
    ]
    return sum(counts) if counts else None


def _standing(run: Evidence, upstream: str, spans: Sequence[Span]) -> int:
    """The most connections that one reading within a window found."""
    return max(
        (
            line.count
            for line in run.canaries
            if isinstance(line, Connections)
            and line.upstream == upstream
            and line.count is not None
            and any(span.has(line.t_ns) for span in spans)
        ),
        default=0,
    )


def _refused(run: Evidence, fault: PlannedFault, upstream: str, spans: Sequence[Span]) -> tuple[int | None, str]:
    if not fault.disables_proxy:
        return None, ""
    if not _was_watched(run):
        return None, "an older tailgate recorded this run, and did not observe refused connections"
    lines = [line for line in run.canaries if isinstance(line, Refused) and line.upstream == upstream]
    within = [[line for line in lines if span.has(line.t_ns)] for span in spans]
    seen = sum(any(not line.unseen for line in each) for each in within)
    unwatched = next((line.unseen for each in within for line in each if line.unseen), "")
    return seen, "" if seen else unwatched
