"""One `tailgate frontier`: prepares the stack, searches every curve, and writes frontier.json and its page."""

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
from harness.rundir.searches.frontier import FILE, FrontierCurve, FrontierKind, FrontierResults
from harness.rundir.yardstick import Yardstick
from harness.scenario.load import dry_plan
from harness.scenario.planning.timeline import RECOVERY_MS
from harness.search.answers.short_soak import refuse_short_soak
from harness.search.curve_driver import search_curves
from harness.search.frontier.answer import frontier_sentence, frontier_verdict
from harness.search.frontier.curve_search import LevelCurve
from harness.search.frontier.gates import level_gates, unjudged
from harness.search.frontier.kinds import scale_of
from harness.search.frontier.level_loads import FrontierSettings, LevelLoads
from harness.search.frontier.steps import curve_of, read_frontier_steps
from harness.search.frontier.upstream_faults import FrontierTarget, planned_fault, searched_cell
from harness.search.load_plans import not_judged, refuse_without_rate
from harness.search.search_folder import asked_search, search_folder
from harness.search.search_progress import SearchState
from harness.search.search_times import STACK_MS
from harness.search.stack_loads import StackLoads
from harness.search.witnesses.own_cores import allowed_cores, usable_cores

if TYPE_CHECKING:
    from harness.run.run import Session
    from harness.scenario.planner import LoadedCell

ALL_KINDS: tuple[FrontierKind, ...] = ("latency", "outage")
"""What `--all` searches of each upstream."""


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """The curves of a search, before anything is started. `left_out`: what an upstream cannot have, with the reason."""

    cell: LoadedCell
    curves: tuple[LevelLoads, ...]
    settings: FrontierSettings
    left_out: dict[str, str]

    @property
    def usual_ms(self) -> float:
        """How long it takes, as the median over services that are made up; at most: `longest_ms`."""
        return STACK_MS + sum(curve.times.usual_ms() for curve in self.curves)

    @property
    def longest_ms(self) -> float:
        """How long it takes at most if no load has to be repeated and the service always comes back."""
        return STACK_MS + sum(curve.times.longest_ms() for curve in self.curves)

    @property
    def asked(self) -> dict[str, float | str | None]:
        """What decides how its loads are sent and judged, beside the scenario."""
        found: dict[str, float | str | None] = dict(asdict(self.settings))
        for curve in self.curves:
            name = f"{curve.target.upstream} {curve.target.kind}"
            found |= {f"{name} from": curve.scale.begin, f"{name} to": curve.scale.most}
        return found


def plan_one(
    cell: LoadedCell, target: FrontierTarget, settings: FrontierSettings, first: float | None, most: float | None
) -> PlannedSearch:
    """The search of one upstream and kind, from the level `first` to `most` (None: as the kind usually does). Raises
    UsageError if it cannot be."""
    return PlannedSearch(cell, (_curve(cell, target, settings, first, most),), settings, {})


def plan_all(cell: LoadedCell, settings: FrontierSettings) -> PlannedSearch:
    """Latency and outage of each upstream. Raises UsageError if there is none of which anything can be searched."""
    curves: list[LevelLoads] = []
    left_out: dict[str, str] = {}
    refuse_without_rate(dry_plan(cell.loaded.checked)[0])
    for upstream in cell.loaded.scenario.upstreams:
        for kind in ALL_KINDS:
            try:
                curves.append(_curve(cell, FrontierTarget(upstream, kind), settings, None, None))
            except UsageError as exc:
                left_out[f"{upstream}, {kind}"] = exc.message
    if not curves:
        reason = next(iter(left_out.values()), "the scenario has no upstreams")
        raise UsageError(f"there is nothing to search: {reason}", "name an upstream that can be broken")
    return PlannedSearch(cell, tuple(curves), settings, left_out)


def _curve(
    cell: LoadedCell, target: FrontierTarget, settings: FrontierSettings, first: float | None, most: float | None
) -> LevelLoads:
    checked = cell.loaded.checked
    plan, _ = dry_plan(checked)
    refuse_without_rate(plan)
    scale = scale_of(target.kind, first, most)
    planned_fault(checked, target, scale.begin)
    recovery_ms = checked.scenario.load.recovery_ms or RECOVERY_MS
    gates = level_gates(plan, target.upstream, target.kind, fault=target.fault, recovery_ms=recovery_ms)
    if not gates.broken:
        listed = "; ".join(f"`{text}`: {reason}" for text, reason in not_judged(plan).items())
        raise UsageError(
            f"no gate of this scenario can be judged while a fault stands ({listed or 'it has none'})",
            "add a gate on the whole load, such as `p99 < 1s` or `errors < 1%`",
        )
    return LevelLoads(checked, plan, target, gates, scale, settings)


