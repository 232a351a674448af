"""How many replicas of the service carry a target rate while one of them is gone. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from harness.rundir.searches.capacity import CurveReplicas, RateCurve, ReplicaPlan

ASSUMPTION: Final = (
    "if each replica carries what this one did, the load is spread evenly among them, "
    "and the upstreams answer all of them as they answered one"
)


def replicas_for(target_per_s: float, curves: Sequence[RateCurve]) -> ReplicaPlan:
    """N for each curve, so that N - 1 of them carry the target at the rate that was certified for one."""
    planned = tuple(
        CurveReplicas(
            fault=curve.fault,
            certified_per_s=curve.certified_per_s,
            replicas=_replicas(target_per_s, curve.certified_per_s),
            at_most=curve.at_least,
        )
        for curve in curves
    )
    return ReplicaPlan(
        target_per_s=target_per_s, assumption=ASSUMPTION, sentence=_sentence(target_per_s, planned), curves=planned
    )


def _replicas(target_per_s: float, certified_per_s: float | None) -> int | None:
    return None if not certified_per_s else math.ceil(target_per_s / certified_per_s - 1e-9) + 1


def _sentence(target_per_s: float, curves: Sequence[CurveReplicas]) -> str:
    """`500/s with one replica gone: 4 replicas (3 × 180/s); with azure-slow on 5 (4 × 140/s)`."""
    parts = []
    for curve in curves:
        where = f"with {curve.fault} on " if curve.fault else ""
        if curve.replicas is None:
            parts.append(f"{where}not known, since no rate is certified")
            continue
        most = "at most " if curve.at_most else ""
        parts.append(f"{where}{most}{curve.replicas} replicas ({curve.replicas - 1} × {curve.certified_per_s:g}/s)")
    return f"{target_per_s:g}/s with one replica gone: {'; '.join(parts) or 'nothing was measured'}"
