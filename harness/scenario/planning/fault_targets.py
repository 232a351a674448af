"""Checks whether tailgate can reach what a fault is to act on: a process, or the port of a listener. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.faults import Fault
from harness.faults.blackhole import BlackholeFault
from harness.faults.process_fault import ProcessFault
from harness.faults.restart import RestartFault
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic, Path
from harness.target_allowlist import is_loopback
from harness.upstreams.borrowed import BorrowedUpstream
from harness.upstreams.kinds import Upstream
from harness.upstreams.started import CommandUpstream


def is_forwarded_command(upstream: Upstream) -> bool:
    return isinstance(upstream, CommandUpstream) and upstream.is_forwarded


def target_findings(scenario: Scenario, fault: Fault, index: int) -> Iterator[Diagnostic]:
    """A fault on a process that tailgate does not start, or that is of the wrong kind; a listener on another
    machine."""
    if isinstance(fault, BlackholeFault):
        url = scenario.toxiproxy.url
        if url is not None and not is_loopback(urlsplit(url).hostname or ""):
            found = "`blackhole` takes the listener's port, and the Toxiproxy at `toxiproxy.url` is on another machine"
            fix = "use `hang` or `down`, or let tailgate start Toxiproxy: remove `toxiproxy`"
            yield Diagnostic(("faults", index, fault.KIND), found, fix)
        elif not scenario.toxiproxy.network(url).is_shared:
            found = "`blackhole` takes the listener's port, and by `toxiproxy` it listens in another network"
            yield Diagnostic(("faults", index, fault.KIND), found, "use `hang` or `down`")
        for name in fault.hits(scenario.upstreams):
            if isinstance(scenario.upstreams.get(name), BorrowedUpstream):
                found = f"`blackhole` takes the listener's port, and that of {name}, a borrowed proxy, is not ours"
                yield Diagnostic(("faults", index, fault.KIND), found, "use `hang` or `down`")
        return
    if isinstance(fault, ProcessFault):
        yield from _process_findings(scenario, fault, ("faults", index, "upstream"))


def _process_findings(scenario: Scenario, fault: ProcessFault, path: Path) -> Iterator[Diagnostic]:
    if fault.on_service:
        if scenario.service.url is not None:
            found = f"tailgate does not start the service at `url`, so it cannot {fault.KIND} it"
            yield Diagnostic(path, found, "let tailgate start it by `service.command`, or remove the fault")
        return
    if isinstance(fault, RestartFault):
        yield Diagnostic(path, "`restart` is for the service under test", "write `upstream: service`, or use `kill`")
        return
    others = [
        name for name in fault.hits(scenario.upstreams) if not isinstance(scenario.upstreams.get(name), CommandUpstream)
    ]
    if others:
        fix = "use `down` or `hang`, or let tailgate start it: {command: …}"
        yield Diagnostic(path, f"tailgate does not start {', '.join(others)}, so it cannot {fault.KIND} it", fix)
