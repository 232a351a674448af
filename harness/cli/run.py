"""`tailgate run`: parse, call, print."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.display import output
from harness.cli.options import remote_worker_options

if TYPE_CHECKING:
    from harness.run.progress import Display
    from harness.scenario.load import LoadedScenario


@click.command("run")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO…")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".runs"),
    show_default=True,
    help="Where run directories go.",
)
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override a field, such as load.rate=20/s.")
@click.option("--only", multiple=True, metavar="CELL", help="Only this cell of a matrix.")
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "real", "embedded"]),
    default="auto",
    show_default=True,
    help="Which Toxiproxy.",
)
@click.option("--allow-target", "allowed", multiple=True, metavar="HOST", help="Allow load to a host off this machine.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Locust processes.")
@remote_worker_options
@click.option("--fail-fast", is_flag=True, help="Stop as soon as a gate has failed whatever else may come.")
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `N x main` limits compare with.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--quiet", is_flag=True, help="Only the line VERDICT NAME RUN_DIR.")
@click.option("--open", "open_report", is_flag=True, help="Open the report in a browser.")
def run_command(
    *,
    scenarios: tuple[str, ...],
    out: Path,
    seed: int | None,
    sets: tuple[str, ...],
    only: tuple[str, ...],
    tags: tuple[str, ...],
    engine: str,
    allowed: tuple[str, ...],
    workers: int,
    expect_workers: int | None,
    listen: str | None,
    token_file: Path | None,
    fail_fast: bool,
    baseline: Path | None,
    as_json: bool,
    quiet: bool,
    open_report: bool,
) -> int:
    """Run scenarios against a service and give a verdict.

    SCENARIO is a file, or the name of one in the catalog (such as `ladder`). Exit codes: 0 pass, 1 a gate
    failed, 2 usage or scenario error, 3 inconclusive, 4 the rig failed, 130 interrupted.
    """
    from harness.errors import UsageError
    from harness.run.head_start import HeadStart

    if engine == "embedded":
        raise UsageError("the embedded engine is not part of this version", "use --engine real, with Toxiproxy")
    with HeadStart.begin(workers=0 if expect_workers else workers) as head_start:
        from harness.run.invocation import exit_code, load_all, refuse_missing_baseline, run_suite, targets_of
        from harness.run.remote_load import workers_of
        from harness.run.run import Options, Session
        from harness.run.signals import Stopper
        from harness.target_allowlist import refuse_foreign_targets

        workers, remote = workers_of(workers, expect_workers, listen, token_file)
        loaded = load_all(scenarios, sets, tags, load_is_elsewhere=remote is not None)
        display = _display(loaded, quiet=quiet)
        refuse_foreign_targets(targets_of(loaded), allowed)
        refuse_missing_baseline(loaded, baseline)
        options = Options(out, seed, sets, workers, remote, fail_fast, baseline, allowed)
        with Stopper() as stopper:
            outcomes = run_suite(Session(options, display, stopper, head_start), loaded, only)
            code = exit_code(outcomes, interrupted=stopper.asked)
    output.outcomes(outcomes, code, as_json=as_json, quiet=quiet)
    for outcome in outcomes if open_report else ():
        click.launch(str(outcome.folder / "report.html"))
    return code


def _display(loaded: Iterable[LoadedScenario], *, quiet: bool) -> Display:
    """The display of the runs, with the warnings about their scenarios."""
    from harness.cli.display.live import make_display

    display = make_display(quiet=quiet)
    for warning in (warning for one in loaded for warning in one.warnings):
        display.note(output.spell(warning, kind="warning"))
    return display
