"""Judges every gate of a plan, and judges again without the seconds that say nothing about the service: those in which
the load generator sent late, and those in which others took the cores.

Send lag is part of the latency, and waiting for a core adds to it, so they can only make a gate look worse: a PASS
stands whatever they were. The exception is a gate that compares with a baseline, because they make its limit too
generous; its PASS must not become a FAIL without those seconds. A FAIL must still be a FAIL without them. A verdict
that changes is not the service's doing (`rests_on_lag`, `rests_on_cores`). It makes the run a rig failure, unless
another gate's FAIL holds without those seconds: then that one decides, and a verdict that rests on them is
inconclusive.

A late generator sends its arrivals in a bunch, and a bunch can do anything to a service, so any FAIL may rest on lag.
Others that take the cores make the service work as it always does, but later. So a FAIL rests on them only if it does
not hold either when requests are believed to have been held up by them for as long as that is possible. The seconds in
which the run worked off what had queued up are left out with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

from harness.evidence import Pool
from harness.gates import Finding, Gate
from harness.gates.detection.outcome import DetectionGate
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.plan import PlannedGate
from harness.rundir.results import GateResult
from harness.units import NS_PER_MS, format_duration
from harness.verdict.bad_seconds.late import lag_limit_ms, late_seconds
from harness.verdict.bad_seconds.taken import TakenSeconds, taken_seconds
from harness.verdict.bad_seconds.waiting import without_waiting
from harness.verdict.cut_slots import depends_on_dropped, has_cut_drops

NAMES_SHOWN_MOST: Final = 8
"""So many names of a locustfile's requests are listed; the others are counted."""

UNSURE_MOST: Final = 0.1
"""The most uncertainty of the workers' clocks at which phases are judged, as a share of the guard."""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """A gate of the plan, parsed, with its finding."""

    planned: PlannedGate
    gate: Gate
    finding: Finding

    def result(self, *, as_before: bool = False) -> GateResult:
        """The gate's entry in results.json. `as_before`: it failed, and was no better in the baseline."""
        finding = self.finding
        return GateResult(
            id=self.planned.id,
            text=self.planned.text,
            line=self.planned.line,
            metric=self.gate.metric,
            phase=self.gate.phase,
            verdict=finding.verdict,
            kind=finding.kind,
            reason=finding.reason,
            limit=finding.limit,
            unit=finding.unit,
            op=finding.op,
            observed=finding.observed,
            low=finding.low,
            high=finding.high,
            censored_at_ms=finding.censored_at_ms,
            censored_by=finding.censored_by,
            failed_at_rank=finding.failed_at_rank,
            as_before=as_before,
            n=finding.n,
            exceeded=finding.exceeded,
            exceeded_by=finding.endings,
            deflation=finding.deflation,
            withstands_ms=finding.withstands_ms,
        )


@dataclass(frozen=True, slots=True)
class GateVerdicts:
    """The verdicts on a plan's gates, in its order, and how far the load generator may have caused them."""

    gates: tuple[GateVerdict, ...]
    lag_limit_ms: float
    """A second whose p99 send lag is above this is late."""
    late: tuple[frozenset[int], ...]
    """For each run, the late seconds, counted from t = 0."""
    taken: tuple[TakenSeconds, ...]
    """For each run, what is known of the cores, with the seconds in which others took them."""
    rests_on_lag: Mapping[str, str]
    """Each gate whose verdict changes without the late seconds, by id, with how (`p99 < 2s` does not fail)."""
    rests_on_cores: Mapping[str, str]
    """The same of the seconds in which others took the cores."""
    unsent: tuple[str, ...] = ()
    """The texts of the gates whose verdict depends on arrivals that were dropped because the open-file limit allowed
    too few slots."""

    @property
    def failed(self) -> list[GateVerdict]:
        """The gates with the verdict FAIL, in the plan's order."""
        return [one for one in self.gates if one.finding.verdict == "fail"]

    @property
    def has_sure_fail(self) -> bool:
        """Whether a gate fails without the late and the taken seconds as well."""
        return any(one.planned.id not in {*self.rests_on_lag, *self.rests_on_cores} for one in self.failed)

    def without_unsure(self) -> GateVerdicts:
        """The same with every verdict that rests on late or taken seconds made inconclusive, so that none rests on them
        any more."""
        gates = tuple(self._without_unsure(one) for one in self.gates)
        return replace(self, gates=gates, rests_on_lag={}, rests_on_cores={})

    def resting_on_cores(self, gate: str) -> GateVerdicts:
        """The same where an implicit gate fails that cannot be decided without the taken seconds."""
        return replace(self, rests_on_cores={**self.rests_on_cores, gate: f"`{gate}` cannot be decided"})

    def undecided(self, unsure: Mapping[str, str]) -> GateVerdicts:
        """The same with every verdict made inconclusive that rests on a fault of `unsure`: faults of which only one
        witness saw something, by name, each with the reason."""
        return replace(self, gates=tuple(_undecided(one, unsure) for one in self.gates)) if unsure else self

    def without_phases(self, reason: str) -> GateVerdicts:
        """The same with every verdict on a phase other than `whole` made inconclusive, for a `reason` that the clocks
        of the workers give; empty: they give none."""
        return replace(self, gates=tuple(_unsure_of_phases(one, reason) for one in self.gates)) if reason else self

    def _without_unsure(self, one: GateVerdict) -> GateVerdict:
        if change := self.rests_on_cores.get(one.planned.id):
            kind, when = FindingKind.RESTS_ON_CORES, "in which others took the cores"
        elif change := self.rests_on_lag.get(one.planned.id):
            kind, when = FindingKind.RESTS_ON_LAG, "in which the load generator was late"
        else:
            return one
        reason = f"without the seconds {when} {change}: {one.finding.reason}"
        return replace(one, finding=replace(one.finding, verdict="inconclusive", kind=kind, reason=reason))


