"""Plays a plan's faults through a real Toxiproxy while canaries watch, and tells what they and the journal have."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from harness.rundir.canaries import Canary, Connections, Freed, read_canaries
from harness.rundir.journal import Entry, Journal, read_journal
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.stack.injection.injector import Injector
from harness.stack.injection.proxies import ListenerProxies
from harness.stack.monitor.canary import Canaries
from harness.toxiproxy.client import ToxiproxyClient


@dataclass(frozen=True)
class Seen:
    plan: Plan
    journal: list[Entry]
    canaries: list[Canary]
    freed: list[Freed]
    connections: list[Connections]
    trouble: list[HarnessFault]
    free_again: bool

    def at(self, upstream: str, event: str) -> list[Entry]:
        return [entry for entry in self.journal if entry.upstream == upstream and entry.event == event]


async def play(client: ToxiproxyClient, the_plan: Plan, run_dir: Path) -> Seen:
    trouble: list[HarnessFault] = []
    journal = Journal(run_dir / "faults.ndjson")
    canaries: Canaries | None = None

    def observe(entry: Entry) -> None:
        if canaries:
            canaries.note(entry)

    proxies = ListenerProxies(client, the_plan, trouble.append)
    injector = Injector(client, the_plan, journal, observe, trouble.append, proxies=proxies.names)
    await proxies.create()
    canaries = Canaries(the_plan, run_dir / "canary.ndjson", journal, observe, run_dir / "logs" / "toxiproxy.log")
    try:
        await canaries.first()
        running = asyncio.create_task(canaries.run())
        await injector.run_timeline(time.monotonic_ns())
        assert await injector.undo_all()
        free_again = await canaries.settle()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        await proxies.delete()
        canaries.close()
        journal.close()
    lines = list(read_canaries(run_dir / "canary.ndjson"))
    return Seen(
        plan=the_plan,
        journal=list(read_journal(run_dir / "faults.ndjson")),
        canaries=[line for line in lines if isinstance(line, Canary)],
        freed=[line for line in lines if isinstance(line, Freed)],
        connections=[line for line in lines if isinstance(line, Connections)],
        trouble=trouble,
        free_again=free_again,
    )
