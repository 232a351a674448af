"""`tailgate init`: writes a scenario to start from, and never over an existing file unasked."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.display import output
from harness.errors import ScenarioError, UsageError


@click.command("init")
@click.argument("path", type=click.Path(path_type=Path), default="scenario.yaml", metavar="[PATH=scenario.yaml]")
@click.option("--from", "source", metavar="FILE", help="Start from this scenario, or one of the catalog (azure-slow).")
@click.option("--force", is_flag=True, help="Replace PATH if it exists.")
def init_command(path: Path, source: str | None, force: bool) -> int:
    """Write a commented scenario that runs as it is: the reference aggregator with three fake backends."""
    from harness.scenario import load_scenario
    from harness.scenario.starter import self_contained, starter

    text = self_contained(load_scenario(source)) if source else starter(path.name)
    _write(path, text, force=force)
    try:
        load_scenario(path)
    except ScenarioError as exc:
        for problem in exc.problems:
            click.echo(output.spell(problem), err=True)
        output.say(f"{path} is written; its relative paths need mending, as shown above")
        return 0
    output.say(f"{path} is written; next: tailgate validate {path}, then tailgate run {path}")
    return 0


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists", "name another file, or replace it with --force") from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UsageError(f"{path} cannot be written: {reason}", "name a file in an existing folder") from exc