def _undecided(one: GateVerdict, unsure: Mapping[str, str]) -> GateVerdict:
    phases = set(one.gate.phases())
    rests_on = [name for name in unsure if {name, f"after {name}"} & phases]
    if one.finding.verdict == "pass" and "whole" in phases:
        rests_on = list(unsure)  # a FAIL of the whole run needs no fault
    if not rests_on or one.finding.verdict == "inconclusive":
        return one
    reason = f"it is unknown whether the service met {rests_on[0]}: {unsure[rests_on[0]]}"
    return replace(
        one, finding=replace(one.finding, verdict="inconclusive", kind=FindingKind.ONE_WITNESS, reason=reason)
    )


def _unsure_of_phases(one: GateVerdict, reason: str) -> GateVerdict:
    if set(one.gate.phases()) <= {"whole"} or one.finding.verdict == "inconclusive":
        return one
    finding = replace(one.finding, verdict="inconclusive", kind=FindingKind.CLOCKS_UNSURE, reason=reason)
    return replace(one, finding=finding)


def clocks_unsure(pool: Pool) -> str:
    """Why gates on phases cannot be decided: the arrivals' times may be off by more than a tenth of the guard, which
    separates the phases. Empty: they can be, as always with workers on this machine."""
    worst_ms = max(run.clock_uncertainty_ns for run in pool.runs) / NS_PER_MS
    most_ms = pool.plan.guard_ms * UNSURE_MOST
    if worst_ms <= most_ms:
        return ""
    return (
        f"the workers' clocks are known to {format_duration(worst_ms)} only, which is more than a tenth of the guard "
        f"of {format_duration(pool.plan.guard_ms)}"
    )


def judge_gates(pool: Pool) -> GateVerdicts:
    """Judge every gate of the pool's plan. Never raises for a gate: one that breaks is inconclusive."""
    planned = pool.plan.gates
    gates = [parse_gate(one.text) for one in planned]
    alpha_fail = round(1 - pool.plan.verdict.confidence, 9) / max(len(gates), 1)
    verdicts = tuple(
        GateVerdict(one, gate, _judge(gate, pool, alpha_fail)) for one, gate in zip(planned, gates, strict=True)
    )
    limits = [gate.latency_limit_ms(pool.plan.gateway.timeout_ms) for gate in gates]
    limit_ms = lag_limit_ms([limit for limit in limits if limit is not None])
    late = tuple(late_seconds(run, limit_ms) for run in pool.runs)
    taken = tuple(taken_seconds(run) for run in pool.runs)
    again = _JudgedAgain(pool, late, taken, alpha_fail)
    return GateVerdicts(
        gates=verdicts,
        lag_limit_ms=limit_ms,
        late=late,
        taken=taken,
        rests_on_lag={one.planned.id: change for one in verdicts if (change := again.change_without_late(one))},
        rests_on_cores={one.planned.id: change for one in verdicts if (change := again.change_without_taken(one))},
        unsent=_resting_on_drops(verdicts, pool, alpha_fail),
    )


def _resting_on_drops(verdicts: tuple[GateVerdict, ...], pool: Pool, alpha_fail: float) -> tuple[str, ...]:
    """The texts of the gates whose verdict depends on arrivals that were dropped for lack of slots."""
    if not has_cut_drops(pool):
        return ()
    return tuple(
        one.planned.text
        for one in verdicts
        if depends_on_dropped(one.gate, pool, one.finding.verdict, partial(_verdict_of, one.gate, alpha_fail))
    )


def _verdict_of(gate: Gate, alpha_fail: float, pool: Pool) -> str:
    return _judge(gate, pool, alpha_fail).verdict


