"""What the curves of a capacity search say together: the verdict, one sentence, and whether it fell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.errors import UsageError
from harness.rundir.results import Machine
from harness.rundir.searches.capacity import CapacityResults, CapacityVerdict, CurveEnd, RateCurve

_EARLY: Final[tuple[CurveEnd, ...]] = ("interrupted", "rig")
MACHINE_DIFFERS: Final = 0.1
"""Where two machines' yardsticks differ by more than this share, their capacities are not compared."""


def verdict_of(curves: Sequence[RateCurve]) -> CapacityVerdict:
    """`pass`: each curve has a certificate of the rate that it carries. `fail`: one carries nothing. Else it is open.

    A curve that ended at the highest rate, or where the load generator gave out, has no upper end and needs none.
    """
    if any(curve.ended_by == "nothing_holds" for curve in curves):
        return "fail"
    if any(curve.ended_by == "rig" for curve in curves):
        return "rig_failure"
    done = all(
        curve.certified_per_s is not None and (curve.refuted_per_s is not None or curve.at_least) for curve in curves
    )
    return "pass" if curves and done else "inconclusive"


def sentence_of(curves: Sequence[RateCurve]) -> str:
    """`carries 180/s; with azure-slow on 140/s; what stops it in health is threads: 256 …`."""
    parts = []
    for curve in curves:
        where = f"with {curve.fault} on " if curve.fault else "carries "
        parts.append(f"{where}{_carried(curve)}")
    if not parts:
        return "nothing was measured"
    return "; ".join((*parts, *_stops(curves)))


def _stops(curves: Sequence[RateCurve]) -> list[str]:
    """What stops it, of each curve if there are several and one has a witness."""
    named = [curve for curve in curves if curve.ended_by not in _EARLY or curve.refuted_per_s is not None]
    stopped = [curve for curve in named if curve.refuted_per_s is not None or curve.limiter.kind != "not_known"]
    if stopped and all(curve.limiter.kind == "not_known" for curve in stopped):
        return ["what stops it is not known"]
    told = []
    for curve in stopped:
        where = "" if len(curves) == 1 else f" with {curve.fault} on" if curve.fault else " in health"
        witness = "not known" if curve.limiter.kind == "not_known" else curve.limiter.witness
        told.append(f"what stops it{where} is {witness}")
    return told


def _carried(curve: RateCurve) -> str:
    if curve.certified_per_s is None:
        lowest_per_s = min((step.rate_per_s for step in curve.steps), default=1.0)
        if curve.ended_by == "nothing_holds":
            return f"nothing, down to {lowest_per_s:g}/s"
        return "nothing that could be certified" + _steered(curve)
    least = "at least " if curve.at_least else ""
    until = f" and not {curve.refuted_per_s:g}/s" if curve.refuted_per_s is not None else ""
    gave_out = " (the load generator ended here)" if curve.ended_by == "generator" else ""
    return f"{least}{curve.certified_per_s:g}/s{until}{gave_out}"


def _steered(curve: RateCurve) -> str:
    """What a search that ended early had seen, in brackets; empty if it did not, or had seen nothing hold."""
    held = [step.rate_per_s for step in curve.steps if step.purpose == "explore" and step.outcome == "held"]
    if curve.ended_by not in _EARLY or not held:
        return ""
    return f" (it ended early; up to {max(held):g}/s held in short loads, which certify nothing)"


def compare(
    head: Sequence[RateCurve], machine: Machine, base: CapacityResults, max_drop: float
) -> tuple[CapacityVerdict, str]:
    """Whether a curve fell: its refuted rate is at most the base's certified one less `max_drop`.

    It did not if it carries more than that, or is refuted above it only. `inconclusive` if that is not known of a curve
    that the base has certified, or of none at all, or if the machines differ. Raises UsageError if the base has none of
    the curves.
    """
    if reason := _machines_differ(machine, base.machine):
        return "inconclusive", reason
    before = {curve.fault: curve for curve in base.curves}
    if not any(curve.fault in before for curve in head):
        raise UsageError("the baseline has none of these curves", "give a capacity.json of the same scenario")
    told, open_ = [], []
    for curve in head:
        name = curve.fault or "health"
        certified = before[curve.fault].certified_per_s if curve.fault in before else None
        if certified is None:
            told.append(f"{name}: nothing is certified in the baseline")
            continue
        least = certified * (1 - max_drop)
        if curve.refuted_per_s is not None and curve.refuted_per_s <= least:
            return "fail", f"{name} fell: {certified:g}/s was certified before, and now {curve.refuted_per_s:g}/s fails"
        told.append(f"{name}: {certified:g}/s before, {_carried(curve)} now")
        if curve.refuted_per_s is None and (curve.certified_per_s is None or curve.certified_per_s <= least):
            open_.append(f"whether {name} fell is not known")
    told += [f"{fault or 'health'}: only in the baseline" for fault in before.keys() - {each.fault for each in head}]
    compared = any(before[each.fault].certified_per_s is not None for each in head if each.fault in before)
    verdict: CapacityVerdict = "pass" if compared and not open_ else "inconclusive"
    return verdict, "; ".join((*open_, *told))


def _machines_differ(head: Machine, base: Machine) -> str:
    if head.cores != base.cores:
        return f"the baseline is of a machine with {base.cores} cores, this one has {head.cores}"
    figures = [each.yardstick.before_ms if each.yardstick else None for each in (head, base)]
    if None in figures:
        return "the baseline or this search has no yardstick of its machine"
    head_ms, base_ms = (float(figure or 0.0) for figure in figures)
    if max(head_ms, base_ms) > (1 + MACHINE_DIFFERS) * min(head_ms, base_ms):
        return f"the machine differs: the yardstick took {base_ms:.0f} ms for the baseline and {head_ms:.0f} ms now"
    return ""
