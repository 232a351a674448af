"""One `tailgate capacity`: prepares the stack, searches every curve, and writes capacity.json and its page."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.errors import Interrupted, RigError, UsageError
from harness.run import yardstick
from harness.run.remote_load import refuse_unusable_workers
from harness.rundir.results import EXIT_CODE, Machine, ScenarioRef, Tool, canonical_json
from harness.rundir.searches.capacity import FILE, CapacityResults, CapacityVerdict, RateCurve
from harness.rundir.yardstick import Yardstick
from harness.scenario.load import dry_plan
from harness.search.answers.conclusion import compare, sentence_of, verdict_of
from harness.search.answers.replicas import replicas_for
from harness.search.answers.short_soak import refuse_short_soak
from harness.search.capacity import RateLoads, Settings, rate_curve, read_steps
from harness.search.curve_driver import search_curves
from harness.search.load_plans import not_judged, refuse_unsearchable, search_notes
from harness.search.search_folder import asked_search, search_folder
from harness.search.search_progress import SearchState
from harness.search.search_times import STACK_MS
from harness.search.stack_loads import StackLoads
from harness.search.witnesses.own_cores import allowed_cores, usable_cores

if TYPE_CHECKING:
    from harness.run.run import Session
    from harness.rundir.plan import Plan
    from harness.scenario.planner import LoadedCell


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for besides the search's settings. `faults`: None: every fault of the scenario.
    `resume`: the directory of an interrupted search. `baseline`: an earlier capacity.json. `target_per_s`: the rate for
    which replicas are planned."""

    faults: tuple[str, ...] | None
    resume: Path | None
    baseline: CapacityResults | None
    max_drop: float
    target_per_s: float | None = None


def read_capacity(path: Path) -> CapacityResults:
    """Raises UsageError if the file is no capacity.json."""
    try:
        return CapacityResults.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path} is not a capacity.json", "give one that `tailgate capacity` wrote") from exc


def curves_of(plan: Plan, wanted: tuple[str, ...] | None) -> tuple[str | None, ...]:
    """Health and the faults, in the scenario's order. Raises UsageError for a fault that there is not."""
    known = [fault.name for fault in plan.faults]
    if strange := [name for name in wanted or () if name not in known]:
        raise UsageError(f"the scenario has no fault {strange[0]}", f"faults: {', '.join(known) or 'none'}")
    on_service = [fault.name for fault in plan.faults if fault.on_service]
    if wanted and (bad := [name for name in wanted if name in on_service]):
        raise UsageError(f"{bad[0]} acts on the service itself, which carries nothing meanwhile", "leave it out")
    return (None, *(name for name in known if (wanted is None or name in wanted) and name not in on_service))


def rate_curves(plan: Plan, wanted: tuple[str, ...] | None, settings: Settings) -> list[RateLoads]:
    """The loads of each curve. Raises UsageError for a fault that there is not."""
    return [RateLoads(plan, fault, settings) for fault in curves_of(plan, wanted)]


def announced_ms(curves: Sequence[RateLoads]) -> tuple[float, float]:
    """How long a search of these curves takes, usually and at most (`harness.search.search_times`)."""
    usual_ms = sum(each.times.usual_ms() for each in curves)
    return STACK_MS + usual_ms, STACK_MS + sum(each.times.longest_ms() for each in curves)


def search_capacity(
    session: Session,
    cell: LoadedCell,
    settings: Settings,
    asked: Asked,
    show: Callable[[SearchState], None] = lambda _: None,
) -> tuple[Path, CapacityResults]:
    """Search every curve. An interruption ends it early; what was certified by then is in the results. `show`: called
    several times a second with the load that is under way.

    Raises UsageError before anything is started, RigError if the stack does not come up.
    """
    plan, _ = dry_plan(cell.loaded.checked)
    refuse_unsearchable(plan)
    _refuse_baseline_of_another(cell.loaded.scenario.name, asked.baseline)
    refuse_unusable_workers(plan, session.options.remote)
    rules = rate_curves(plan, asked.faults, settings)
    faults = tuple(each.fault for each in rules)
    refuse_short_soak(plan, [gate for each in rules for gate in each.gates.gates], settings.soak_ms, None)
    seed = cell.loaded.scenario.seed if session.options.seed is None else session.options.seed
    this = asked_search("capacity", plan, seed, asdict(settings))
    folder = search_folder(session.options.out, cell.loaded.scenario.name, asked.resume, this)
    recorded = read_steps(folder, faults) if asked.resume else {fault: [] for fault in faults}
    for note in search_notes(plan, faults, cell.loaded.scenario.load.max_in_flight):
        session.display.note(f"note: {note}")
    before_ms = yardstick.measure_ms()
    with StackLoads(session, cell, folder, seed=seed, most_per_s=settings.most_per_s) as stack:
        stack.count_from(sum(1 for _ in folder.glob("load-*")))
        every = [(each, recorded[each.fault]) for each in rules]
        found = search_curves(stack, every, folder=folder, say=session.display.note, show=show)
    curves = [rate_curve(loads, searched, allowed_cores()) for (loads, _), searched in zip(every, found, strict=False)]
    machine = Machine(
        cores=usable_cores(),
        platform=platform.platform(),
        yardstick=Yardstick(before_ms=round(before_ms, 1), after_ms=None),
    )
    results = _results(
        cell,
        settings,
        asked,
        curves,
        machine=machine,
        plan=plan,
        seed=seed,
        interrupted=isinstance(found[-1].ended, Interrupted),
    )
    write(folder, results)
    return folder, results


def _refuse_baseline_of_another(name: str, baseline: CapacityResults | None) -> None:
    """Raises UsageError if the baseline is of another scenario than `name`."""
    if baseline and baseline.scenario.name != name:
        raise UsageError(
            f"the baseline is of {baseline.scenario.name}, and this scenario is {name}",
            "give a capacity.json of the same scenario",
        )


def write(folder: Path, results: CapacityResults) -> None:
    """capacity.json and report.html. Raises RigError if they cannot be written."""
    from reports.searches.capacity_page import write_page

    try:
        (folder / FILE).write_text(canonical_json(results), encoding="utf-8")
        write_page(results, folder)
    except OSError as exc:
        raise RigError(f"{folder} cannot be written: {exc.strerror}", "free some space; the steps are kept") from exc


def _results(
    cell: LoadedCell,
    settings: Settings,
    asked: Asked,
    curves: Sequence[RateCurve],
    *,
    machine: Machine,
    plan: Plan,
    seed: int,
    interrupted: bool,
) -> CapacityResults:
    verdict: CapacityVerdict = verdict_of(curves)
    compared = ""
    if asked.baseline and verdict in ("pass", "inconclusive"):
        found, compared = compare(curves, machine, asked.baseline, asked.max_drop)
        verdict = found if found != "pass" else verdict
    return CapacityResults(
        tool=Tool(version=__version__),
        verdict=verdict,
        exit_code=130 if interrupted else EXIT_CODE[verdict],
        interrupted=interrupted,
        scenario=ScenarioRef(
            name=cell.loaded.scenario.name, file=cell.loaded.checked.file, sha256=cell.loaded.sha256, seed=seed
        ),
        machine=machine,
        confidence=round(1 - settings.alpha, 9),
        within=settings.within,
        sentence=sentence_of(curves),
        compared=compared,
        not_judged=not_judged(plan, rates_vary=True),
        not_begun=tuple(fault or "health" for fault in curves_of(plan, asked.faults)[len(curves) :]),
        replicas=None if asked.target_per_s is None else replicas_for(asked.target_per_s, curves),
        curves=tuple(curves),
    )