class _JudgedAgain:
    """How verdicts change without seconds of the runs of a pool. A change is a clause; it is empty if there is none."""

    def __init__(
        self, pool: Pool, late: Sequence[frozenset[int]], taken: Sequence[TakenSeconds], alpha_fail: float
    ) -> None:
        self._pool = pool
        self._late = late
        self._taken = taken
        self._alpha_fail = alpha_fail

    def change_without_late(self, one: GateVerdict) -> str:
        if not any(self._late) or not _may_change(one):
            return ""
        return self._change(one, self._without_late)

    def change_without_taken(self, one: GateVerdict) -> str:
        """Empty also if only the late seconds make the difference, or if the gate fails however long others held up
        its requests."""
        if not any(taken.seconds for taken in self._taken) or not _may_change(one):
            return ""
        failed = one.finding.verdict == "fail"
        pool = self._unheld(one) if failed else self._pool
        change = self._change(one, pool.without(self._affected))
        if not change and not self.change_without_late(one):
            change = self._change(one, pool.without(self._late_or_affected))
        if not change or (failed and self._holds_without_waiting(one)):
            return ""
        return change

    def _holds_without_waiting(self, one: GateVerdict) -> bool:
        """Whether a gate fails however long others held up its requests. When the service named an upstream is judged
        without the seconds alone: nothing says how much earlier it would have."""
        if isinstance(one.gate, DetectionGate):
            return False
        return self._verdict(one, self._unheld(one).without(self._late)) == "fail"

    def _change(self, one: GateVerdict, clean: Pool) -> str:
        verdict = self._verdict(one, clean)
        if one.finding.verdict == "pass":
            return f"`{one.planned.text}` fails" if verdict == "fail" else ""
        if verdict == "fail":
            return ""
        return f"`{one.planned.text}` {'does not fail' if verdict == 'pass' else 'cannot be decided'}"

    def _verdict(self, one: GateVerdict, pool: Pool) -> str:
        return _judge(one.gate, pool, self._alpha_fail).verdict

    @cached_property
    def _without_late(self) -> Pool:
        return self._pool.without(self._late)

    @cached_property
    def _affected(self) -> list[frozenset[int]]:
        return [taken.affected for taken in self._taken]

    @cached_property
    def _late_or_affected(self) -> list[frozenset[int]]:
        return [late | affected for late, affected in zip(self._late, self._affected, strict=True)]

    def _unheld(self, one: GateVerdict) -> Pool:
        """As if others had held up no request. A baseline without waiting would be quicker than any that the service
        can be compared with, so a gate that compares with it gets the measured one."""
        return self._unheld_after_baseline if _compares(one) else self._unheld_everywhere

    @cached_property
    def _unheld_everywhere(self) -> Pool:
        return self._without_waiting(spare_baseline=False)

    @cached_property
    def _unheld_after_baseline(self) -> Pool:
        return self._without_waiting(spare_baseline=True)

    def _without_waiting(self, *, spare_baseline: bool) -> Pool:
        runs = zip(self._pool.runs, self._taken, strict=True)
        return Pool(tuple(without_waiting(run, taken, spare_baseline=spare_baseline) for run, taken in runs))


def _compares(one: GateVerdict) -> bool:
    """Whether the gate compares its phase with the baseline."""
    return one.gate.phase != "baseline" and "baseline" in one.gate.phases()


def _may_change(one: GateVerdict) -> bool:
    """Whether a verdict can rest on seconds that make requests slow: a FAIL, and a PASS by comparison with a
    baseline."""
    return one.finding.verdict == "fail" or (one.finding.verdict == "pass" and _compares(one))


def _judge(gate: Gate, pool: Pool, alpha_fail: float) -> Finding:
    if unknown := unknown_names(gate, pool):
        return Finding("inconclusive", unknown[0], None, "ms", "<", unknown[1])
    try:
        return gate.judge(pool, alpha_fail=alpha_fail)
    except Exception as exc:  # a gate that breaks must not cost the other gates their verdicts
        reason = f"this gate could not be judged: {type(exc).__name__}: {exc}"
        return Finding("inconclusive", reason, None, "ms", "<", FindingKind.NOT_JUDGED)


def unknown_names(gate: Gate, pool: Pool) -> tuple[str, FindingKind] | None:
    """Why a gate on requests of a locustfile cannot be judged: none of its tasks had the name. None if some had."""
    if pool.plan.load.locustfile is None:
        return None
    notes = [note for run in pool.runs for note in run.locustfile_notes]
    for name in gate.requests():
        if all(run.request_index(name) is None for run in pool.runs):
            if in_on_start := sent_in_on_start(name, notes):
                return in_on_start, FindingKind.NAME_IN_ON_START
            came = dict.fromkeys(n for run in pool.runs for n in run.locustfile_names)
            return name_never_came(name, came), FindingKind.NAME_NEVER_CAME
    return None


def sent_in_on_start(name: str, notes: Iterable[LocustfileNote]) -> str:
    """A clause that says so if `on_start` sent the requests of that name; empty if it did not."""
    return next((note.said() for note in notes if note.kind == "in_on_start" and note.text == name), "")


def name_never_came(name: str, came: Collection[str]) -> str:
    """A clause that lists the names which did come, for gates and for the warning while the load runs."""
    if not came:
        return f"the locustfile sent no request called `{name}`, nor any other"
    listed = ", ".join(f"`{each}`" for each in list(came)[:NAMES_SHOWN_MOST])
    more = len(came) - NAMES_SHOWN_MOST
    others = f" and {more} more" if more > 0 else ""
    return f"the locustfile sent no request called `{name}`; it sent {listed}{others}"
