"""`tailgate init`: writes a scenario to start from, and never over an existing file unasked."""

from __future__ import annotations

import os
from pathlib import Path

import click

from harness.cli.display import output
from harness.errors import ScenarioError, UsageError

_LISTED = 10


@click.command("init")
@click.argument("path", type=click.Path(path_type=Path), default="scenario.yaml", metavar="[PATH=scenario.yaml]")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="FILE",
    help="Start from a compose file, an OpenAPI description of a partner, a HAR recording, a Toxiproxy configuration "
    "(several may be given), or from a scenario, also one of the catalog (azure-slow).",
)
@click.option(
    "--service",
    "service",
    multiple=True,
    metavar="NAME|FILE",
    help="The service under test: its name in the compose file, or its own OpenAPI description, whose GET operations "
    "become the requests.",
)
@click.option("--force", is_flag=True, help="Replace PATH if it exists.")
def init_command(path: Path, sources: tuple[str, ...], service: tuple[str, ...], force: bool) -> int:
    """Write a commented scenario that runs as it is: the reference aggregator with three fake backends. With --from:
    a scenario of what those files have, with a comment for each thing that they do not say."""
    text, exports, is_copy = _text(path, sources, service)
    _write(path, text, force=force)
    if missing := [name for name in exports if name not in os.environ]:
        listed = " ".join(f"{name}=…" for name in missing[:_LISTED]) + (" …" if len(missing) > _LISTED else "")
        output.say(f"{path} is written; next: export {listed}, then tailgate validate {path}")
        return 0
    return _checked(path, is_copy=is_copy)


def _text(path: Path, sources: tuple[str, ...], service: tuple[str, ...]) -> tuple[str, tuple[str, ...], bool]:
    """The scenario, the variables that have to be exported for it, and whether it is a copy. Raises TailgateError."""
    from harness.scenario import find_scenario, load_scenario
    from harness.scenario.draft import draft_sources, drafted, scenario_text
    from harness.scenario.starter import self_contained, starter

    if not sources and not service:
        return starter(path.name), (), True
    # a name of the catalog that is not there as a file; what is neither gets the message of a missing scenario
    catalog = [source for source in sources if find_scenario(source) != Path(source)]
    if len(sources) == 1 and not service and (catalog or not Path(sources[0]).exists()):
        return self_contained(load_scenario(sources[0])), (), True
    found = draft_sources([Path(source) for source in sources if source not in catalog], service)
    scenarios = [*catalog, *(str(file) for file, kind in found.files if kind == "scenario")]
    if len(sources) == 1 and not service and scenarios:
        return self_contained(load_scenario(sources[0])), (), True
    if scenarios:
        raise UsageError(
            f"{scenarios[0]} is a scenario, and a scenario is copied alone",
            "give it as the only --from, or leave it out",
        )
    if path.exists() and any(path.resolve() == Path(each).resolve() for each in (*sources, *service)):
        raise UsageError(f"{path} is the file that the scenario is made from", "write the scenario to another file")
    draft = drafted(found, path.parent, os.environ)
    return scenario_text(draft), draft.exports, False


def _checked(path: Path, *, is_copy: bool) -> int:
    from harness.scenario import load_scenario

    try:
        load_scenario(path)
    except ScenarioError as exc:
        for problem in exc.problems:
            click.echo(output.spell(problem), err=True)
        mend = "its relative paths need mending, as shown above" if is_copy else "mend what is shown above"
        output.say(f"{path} is written; {mend}")
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
