"""Checks whether tailgate can reach what a fault is to act on: a process, or the port of a listener. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.faults import Fault
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic, Path
from harness.target_allowlist import is_loopback


def target_findings(scenario: Scenario, fault: Fault, index: int) -> Iterator[Diagnostic]:
    """A fault on a process that tailgate does not start, or that is of the wrong kind; a listener on another
    machine."""
    if fault.ACTS_ON == "listener":
        url = scenario.toxiproxy.url
        if url is not None and not is_loopback(urlsplit(url).hostname or ""):
            found = "`blackhole` takes the listener's port, and the Toxiproxy at `toxiproxy.url` is on another machine"
            fix = "use `hang` or `down`, or let tailgate start Toxiproxy: remove `toxiproxy`"
            yield Diagnostic(("faults", index, fault.KIND), found, fix)
        elif not scenario.toxiproxy.network(url).is_shared:
            found = "`blackhole` takes the listener's port, and by `toxiproxy` it listens in another network"
            yield Diagnostic(("faults", index, fault.KIND), found, "use `hang` or `down`")
        for name in fault.hits(scenario.upstreams):
            if name in scenario.upstreams and scenario.upstreams[name].borrowed_proxy is not None:
                found = f"`blackhole` takes the listener's port, and that of {name}, a borrowed proxy, is not ours"
                yield Diagnostic(("faults", index, fault.KIND), found, "use `hang` or `down`")
        return
    if fault.ACTS_ON == "process":
        yield from _process_findings(scenario, fault, ("faults", index, "upstream"))


def _process_findings(scenario: Scenario, fault: Fault, path: Path) -> Iterator[Diagnostic]:
    if fault.on_service:
        if scenario.service.url is not None:
            found = f"tailgate does not start the service at `url`, so it cannot {fault.KIND} it"
            yield Diagnostic(path, found, "let tailgate start it by `service.command`, or remove the fault")
        return
    if not fault.ON_UPSTREAMS:
        found = f"`{fault.KIND}` is for the service under test"
        yield Diagnostic(path, found, "write `upstream: service`, or use `kill`")
        return
    started = [name for name, upstream in scenario.upstreams.items() if upstream.argv]
    others = [name for name in fault.hits(scenario.upstreams) if name not in started]
    if others:
        fix = "use `down` or `hang`, or let tailgate start it: {command: …}"
        yield Diagnostic(path, f"tailgate does not start {', '.join(others)}, so it cannot {fault.KIND} it", fix)
