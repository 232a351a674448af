"""`tailgate capacity`: how many requests a second the service carries while every gate holds, and what stops it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.cli.display import output
from harness.cli.options import Quantity, Width, remote_worker_options, search_options
from harness.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.run.progress import Display
    from harness.rundir.searches.capacity import CapacityResults
    from harness.scenario import LoadedScenario
    from harness.scenario.planner import LoadedCell
    from harness.search.capacity import Settings
    from harness.search.search_progress import SearchState

CERTIFIED_LEAST_MS: Final = 3_000.0
"""A load that is shorter certifies nothing at any rate."""
WORDS: Final = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "rig_failure": "RIG_FAILURE"}
_RATE, _SHARE = Quantity("rate"), Quantity("share")


@click.command("capacity")
@click.argument("scenario")
@click.option("--from", "first", type=_RATE, help="The first rate that is tried; default: the scenario's.")
@click.option("--to", type=_RATE, help="No higher rate is tried.")
@click.option(
    "--within",
    type=Width(1.0),
    default="10%",
    show_default=True,
    help="How far apart the two answers may be, 1% to 100%.",
)
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Only this fault's curve beside that of health.")
@click.option("--no-faults", is_flag=True, help="Only health.")
@click.option(
    "--baseline", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="An earlier capacity.json."
)
@click.option("--max-drop", type=_SHARE, default="10%", show_default=True, help="How far it may fall against it.")
@click.option("--target", type=_RATE, help="Say how many replicas carry this rate while one of them is gone.")
@search_options
@remote_worker_options
def capacity_command(
    *,
    scenario: str,
    first: float | None,
    to: float | None,
    within: float,
    step: float,
    soak: float,
    faults: tuple[str, ...],
    no_faults: bool,
    only: str | None,
    baseline: Path | None,
    max_drop: float,
    target: float | None,
    resume: Path | None,
    out: Path,
    seed: int | None,
    sets: tuple[str, ...],
    allowed: tuple[str, ...],
    workers: int,
    expect_workers: int | None,
    listen: str | None,
    token_file: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Find the highest rate at which every gate holds.

    In health and with each fault on: the highest rate that passed a soak, the lowest that was shown to
    fail, and what stopped the service as far as it can be seen. Exit codes: 0 both are certified, 1 nothing
    holds or it fell, 2 usage or scenario error, 3 a certificate is missing, 4 the rig failed, 130 interrupted.
    """
    from harness.cli.display.search_panel import closing
    from harness.run.remote_load import workers_of
    from harness.run.run import Options, Session
    from harness.run.signals import Stopper
    from harness.search.capacity_run import Asked, read_capacity, search_capacity

    workers, remote = workers_of(workers, expect_workers, listen, token_file)
    loaded = load_searched(scenario, sets, allowed, load_is_elsewhere=remote is not None)
    cell, (display, show) = cell_of(loaded, only), search_display(loaded, quiet=quiet)
    settings = _settings(cell.loaded, first=first, to=to, within=within, step=step, soak=soak)
    base = read_capacity(baseline) if baseline else None
    asked = Asked(_faults(faults, no_faults=no_faults), resume, base, max_drop, target)
    display.note(_announcement(cell.loaded, settings, asked.faults))
    with Stopper() as stopper, closing(display):
        session = Session(Options(out, seed, sets, workers, remote, allowed=allowed), display, stopper)
        folder, results = search_capacity(session, cell, settings, asked, show)
    return tell(results, folder, as_json=as_json, quiet=quiet)


def load_searched(
    scenario: str, sets: tuple[str, ...], allowed: tuple[str, ...], *, load_is_elsewhere: bool
) -> LoadedScenario:
    """The scenario of a search. Raises ScenarioErrors, and UsageError for a target that is not allowed."""
    from harness.run.invocation import load_all, targets_of
    from harness.target_allowlist import refuse_foreign_targets

    (loaded,) = load_all([scenario], sets, (), load_is_elsewhere=load_is_elsewhere)
    refuse_foreign_targets(targets_of([loaded]), allowed)
    return loaded


def search_display(loaded: LoadedScenario, *, quiet: bool) -> tuple[Display, Callable[[SearchState], None]]:
    """The display of the search, with the warnings about the scenario, and what shows a load that is under way."""
    from harness.cli.display.search_panel import make_search_display

    display, show = make_search_display(quiet=quiet)
    for warning in loaded.warnings:
        display.note(output.spell(warning, kind="warning"))
    return display, show


def _faults(named: tuple[str, ...], *, no_faults: bool) -> tuple[str, ...] | None:
    """The faults whose curves are searched; None: every one."""
    from harness.errors import UsageError

    if no_faults and named:
        raise UsageError("--no-faults and --fault exclude each other", "give one of them")
    return () if no_faults else named or None


