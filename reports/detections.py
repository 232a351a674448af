"""Which upstreams the service's log or alert named, during each fault and outside of all, in sentences such as
`named by its log after 1.20 s`. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.rundir.finding_kind import FindingKind
from harness.rundir.judged.fault_results import FalseAlarm, FaultResult, NamedResult
from harness.rundir.results import GateResult, Results
from harness.units import format_duration

WRONG_MOST: Final = 3
"""Healthy upstreams that are described; further ones are counted."""


def who_was_named(fault: FaultResult) -> list[str]:
    """One text for the faulted upstream, and one for each healthy one that was named; empty where none was."""
    return [
        *_faulted_named(fault),
        *_first_few([f"{_wrong(named)} {_when(named)}: {named.text}" for named in _firsts(fault)], "healthy ones"),
    ]


def _faulted_named(fault: FaultResult) -> list[str]:
    """How the faulted upstream was named, in one text; empty where it was not."""
    faulted = [
        f"named by its {named.source} before the fault already, which says nothing"
        if named.no_news
        else f"named by its {named.source} after {format_duration(named.after_ms)}{_cleared(named.cleared_after_ms)}"
        for named in fault.named
        if not named.healthy
    ]
    return ["; ".join(faulted)] if faulted else []


def _firsts(fault: FaultResult) -> list[NamedResult]:
    """One detection for each healthy upstream that was named."""
    firsts: dict[str, NamedResult] = {}
    for named in fault.named:
        # a detection that is new during this fault is shown before one that repeats an earlier one
        if named.healthy and (named.upstream not in firsts or firsts[named.upstream].no_news):
            firsts[named.upstream] = named
    return list(firsts.values())


def _wrong(named: NamedResult) -> str:
    return f"{named.upstream}, healthy, was named by the service's {named.source}"


def named_without_fault(alarms: Sequence[FalseAlarm]) -> list[str]:
    """One text for each upstream and source named outside every fault; empty where none was."""
    texts = [
        f"{alarm.upstream}, healthy, was named by the service's {alarm.source} while no fault stood, first at "
        f"{format_duration(alarm.first_ms)}{_times(alarm)}: {alarm.text}"
        for alarm in alarms
    ]
    return _first_few(texts, "false alarms")


def passed_on_one_witness(gates: Sequence[GateResult]) -> list[str]:
    """The gates that passed although the service's alert, which the scenario gives, never said anything."""
    return [f"{gate.text}: {gate.reason}" for gate in gates if gate.kind == FindingKind.HELD_ON_ONE_SOURCE]


def summarize(results: Results) -> list[str]:
    """Every detection of a run: of the faulted upstreams during each fault, of healthy ones (each once, whatever the
    number of faults), outside all faults, and the gates that rest on one source only."""
    during = [
        f"{fault.upstream} during {fault.name}: {text}" for fault in results.faults for text in _faulted_named(fault)
    ]
    return [
        *during,
        *_healthy_named(results.faults),
        *named_without_fault(results.false_alarms),
        *passed_on_one_witness(results.gates),
    ]


def _healthy_named(faults: Sequence[FaultResult]) -> list[str]:
    """One text for each healthy upstream that a source named, with the faults during which it did so."""
    found: dict[tuple[str, str], list[tuple[FaultResult, NamedResult]]] = {}
    for fault in faults:
        for named in _firsts(fault):
            found.setdefault((named.upstream, named.source), []).append((fault, named))
    texts = []
    for detections in found.values():
        fault, named = detections[0]
        if len(detections) == 1:
            texts.append(f"{fault.upstream} during {fault.name}: {_wrong(named)} {_when(named)}: {named.text}")
            continue
        names = list(dict.fromkeys(each.name for each, _ in detections))
        more = f" and {len(names) - WRONG_MOST} more" if len(names) > WRONG_MOST else ""
        texts.append(
            f"{_wrong(named)} during {', '.join(names[:WRONG_MOST])}{more}, the first time {_when(named)}: {named.text}"
        )
    return _first_few(texts, "healthy ones")


def _first_few(texts: Sequence[str], what: str) -> list[str]:
    more = [f"and {len(texts) - WRONG_MOST} more {what}"] if len(texts) > WRONG_MOST else []
    return [*texts[:WRONG_MOST], *more]


def _times(alarm: FalseAlarm) -> str:
    return f", {alarm.lines} times" if alarm.lines > 1 else ""


def _when(named: NamedResult) -> str:
    return "as before the fault" if named.no_news else f"after {format_duration(named.after_ms)}"


def _cleared(after_ms: float | None) -> str:
    if after_ms is None:
        return ""
    return f", cleared {format_duration(after_ms)} after the fault" if after_ms else ", cleared with the fault"
