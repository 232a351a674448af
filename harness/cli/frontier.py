"""`tailgate frontier`: how slow, how broken, how long gone an upstream may be before a gate falls."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.cli.capacity import WORDS, cell_of, load_searched, search_display
from harness.cli.display import output
from harness.cli.options import Width, remote_worker_options, search_options
from harness.units import format_duration

if TYPE_CHECKING:
    from harness.rundir.searches.frontier import FrontierKind, FrontierResults
    from harness.scenario.planner import LoadedCell
    from harness.search.frontier.frontier_run import PlannedSearch
    from harness.search.frontier.level_loads import FrontierSettings

KINDS: Final = ("latency", "errors", "hang", "outage")
WITHIN: Final = 0.25
LONG_MS: Final = 1_800_000.0
"""`--all` takes no longer unless it is confirmed."""


@click.command("frontier")
@click.argument("scenario")
@click.option("--upstream", metavar="NAME", help="The upstream that is broken.")
@click.option("--kind", type=click.Choice(KINDS), help="How it is broken.")
@click.option("--all", "every", is_flag=True, help="Latency and outage of each upstream, within a factor of two.")
@click.option("--yes", is_flag=True, help="With --all: also if it may take more than 30 minutes.")
@click.option("--from", "first", metavar="LEVEL", help="The first level: 500ms, 5% … by default that of the kind.")
@click.option(
    "--to", "most", metavar="LEVEL", help="No higher level is tried; by default 60s, 100% or an outage of 2m."
)
@click.option(
    "--within", type=Width(4.0), help="How far apart the two answers may be, 1% to 400%; default: 25%, 100% with --all."
)
@search_options
@remote_worker_options
def frontier_command(
    *,
    scenario: str,
    upstream: str | None,
    kind: FrontierKind | None,
    every: bool,
    yes: bool,
    first: str | None,
    most: str | None,
    within: float | None,
    step: float,
    soak: float,
    only: str | None,
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
    """Find how slow, how broken or how long gone an upstream may be before a gate falls.

    At the scenario's rate, the highest level that passed a soak and the lowest that was shown to fail: of a
    delay (latency), of a share of calls that fail or are never answered (errors, hang), of the length of a
    hang of all calls, after which the service must recover (outage). Exit codes are those of capacity.
    """
    from harness.cli.display.search_panel import closing
    from harness.run.remote_load import workers_of
    from harness.run.run import Options, Session
    from harness.run.signals import Stopper
    from harness.search.frontier.frontier_run import search_frontier

    _refuse_words(upstream, kind, every=every, levels=(first, most))
    workers, remote = workers_of(workers, expect_workers, listen, token_file)
    loaded = load_searched(scenario, sets, allowed, load_is_elsewhere=remote is not None)
    cell, (display, show) = cell_of(loaded, only), search_display(loaded, quiet=quiet)
    search = _planned(
        cell, _settings(cell, within, every=every, step=step, soak=soak), upstream, kind, levels=(first, most)
    )
    _announce(search, display.note, confirmed=yes or not every)
    with Stopper() as stopper, closing(display):
        session = Session(Options(out, seed, sets, workers, remote, allowed=allowed), display, stopper)
        folder, results = search_frontier(session, search, resume, show)
    return _show(results, folder, as_json=as_json, quiet=quiet)


def _show(results: FrontierResults, folder: Path, *, as_json: bool, quiet: bool) -> int:
    """Print the answer on stdout; the exit code."""
    if as_json:
        output.document(results.model_dump(mode="json"))
        return results.exit_code
    if not quiet:
        _print(results)
        if results.interrupted or results.verdict == "rig_failure":
            output.say(f"to go on from here, add to the same command: --resume {shlex.quote(str(folder))}")
    output.say(f"{WORDS[results.verdict]} {results.scenario.name} {folder}")
    return results.exit_code


def _refuse_words(upstream: str | None, kind: str | None, *, every: bool, levels: tuple[str | None, ...]) -> None:
    from harness.errors import UsageError

    if every and (upstream or kind or any(levels)):
        raise UsageError("--all excludes --upstream, --kind, --from and --to", "leave out --all, or the others")
    if not every and not (upstream and kind):
        lacks = "--kind" if upstream else "--upstream"
        raise UsageError(
            f"{lacks} is missing: one curve is about one upstream and one kind of fault",
            f"--upstream NAME --kind {'|'.join(KINDS)}, or --all",
        )


def _settings(cell: LoadedCell, within: float | None, *, every: bool, step: float, soak: float) -> FrontierSettings:
    from harness.search.frontier.level_loads import FrontierSettings

    usual = FrontierSettings.of_all(cell)
    width = within if within is not None else usual.within if every else WITHIN
    return replace(usual, within=width, refute_ms=step, soak_ms=soak)


def _planned(
    cell: LoadedCell,
    settings: FrontierSettings,
    upstream: str | None,
    kind: FrontierKind | None,
    *,
    levels: tuple[str | None, str | None],
) -> PlannedSearch:
    from harness.search.frontier.frontier_run import plan_all, plan_one
    from harness.search.frontier.upstream_faults import FrontierTarget

    if upstream is None or kind is None:
        return plan_all(cell, settings)
    first, most = _level(kind, "--from", levels[0]), _level(kind, "--to", levels[1])
    return plan_one(cell, FrontierTarget(upstream, kind), settings, first, most)


def _level(kind: FrontierKind, option: str, text: str | None) -> float | None:
    from harness.errors import UsageError
    from harness.search.frontier.kinds import parse_level

    try:
        return None if text is None else parse_level(kind, text)
    except ValueError as exc:
        fix = "write 500ms, 40s or 5%, as the kind has it"
        raise UsageError(f"{option} {text}, for --kind {kind}: {exc}", fix) from exc


def _announce(search: PlannedSearch, note: Callable[[str], None], *, confirmed: bool) -> None:
    """Say what will be searched and how long it may take. Raises UsageError if that is long and not confirmed."""
    from harness.errors import UsageError
    from harness.search.search_times import times_text

    longest_ms = search.longest_ms
    listed = "; ".join(f"{curve.target.upstream} {curve.target.kind}" for curve in search.curves)
    lines = [
        f"{search.cell.loaded.scenario.name}: frontier of {listed}; at {search.curves[0].rate_per_s:g}/s; "
        f"{times_text(search.usual_ms, longest_ms)}"
    ]
    lines += [f"not searched: {reason}" for reason in search.left_out.values()]
    note("\n".join(lines))
    if not confirmed and longest_ms > LONG_MS:
        raise UsageError(
            f"--all may take up to about {format_duration(longest_ms)} here; nothing was started",
            "give --yes, or shorten it with --step and --soak, or search one with --upstream and --kind",
        )


def _print(results: FrontierResults) -> None:
    from harness.rundir.searches.frontier import FINDINGS
    from harness.search.answers.certificates import certificates
    from harness.search.frontier.kinds import level_text

    rows = [("upstream", "kind", "holds up to", "breaks at", "what breaks")]
    for curve in results.curves:
        least = ">= " if curve.at_least else ""
        holds = "-" if curve.certified is None else f"{least}{level_text(curve.kind, curve.certified)}"
        breaks = "-" if curve.refuted is None else level_text(curve.kind, curve.refuted)
        rows.append((curve.upstream, curve.kind, holds, breaks, curve.broke or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    findings: list[list[str]] = [[], *([FINDINGS[one] for one in curve.findings] for curve in results.curves)]
    for row, found in zip(rows, findings, strict=True):
        cells = (row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]), row[3].rjust(widths[3]))
        output.say("  ".join((*cells, row[4])))
        for text in found:
            output.say(f"{'':<{widths[0]}}  {text}")
    for text, reason in results.not_judged.items():
        output.say(f"not judged: `{text}`: {reason}")
    for reason in results.not_searched.values():
        output.say(f"not searched: {reason}")
    for name in results.not_begun:
        output.say(f"not begun: {name}")
    named = [(f"{curve.upstream} {curve.kind}", curve.steps) for curve in results.curves]
    for line in certificates(named, results.confidence):
        output.say(line)
    output.say(results.sentence)
