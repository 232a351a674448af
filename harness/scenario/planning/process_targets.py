"""Checks whether tailgate starts the process that a fault is to end or stop. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.faults import Fault
from harness.faults.process_fault import ProcessFault
from harness.faults.restart import RestartFault
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.kinds import Upstream
from harness.upstreams.started import CommandUpstream


def is_forwarded_command(upstream: Upstream) -> bool:
    return isinstance(upstream, CommandUpstream) and upstream.is_forwarded


def process_findings(scenario: Scenario, fault: Fault, index: int) -> Iterator[Diagnostic]:
    """A fault on a process that tailgate does not start, or that is of the wrong kind."""
    if not isinstance(fault, ProcessFault):
        return
    path = ("faults", index, "upstream")
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
