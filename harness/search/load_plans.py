"""The plan of one load of a search: the scenario's requests at one rate, judged by the gates of one curve. Pure.

The streams keep their proportions: each has the share of the rate that its highest rate has among those of all.

A load has a part in which it settles (the warm-up, in no gate) and the part that is judged. A fault stands from before
the judged part until its last request has ended, so nothing that it holds is let go early; its windows in the scenario
are ignored. Gates that judge a fault's window, the baseline or the whole load are judged over the whole judged part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError
from harness.gates.parse import parse_gate
from harness.rundir.plan import LoadPlan, Plan, PlannedGate
from harness.rundir.planned.fault import FaultWindow, PlannedFault
from harness.rundir.planned.load import PlannedLoad, Schedule, Stage
from scenarios.load import peak_rate_per_s, planned_peak_per_s

HEADROOM: Final = 1.25
"""Factor on the slots that the rate and the client cap can fill, because arrivals come in bursts."""
FAULT_BEFORE_MS: Final = 4_000.0
"""A fault is applied so long before the judged part."""
_DURING: Final = re.compile(r"\s+during\s+\S+\s*$")


@dataclass(frozen=True, slots=True)
class CurveGates:
    """The gates of one curve. `borrowed`: health has none of its own, so those of the faults are judged."""

    gates: tuple[PlannedGate, ...]
    borrowed: bool = False


def health_gates(plan: Plan) -> CurveGates:
    """Of a search over rates: the gates on the whole load and the baseline; those on the faults' windows if there are
    none."""
    own = over_the_whole(plan, ("whole", "baseline"), rates_vary=True)
    if own:
        return CurveGates(own)
    of_faults = tuple(fault.name for fault in plan.faults)
    return CurveGates(over_the_whole(plan, of_faults, rates_vary=True), borrowed=not plan.default_gates)


def fault_gates(plan: Plan, fault: str) -> CurveGates:
    """Of a search over rates: the gates on the fault's window; those of health if it has none of its own."""
    own = over_the_whole(plan, (fault,), rates_vary=True)
    return CurveGates(own) if own else CurveGates(health_gates(plan).gates, borrowed=True)


def not_judged(plan: Plan, *, rates_vary: bool = False) -> dict[str, str]:
    """The gates that no curve judges, with the reason. `rates_vary`: the search changes the rate."""
    found = {}
    for planned in plan.gates:
        if (reason := why_not_judged(planned, rates_vary=rates_vary)) is not None:
            found[planned.text] = reason
    return found


def why_not_judged(planned: PlannedGate, *, rates_vary: bool = False) -> str | None:
    gate = parse_gate(planned.text)
    if rates_vary and gate.limits_rate:
        return "its limit is a rate, and the search changes the rate"
    if gate.phase.startswith("after "):
        return "a fault is on for its whole curve, so nothing comes after it"
    if gate.unfit_for_one_rate:
        return gate.unfit_for_one_rate
    if len(gate.phases()) > 1:
        return "it compares with the baseline, and the load of a search has none"
    if gate.uses_main:
        return "it compares with another run"
    return None


def over_the_whole(plan: Plan, phases: tuple[str, ...], *, rates_vary: bool = False) -> tuple[PlannedGate, ...]:
    """The gates on these phases that a search can judge, without their phases; each text once."""
    texts: dict[str, PlannedGate] = {}
    for planned in plan.gates:
        if parse_gate(planned.text).phase in phases and why_not_judged(planned, rates_vary=rates_vary) is None:
            text = _DURING.sub("", planned.text)
            texts.setdefault(text, planned.model_copy(update={"text": text}))
    return tuple(texts.values())


def search_notes(plan: Plan, faults: Sequence[str | None], slots: int | None) -> list[str]:
    """What the user should know of a search before it begins, a sentence each. `faults`: of its curves; `slots`: the
    scenario's own `load.max_in_flight`, if it has one."""
    notes = []
    if plan.default_gates:
        gates = ", ".join(f"`{gate.text}`" for gate in health_gates(plan).gates)
        notes.append(f"the scenario has no gates, so {gates} is judged: a floor, not a service level")
    placed = [fault.name for fault in plan.faults if fault.name in faults]
    if placed:
        notes.append(f"{', '.join(placed)}: on for a whole curve; `at`, `for` and `every` are ignored")
    if slots is not None:
        notes.append(
            f"load.max_in_flight: no more than {slots:,} requests are open at once; where a rate needs more, the "
            "answer is `at least`"
        )
    return notes


