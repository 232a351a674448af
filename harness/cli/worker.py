"""`tailgate worker`: parse, call, print."""

from __future__ import annotations

import os
from pathlib import Path

import click

from harness.cli.display import output
from harness.cli.options import Quantity


@click.command("worker")
@click.argument("master", metavar="HOST:PORT")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The secret shared with the run.",
)
@click.option("--allow-target", "allowed", multiple=True, metavar="HOST", help="Allow load to a host off this machine.")
@click.option(
    "--locustfile", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="This machine's copy of it."
)
@click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="This machine's copy of load.data."
)
@click.option(
    "--keep",
    "keep_ms",
    type=Quantity("duration"),
    metavar="DURATION",
    help="Serve one load after another, until none has come for so long.",
)
def worker_command(
    *,
    master: str,
    token_file: Path,
    allowed: tuple[str, ...],
    locustfile: Path | None,
    data: Path | None,
    keep_ms: float | None,
) -> int:
    """Send a part of the load of a run on another machine.

    HOST:PORT is where that run waits (`tailgate run --expect-workers N --listen HOST:PORT`). Load goes only to
    hosts that this command allows as well, and `${VAR}` comes from the environment here. The command serves one
    load, or with --keep as many as come. Exit codes: 0 every row has arrived, 2 it could not take part, 4 a load
    failed, 130 interrupted.
    """
    from harness.run.remote_load import parse_address
    from harness.run.signals import Stopper
    from harness.worker.agent import WorkerOptions, serve
    from harness.worker.keeper import serve_many

    options = WorkerOptions(parse_address(master, "HOST:PORT"), token_file, allowed, locustfile, data)

    def report(text: str) -> None:
        output.say(text, err=True)

    with Stopper() as stopper:

        def serve_one(options: WorkerOptions) -> None:
            serve(options, os.environ, report, lambda: stopper.asked)

        if keep_ms is None:
            serve_one(options)
        else:
            serve_many(options, keep_ms / 1000, serve_one, report)
    return 0