def tell(results: CapacityResults, folder: Path, *, as_json: bool, quiet: bool) -> int:
    """Print the answer on stdout; the exit code. `folder`: the directory of the search."""
    if as_json:
        output.document(results.model_dump(mode="json"))
        return results.exit_code
    if not quiet:
        _print(results)
        if results.interrupted or results.verdict == "rig_failure":
            output.say(f"to go on from here, add to the same command: --resume {shlex.quote(str(folder))}")
    output.say(f"{WORDS[results.verdict]} {results.scenario.name} {folder}")
    return results.exit_code


def cell_of(loaded: LoadedScenario, only: str | None) -> LoadedCell:
    """The cell of that name; of a scenario without a matrix the only one. Raises UsageError."""
    from harness.errors import UsageError
    from harness.scenario.planner import cells

    every = cells(loaded)
    if only is None and len(every) > 1:
        raise UsageError(
            "this scenario is a matrix, and a search is about one service",
            f"choose a cell with --only: {', '.join(cell.name or '' for cell in every)}",
        )
    for cell in every:
        if only is None or cell.name == only:
            return cell
    if len(every) == 1:
        raise UsageError("this scenario is no matrix, so it has no cells", "leave out --only")
    raise UsageError(f"no cell is called {only}", f"cells: {', '.join(cell.name or '' for cell in every)}")


def _settings(
    loaded: LoadedScenario, *, first: float | None, to: float | None, within: float, step: float, soak: float
) -> Settings:
    from harness.errors import UsageError
    from harness.scenario.load import dry_plan
    from harness.search.capacity import Settings
    from harness.search.level_search import LEAST_PER_S
    from scenarios.load import planned_peak_per_s

    own_per_s = planned_peak_per_s(dry_plan(loaded.checked)[0].load)
    first_per_s = first if first is not None else max(LEAST_PER_S, own_per_s)
    if first_per_s < LEAST_PER_S:
        raise UsageError(f"--from {first_per_s:g}/s is below the lowest rate that is tried", "--from 1/s, or higher")
    for option, length_ms in (("--step", step), ("--soak", soak)):
        if length_ms < CERTIFIED_LEAST_MS:
            raise UsageError(
                f"{option} {format_duration(length_ms)} is too short to certify anything",
                f"{option} {format_duration(CERTIFIED_LEAST_MS)} or longer",
            )
    if to is not None and to < first_per_s:
        raise UsageError(f"--to {to:g}/s is below --from {first_per_s:g}/s", "give a higher --to, or a lower --from")
    return Settings(
        first_per_s=first_per_s,
        to_per_s=to,
        within=within,
        refute_ms=step,
        soak_ms=soak,
        alpha=round(1 - loaded.scenario.verdict.confidence, 9),
    )


def _announcement(loaded: LoadedScenario, settings: Settings, faults: tuple[str, ...] | None) -> str:
    from harness.scenario.load import dry_plan
    from harness.search.capacity_run import announced_ms, rate_curves
    from harness.search.search_times import times_text

    curves = rate_curves(dry_plan(loaded.checked)[0], faults, settings)
    how_long = times_text(*announced_ms(curves))
    named = "health" if len(curves) == 1 else f"health and {len(curves) - 1} with a fault on"
    return f"{loaded.scenario.name}: capacity, {named}; from {settings.first_per_s:g}/s; {how_long}"


def _print(results: CapacityResults) -> None:
    from harness.rundir.searches.capacity import FINDINGS
    from harness.search.answers.certificates import certificates

    width = max((len(curve.fault or "health") for curve in results.curves), default=6)
    output.say(f"{'with':<{width}}  {'carries':>12}  {'fails at':>10}  what stops it")
    for curve in results.curves:
        least = ">= " if curve.at_least else ""
        carries = "-" if curve.certified_per_s is None else f"{least}{curve.certified_per_s:g}/s"
        fails = "-" if curve.refuted_per_s is None else f"{curve.refuted_per_s:g}/s"
        output.say(f"{curve.fault or 'health':<{width}}  {carries:>12}  {fails:>10}  {curve.limiter.witness}")
        for finding in curve.findings:
            output.say(f"{'':<{width}}  {FINDINGS[finding]}")
        if curve.would_decide:
            output.say(f"{'':<{width}}  {curve.would_decide}")
    for text, reason in results.not_judged.items():
        output.say(f"not judged: `{text}`: {reason}")
    for name in results.not_begun:
        output.say(f"not begun: {name}")
    if results.compared:
        output.say(results.compared)
    for line in certificates([(curve.fault or "health", curve.steps) for curve in results.curves], results.confidence):
        output.say(line)
    output.say(results.sentence)
    if results.replicas:
        output.say(f"{results.replicas.sentence}, {results.replicas.assumption}")