def refuse_without_rate(plan: Plan) -> None:
    """Raises UsageError if the scenario plans no rate at which the loads of a search could be sent."""
    streams = plan.load.streams
    if not streams:
        raise UsageError(
            "a search sends at a planned rate, and this scenario has `users`: its rate follows from the answers",
            "give `load.rate`, for this search: --set load.users=null --set load.rate=20/s",
        )
    if any(stream.schedule.replay_ms is not None for stream in streams):
        raise UsageError("a search sends at a planned rate, and this scenario replays a recording", "give `load.rate`")


def refuse_unsearchable(plan: Plan) -> None:
    """Raises UsageError if the scenario has no rate that a search could change, or no gate that it could judge."""
    refuse_without_rate(plan)
    if not health_gates(plan).gates:
        listed = "; ".join(f"`{text}`: {reason}" for text, reason in not_judged(plan, rates_vary=True).items())
        raise UsageError(
            f"no gate of this scenario can be judged at one rate after another ({listed or 'it has none'})",
            "add a gate on the whole load, such as `p99 < 1s` or `errors < 1%`",
        )


def load_plan(
    base: Plan,
    *,
    run_id: str,
    rate_per_s: float,
    settle_ms: float,
    judged_ms: float,
    gates: Sequence[PlannedGate],
    fault: str | None,
    confidence: float | None,
    first_seq: int,
    seed: int,
    placed: tuple[PlannedFault, ...] = (),
    guard_ms: float = 0.0,
) -> LoadPlan:
    """The load at `rate_per_s` on the stack of `base`, whose slots limit how many requests may be in flight.

    `rate_per_s`: of all its streams together. `confidence`: of its gates; None: the scenario's. `fault`: the one of the
    scenario that stands for the whole load. `placed`: faults of the search's own, with their windows.
    """
    load = _at_rate(base.load, rate_per_s, settle_ms, judged_ms)
    slots = max(1, math.ceil(rate_per_s * load.client_cap_ms / 1000 * HEADROOM))
    standing = (_standing(each, settle_ms, judged_ms + load.drain_ms) for each in base.faults if each.name == fault)
    parsed = [parse_gate(gate.text) for gate in gates]
    return LoadPlan(
        run_id=run_id,
        name=base.name,
        cell=base.cell,
        seed=seed,
        scenario_file=base.scenario_file,
        scenario_sha256=base.scenario_sha256,
        overrides=base.overrides,
        load=load.model_copy(
            update={
                "warmup_ms": settle_ms,
                "duration_ms": judged_ms,
                "max_in_flight": min(slots, base.most_in_flight),
                "slots_cut": slots > base.most_in_flight,
                "first_seq": first_seq,
            }
        ),
        guard_ms=guard_ms,
        faults=(*standing, *placed),
        gates=tuple(gates),
        metrics=tuple(dict.fromkeys(series.text for gate in parsed if (series := gate.series) is not None)),
        times_first_byte=any(gate.uses_first_byte for gate in parsed),
        default_gates=base.default_gates,
        verdict=base.verdict if confidence is None else base.verdict.model_copy(update={"confidence": confidence}),
    )


def _at_rate(load: PlannedLoad, rate_per_s: float, settle_ms: float, judged_ms: float) -> PlannedLoad:
    """The load with a steady rate for each stream: its highest planned rate times a factor that all streams share, so
    that together they have `rate_per_s`."""
    peak_per_s = planned_peak_per_s(load)

    def steady(schedule: Schedule | None) -> Schedule | None:
        if schedule is None:
            return None
        own_per_s = rate_per_s * (peak_rate_per_s(schedule) / peak_per_s)
        stage = Stage(start_per_s=own_per_s, end_per_s=own_per_s, duration_ms=settle_ms + judged_ms)
        return Schedule(start_ms=-settle_ms, arrivals=schedule.arrivals, stages=(stage,))

    requests = tuple(each.model_copy(update={"schedule": steady(each.schedule)}) for each in load.requests)
    return load.model_copy(update={"schedule": steady(load.schedule), "requests": requests})


def _standing(fault: PlannedFault, settle_ms: float, end_ms: float) -> PlannedFault:
    """The fault for the whole judged part and its drain; it ends with the load at the latest."""
    begin_ms = -min(FAULT_BEFORE_MS, settle_ms / 2)
    return fault.model_copy(update={"windows": (FaultWindow(apply_ms=begin_ms, remove_ms=end_ms),)})