def search_frontier(
    session: Session,
    search: PlannedSearch,
    resume: Path | None = None,
    show: Callable[[SearchState], None] = lambda _: None,
) -> tuple[Path, FrontierResults]:
    """Search every curve. An interruption ends it early; what was certified by then is in the results.

    `resume`: the directory of a search that was interrupted. `show`: called several times a second with the load that
    is under way. Raises UsageError before anything is started, RigError if the stack does not come up.
    """
    refuse_unusable_workers(search.curves[0].plan, session.options.remote)
    targets = tuple(curve.target for curve in search.curves)
    refuse_short_soaks(search)
    scenario = search.cell.loaded.scenario
    seed = scenario.seed if session.options.seed is None else session.options.seed
    this = asked_search("frontier", search.curves[0].plan, seed, search.asked)
    folder = search_folder(session.options.out, scenario.name, resume, this)
    recorded = read_frontier_steps(folder, targets) if resume else {target: [] for target in targets}
    before_ms = yardstick.measure_ms()
    rate_per_s = search.curves[0].rate_per_s
    cell = searched_cell(search.cell, targets)
    with StackLoads(session, cell, folder, seed=seed, most_per_s=rate_per_s) as stack:
        stack.count_from(sum(1 for _ in folder.glob("load-*")))
        every = [(LevelCurve(loads), recorded[loads.target]) for loads in search.curves]
        found = search_curves(stack, every, folder=folder, say=session.display.note, show=show)
    curves = [curve_of(loads, searched, allowed_cores()) for loads, searched in zip(search.curves, found, strict=False)]
    machine = Machine(
        cores=usable_cores(),
        platform=platform.platform(),
        yardstick=Yardstick(before_ms=round(before_ms, 1), after_ms=None),
    )
    results = _results(search, curves, machine=machine, seed=seed, interrupted=isinstance(found[-1].ended, Interrupted))
    write_frontier(folder, results)
    return folder, results


def refuse_short_soaks(search: PlannedSearch) -> None:
    """Raises UsageError if a gate could not pass in a soak. Those of an outage are as long as its gate needs."""
    for curve in search.curves:
        if not curve.is_outage:
            refuse_short_soak(curve.plan, curve.gates.broken, search.settings.soak_ms, curve.rate_per_s)


def write_frontier(folder: Path, results: FrontierResults) -> None:
    """frontier.json and report.html. Raises RigError if they cannot be written."""
    from reports.searches.frontier_page import write_page

    try:
        (folder / FILE).write_text(canonical_json(results), encoding="utf-8")
        write_page(results, folder)
    except OSError as exc:
        raise RigError(f"{folder} cannot be written: {exc.strerror}", "free some space; the steps are kept") from exc


def _results(
    search: PlannedSearch, curves: Sequence[FrontierCurve], *, machine: Machine, seed: int, interrupted: bool
) -> FrontierResults:
    verdict = frontier_verdict(curves)
    if interrupted and verdict == "pass":
        verdict = "inconclusive"  # curves that were asked for are missing
    loaded = search.cell.loaded
    first = search.curves[0]
    return FrontierResults(
        tool=Tool(version=__version__),
        verdict=verdict,
        exit_code=130 if interrupted else EXIT_CODE[verdict],
        interrupted=interrupted,
        scenario=ScenarioRef(name=loaded.scenario.name, file=loaded.checked.file, sha256=loaded.sha256, seed=seed),
        machine=machine,
        confidence=round(1 - search.settings.alpha, 9),
        within=search.settings.within,
        rate_per_s=first.rate_per_s,
        sentence=frontier_sentence(curves),
        not_judged=unjudged(first.plan, tuple(curve.gates for curve in search.curves)),
        not_searched=search.left_out,
        not_begun=tuple(f"{each.target.upstream} {each.target.kind}" for each in search.curves[len(curves) :]),
        curves=tuple(curves),
    )
