"""Which of the service's calls came to a backend while a fault stood there, and which of them it broke.

A fake notes in its own records what a fault of its own did to a call; on the wire nobody can, so there
only the calls that came are known. Canaries are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.evidence.injections import Injection
from harness.evidence.run import Evidence
from harness.plan import PlannedFault
from harness.records import FAULT_BITS


@dataclass(frozen=True, slots=True)
class CallsMet:
    """`hit_ns`: for each injection the ends of the calls that it broke, in order. `hit` is None on the wire."""

    during: int
    hit: int | None
    hit_ns: tuple[NDArray[np.int64], ...]


def calls_met(run: Evidence, fault: PlannedFault, upstream: str, injections: Sequence[Injection]) -> CallsMet:
    calls = run.calls[run.calls["upstream"] == run.plan.upstream(upstream).index]
    index = run.plan.faults.index(fault)
    recorded = fault.behaviour is not None and index < FAULT_BITS
    broken = (calls["faults"] >> np.uint32(index)) & 1 == 1 if recorded else np.zeros(len(calls), np.bool_)
    during = 0
    hit_ns: list[NDArray[np.int64]] = []
    for injection in injections:
        inside = np.zeros(len(calls), np.bool_)
        if injection.applied_ns is not None:
            end_ns = injection.removing_ns if injection.removing_ns is not None else run.end_ns
            inside = (calls["arrived_ns"] >= injection.applied_ns) & (calls["arrived_ns"] < end_ns)
        during += int(np.count_nonzero(inside))
        hit_ns.append(np.sort(calls["done_ns"][inside & broken]))
    return CallsMet(during, sum(map(len, hit_ns)) if recorded else None, tuple(hit_ns))
