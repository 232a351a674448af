"""Which upstreams the answers held, in sentences and as a table: upstreams by phase, worst first. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.gates import GateSyntaxError
from harness.gates.parse import parse_gate
from harness.gates.shares.missing import alike, some
from harness.rundir.results import GateResult, IncompleteAnswerResult, PhaseResult, PresenceResult, Results
from harness.units import format_count, format_share
from reports import formatting

MIXED: Final = ("warmup", "guard", "tail", "whole")
"""Phases that others repeat, or that no gate asks about."""
PHASES_MOST: Final = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One upstream in one phase. `css`: `lost` where answers lack it, `excused` where a fault explains that."""

    share: str
    detail: str = ""
    css: str = ""

    @property
    def text(self) -> str:
        return f"{self.share} ({self.detail})" if self.detail else self.share


@dataclass(frozen=True, slots=True)
class Table:
    """A row for each upstream that was below 100 % in any phase, and one for all others. Empty where none was."""

    phases: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[Cell, ...]], ...] = ()


def describe(results: Results) -> list[tuple[str, str]]:
    """(`during azure-slow`, text) for each phase whose answers lack an upstream that no fault explains away, or whose
    `complete` gate did not pass, once for the phases that share a text; at most PHASES_MOST texts, and how many phases
    are left out. A phase without any ok answer is left out as well: the gate describes it."""
    rig = results.verdict == "rig_failure"  # no gate's verdict counts there
    gated = {gate.phase for gate in results.gates if gate.verdict != "pass" and _uses_complete(gate) and not rig}
    phases = [
        phase
        for phase in results.phases
        if any(each.answers for each in phase.present)
        and (phase.name in gated or (phase.name not in MIXED and any(each.missing for each in phase.present)))
    ]
    phases.sort(key=lambda phase: phase.name not in gated)  # a gate's own phase is never the one left out
    alike: dict[str, list[str]] = {}
    for phase in phases:
        alike.setdefault(_describe_phase(phase), []).append(_when(phase.name))
    lines = [(_some_phases(when), text) for text, when in alike.items()]
    more = sum(len(when) for when in list(alike.values())[PHASES_MOST:])
    return [*lines[:PHASES_MOST], *([(f"in {more} more phases", "see the report")] if more else [])]


def _uses_complete(gate: GateResult) -> bool:
    try:
        return parse_gate(gate.text).uses_complete
    except GateSyntaxError:
        return False  # results of a version that had other gates


def kept(answers: Sequence[IncompleteAnswerResult]) -> str:
    """`answers/3.txt, answers/6.txt lack gcp; answers/40.txt lacks aws`; empty where none was kept."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for answer in answers:
        if answer.file:
            alike.setdefault(answer.missing, []).append(answer.file)
    return "; ".join(
        f"{', '.join(files)} {'lacks' if len(files) == 1 else 'lack'} {some(missing)}"
        for missing, files in alike.items()
    )


def table(results: Results) -> Table:
    """Of the phases between the mixed ones; of a run that has no others, the whole."""
    phases = [phase for phase in results.phases if phase.present and phase.name not in MIXED]
    phases = phases or [phase for phase in results.phases if phase.present and phase.name == "whole"]
    found = {(phase.name, each.upstream): each for phase in phases for each in phase.present}
    names = list(dict.fromkeys(each.upstream for phase in phases for each in phase.present))
    of = {name: [found.get((phase.name, name)) for phase in phases] for name in names}
    low = {name: _lowest(entries) for name, entries in of.items() if _lowest(entries) < 2}
    rows = [(name, tuple(_cell(each) for each in of[name])) for name in sorted(low, key=lambda name: low[name])]
    others = [name for name in names if name not in low]
    if rows and others:
        name = others[0] if len(others) == 1 else f"{len(others)} others"
        rows.append((name, tuple(_of_all([of[each][column] for each in others]) for column in range(len(phases)))))
    return Table(tuple(phase.name for phase in phases), tuple(rows)) if rows else Table()


def _lowest(entries: Sequence[PresenceResult | None]) -> float:
    """A sort key: below 1 where the upstream is missing, 1 to 2 where a fault explains that, 2 where it never is."""
    missing = [_expected_share(each) for each in entries if each and each.missing]
    excused = [1 + each.share for each in entries if each and each.share is not None and each.share < 1]
    return min([*missing, *excused, 2.0])


def _cell(each: PresenceResult | None) -> Cell:
    if each is None or each.share is None:
        return Cell(formatting.NONE, "not asked" if each is None else "no answer was ok")
    if each.missing:
        detail = f"{format_count(each.missing)} of {format_count(each.expected)} lack it"
        return Cell(format_share(each.share), detail, "lost")
    return Cell(format_share(each.share), "under a fault", "excused") if each.share < 1 else Cell("100 %")


def _of_all(entries: Sequence[PresenceResult | None]) -> Cell:
    """One cell for all upstreams that were never missing."""
    return _cell(next((each for each in entries if each and each.share is not None), entries[0]))


def _some_phases(when: Sequence[str]) -> str:
    """`during azure-slow, after azure-slow and in 3 more phases`: those that share a text."""
    if len(when) <= PHASES_MOST:
        return " and ".join([", ".join(when[:-1]), when[-1]] if len(when) > 1 else when)
    return f"{', '.join(when[:PHASES_MOST])} and in {len(when) - PHASES_MOST} more phases"


def _when(phase: str) -> str:
    if phase == "whole":
        return "over the whole run"
    return phase if phase.startswith("after ") else f"during {phase}"


def _describe_phase(phase: PhaseResult) -> str:
    missing = sorted((each for each in phase.present if each.missing), key=_expected_share)
    excused = [each for each in phase.present if not each.missing and each.share is not None and each.share < 1]
    whole = [each.upstream for each in phase.present if each.share == 1]
    groups = alike([(each.upstream, _expected_share(each)) for each in missing])
    parts = [f"{names} in {share}" for names, _, share in groups]
    if parts:
        parts[0] += " of the answers"
    if more := len(missing) - sum(several for _, several, _ in groups):
        parts.append(f"{more} more below 100 %")
    if whole and missing:
        parts.append(f"{len(whole)} others 100 %" if len(whole) > 1 else "the other 100 %")
    elif whole:
        parts.append(f"{some(whole)} in 100 % of the answers")
    if excused:
        parts.append(f"{some([each.upstream for each in excused])} under a fault")
    return ", ".join(parts)


def _expected_share(each: PresenceResult) -> float:
    return 1 - each.missing / each.expected if each.expected else 1.0
