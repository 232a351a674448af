"""What a run has left behind: processes, listeners, port locks, temporary files, seen from outside."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.stack.processes.orphans import members

if TYPE_CHECKING:
    from bench.kill_cell import Run


def ports_of(run_dir: Path, *, ours: bool, listeners: bool = True) -> list[int]:
    """Where the run listens; `listeners` are the proxies' own, `ours` is the Toxiproxy. What is borrowed, and real
    servers, listen on."""
    plan, manifest = Plan.read(run_dir), Manifest.read(run_dir)
    ports = [up.origin.port for up in plan.upstreams if up.answers_http or up.stream]
    ports += [up.command.port for up in plan.upstreams if up.command]
    ports += [up.listener.port for up in plan.upstreams if listeners and up.borrowed is None]
    ports += [port for port in (plan.service.port, plan.gateway.port) if port]
    if ours:
        ports.append(int((manifest.engine.url or "").rpartition(":")[2]))
    return ports


def left_of(run: Run, run_dir: Path, ports: list[int], *, except_for: int | None = None) -> list[str]:
    """What of the run is still there: processes, listeners, locks, temporary files; on its workers' side as well.

    `except_for`: a command that is stopped, by its process id, and so cannot end nor remove its files.
    """
    far = run.far.processes if run.far else []
    commands = [("tailgate", run.process), *(("tailgate worker", each) for each in far)]
    left = [f"process {_name(member.process)}" for member in members(Plan.read(run_dir).run_id)]
    left += [f"process {name}" for name, each in commands if each.pid != except_for and each.poll() is None]
    left += [f"a listener on {port}" for port in ports if _listens(port)]
    folders = [run.temp, run.cache]
    if run.far:
        folders += [run.far.temp_of(each) for each in run.far.processes if each.pid != except_for]
    left += [name for folder in folders for name in _files(folder)]
    left += [path.name for path in run_dir.iterdir() if path.name == "control" or path.suffix == ".new"]
    return left


def _files(folder: Path) -> list[str]:
    """All that is below it, which may be vanishing as we look."""
    return [
        str(Path(place, name).relative_to(folder.parent))
        for place, folders, files in os.walk(folder)
        for name in (*folders, *files)
    ]


def _name(process: psutil.Process) -> str:
    try:
        return f"{process.pid} ({' '.join(process.cmdline())[:80]})"
    except psutil.Error:
        return str(process.pid)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
