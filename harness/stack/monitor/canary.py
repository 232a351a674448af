"""Canaries: fresh connections through each faulted listener, which show whether a fault is active. Fakes and forwarders
are asked twice a second; a real server as seldom as `harness.upstreams.protocols` says.

They bypass nothing and say nothing about the service. Whether the *service* came to the proxy is shown by the
connection monitor (`harness.stack.monitor.connections`), the refused attempts (`harness.stack.monitor.refusals`) and
the backends' records. Fakes answer canaries without a latency draw and outside their capacity. A handful is open at
most, and each is closed soon after it has shown what it can show.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir.canaries import Canary, CanaryLine, Freed, Refused
from harness.rundir.journal import Entry, Journal
from harness.rundir.manifest import part_of_upstream
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedToxic
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.toxics import TOXICS
from harness.stack.monitor.accepted_clients import AcceptedClients
from harness.stack.monitor.blackholes import Blackholes
from harness.stack.monitor.canary_observations import IDLE_DEADLINE_MS, CanaryObservations
from harness.stack.monitor.connections import ConnectionMonitor
from harness.stack.monitor.observe import observe
from harness.stack.monitor.refusals import RefusedAttempts
from harness.stack.monitor.traffic import TrafficMonitor
from harness.stack.processes.own_tls import client_context
from harness.units import NS_PER_MS, format_duration
from harness.upstreams.probes import probe_of
from harness.upstreams.protocols import OURS_PAUSE_S, PROTOCOLS, canary_pause_s

ORIGIN_WITHIN_S: Final = 3.0
OPEN_MAX: Final = 6
"""How many canaries may be open to one upstream. At this limit no new one is sent."""

_AFTER_APPLIED_S: Final = (0.0, 0.05)
"""When a fault is applied, two canaries are sent after these pauses, because a window may be shorter than the usual
one."""


class Canaries:
    """Canaries and the connection monitor for the upstreams that any fault names; idle without faults.

    `note` must be called with every journal entry of the injector. `run` goes on until it is cancelled. Each `observed`
    entry is appended to the journal, then passed to `observe`.
    """

    def __init__(
        self,
        plan: Plan,
        path: Path,
        journal: Journal,
        observe: Callable[[Entry], None],
        toxiproxy_log: Path,
        *,
        traffic: TrafficMonitor | None = None,
    ) -> None:
        self._plan = plan
        self._traffic = traffic
        self._journal = journal
        self._observe = observe
        self._file = path.open("ab", buffering=0)
        named = {upstream for fault in plan.faults for upstream in fault.upstreams}
        self._faulted = tuple(upstream for upstream in plan.upstreams if upstream.name in named)
        self._observations = {
            upstream.name: CanaryObservations(
                upstream.name, tuple(f for f in plan.faults if upstream.name in f.upstreams)
            )
            for upstream in self._faulted
        }
        self._applied = {upstream.name: asyncio.Event() for upstream in self._faulted}
        self._changed = {upstream.name: asyncio.Event() for upstream in self._faulted}
        self._freed = asyncio.Event()
        self._ports = _OwnPorts()
        self._refusals = RefusedAttempts(self._ports, self._write)
        self._blackholes = Blackholes(self._ports, self._write)
        self._connections = ConnectionMonitor(
            {upstream.name: upstream.listener.port for upstream in self._faulted},
            self._ports,
            self._write,
            accepted=AcceptedClients.of(plan, toxiproxy_log),
            counted=[upstream.name for upstream in self._faulted if not upstream.records_calls],
        )

    def note(self, entry: Entry) -> None:
        """Take one entry of the journal: which faults are active now."""
        observations = self._observations.get(entry.upstream)
        if observations is None or entry.event == "observed":
            return
        observations.note(entry)
        if entry.event == "applied":
            self._applied[entry.upstream].set()
            self._changed[entry.upstream].set()
            self._connections.look_now()
            fault = next(fault for fault in self._plan.faults if fault.name == entry.fault)
            if fault.disables_proxy and fault.drops_connections:
                self._blackholes.open(self._plan.upstream(entry.upstream))
            elif fault.disables_proxy:
                self._watch_refusals(self._plan.upstream(entry.upstream))
        if entry.event == "removed" and not self._plan.upstream(entry.upstream).records_calls:
            self._changed[entry.upstream].set()  # the next canary to a real server would be sent too late
        if not observations.is_shut:  # before Toxiproxy listens there again
            self._refusals.close(entry.upstream)
            self._blackholes.close(entry.upstream)

    def _watch_refusals(self, upstream: PlannedUpstream) -> None:
        """A port that is not ours is never taken: whoever enables the proxy meanwhile, or restarts the server, must
        find it free."""
        why = ""
        if upstream.borrowed is not None:
            why = "the port of a borrowed proxy is not ours to listen on"
        elif not self._plan.network.is_shared:
            why = "Toxiproxy listens in another network"
        if why:
            self._write(Refused(upstream=upstream.name, t_ns=time.monotonic_ns(), unseen=why))
        else:
            self._refusals.open(upstream)

    async def first(self) -> None:
        """Send one canary through every listener. Raises RigError unless each gets a whole answer."""
        canaries = await asyncio.gather(*(self._send(up, IDLE_DEADLINE_MS, True) for up in self._plan.upstreams))
        for upstream, canary in zip(self._plan.upstreams, canaries, strict=True):
            if upstream.name in self._observations:
                self._record(canary)
            if canary.outcome != "ok":
                part = part_of_upstream(upstream.name)
                if not canary.bytes and (why := await self._why_unreachable(upstream)):
                    raise RigError(f"upstream `{upstream.name}`: {why}", "start it, or mend its URL", part=part)
                if canary.outcome == "held" and not canary.bytes and not upstream.records_calls:
                    raise _silent(upstream, canary, part)
                raise RigError(
                    f"no whole answer through Toxiproxy's listener for {upstream.name} ({upstream.url}) before any"
                    f" fault: {canary.outcome}, {canary.detail} after {canary.elapsed_ms:.0f} ms",
                    "see logs/toxiproxy.log and logs/backends.log of the run"
                    if upstream.records_calls
                    else f"see that {PROTOCOLS[upstream.protocol].title} is spoken and ready at"
                    f" {upstream.origin.address}, and logs/toxiproxy.log of the run",
                    part=part,
                )
            self._check_size(upstream, canary)

    async def _why_unreachable(self, upstream: PlannedUpstream) -> str:
        """What is wrong with a real server that Toxiproxy cannot connect to, as far as we see it from here; empty if we
        can connect, or if Toxiproxy is elsewhere and may reach what we do not."""
        if upstream.records_calls or upstream.stream or not self._plan.network.is_shared:
            return ""
        origin = upstream.origin
        try:
            async with asyncio.timeout(ORIGIN_WITHIN_S):
                _, writer = await asyncio.open_connection(origin.host, origin.port)
        except TimeoutError:
            return f"{origin.address} did not take a connection within {ORIGIN_WITHIN_S:g} s"
        except OSError as exc:
            reason = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or str(exc)
            return f"nothing can be reached at {origin.address}: {reason}"
        writer.close()
        return ""

    def _check_size(self, upstream: PlannedUpstream, canary: Canary) -> None:
        """Raises RigError if the answer is too short for a fault's proof that depends on its size."""
        if canary.bytes >= upstream.canary_bytes:
            return
        for fault in self._plan.faults:
            if upstream.name in fault.upstreams and any(_depends_on_answer(toxic) for toxic in fault.toxics):
                raise RigError(
                    f"{upstream.name} answered a canary with {canary.bytes} bytes, and `{fault.name}` is proven by an"
                    f" answer of at least {upstream.canary_bytes} bytes only, so it could not be seen",
                    "if the server asks for a password, write it into the upstream's URL; or slow the requests with"
                    " `stream: upstream`; or use `latency`",
                    part=part_of_upstream(upstream.name),
                )

    async def run(self) -> None:
        """Send canaries until cancelled. Raises RigError if canary.ndjson or the journal can no longer be written."""
        if not self._faulted:
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._connections.run())
                if self._traffic:
                    group.create_task(self._traffic.run(self._write))
                for number, upstream in enumerate(self._faulted):
                    group.create_task(self._beat(upstream, number * OURS_PAUSE_S / len(self._faulted), group))
        except ExceptionGroup as failures:  # before Python 3.11.4, `except*` would raise a group again
            raise next((each for each in failures.exceptions if isinstance(each, RigError)), failures) from None

    async def settle(self, timeout_s: float = 3.0) -> bool:
        """Wait, while `run` goes on, until a canary has shown that each removed window is over. False if one has
        not."""
        try:
            async with asyncio.timeout(timeout_s):
                while any(observations.pending for observations in self._observations.values()):
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._refusals.close_all()
        self._blackholes.close_all()
        self._file.close()

    async def _beat(self, upstream: PlannedUpstream, offset_s: float, group: asyncio.TaskGroup) -> None:
        open_now: set[asyncio.Task[None]] = set()
        applied, changed = self._applied[upstream.name], self._changed[upstream.name]
        observations = self._observations[upstream.name]
        await asyncio.sleep(offset_s)
        while True:
            pauses_s = _AFTER_APPLIED_S if applied.is_set() else (0.0,)
            applied.clear()  # before the pauses, so that what is applied meanwhile is not missed
            changed.clear()
            for delay_s in pauses_s:
                await asyncio.sleep(delay_s)
                if len(open_now) < OPEN_MAX:
                    task = group.create_task(self._send_one(upstream))
                    open_now.add(task)
                    task.add_done_callback(open_now.discard)
            try:
                async with asyncio.timeout(canary_pause_s(upstream, in_fault=observations.is_watched)):
                    await changed.wait()
            except TimeoutError:
                continue

    async def _send_one(self, upstream: PlannedUpstream) -> None:
        observations = self._observations[upstream.name]
        self._record(await self._send(upstream, observations.deadline_ms(), not observations.hangs))

    def _record(self, canary: Canary) -> None:
        self._write(canary)
        for shown in self._observations[canary.upstream].see(canary):
            if isinstance(shown, Freed):
                self._write(shown)
                self._freed.set()
                continue
            try:
                self._journal.append(shown)
            except OSError as exc:
                raise RigError(f"faults.ndjson cannot be written: {exc}", "free some disk") from exc
            self._observe(shown)

    def _write(self, line: CanaryLine) -> None:
        try:
            self._file.write(line.model_dump_json().encode() + b"\n")
        except OSError as exc:
            raise RigError(f"canary.ndjson cannot be written: {exc}", "free some disk") from exc

    async def _send(self, upstream: PlannedUpstream, deadline_ms: float, to_the_end: bool) -> Canary:
        probe = probe_of(upstream, reads_to_end=to_the_end)
        seen = await observe(probe, upstream.listener, deadline_ms, self._ports, client_context(upstream))
        return Canary.model_validate({"upstream": upstream.name, **asdict(seen)})


def _silent(upstream: PlannedUpstream, canary: Canary, part: str) -> RigError:
    """The error of a server that takes connections and answers nothing: it may wait for the words of another
    protocol."""
    title, address = PROTOCOLS[upstream.protocol].title, upstream.origin.address
    return RigError(
        f"upstream `{upstream.name}`: what listens at {address} takes connections, and did not answer in {title} "
        f"within {format_duration(canary.elapsed_ms)}",
        f"see that it is {title}, and ready; or mend its URL",
        part=part,
    )


def _depends_on_answer(toxic: PlannedToxic) -> bool:
    return toxic.stream == "downstream" and TOXICS[toxic.type].by_size


class _OwnPorts:
    """Local ports of canaries, including those closed up to 5 s ago: a scan of the sockets takes time."""

    _KEPT_NS: Final = 5_000 * NS_PER_MS

    def __init__(self) -> None:
        self._closed_ns: dict[int, int | None] = {}

    def opened(self, port: int) -> None:
        self._closed_ns[port] = None

    def closed(self, port: int) -> None:
        now_ns = time.monotonic_ns()
        self._closed_ns[port] = now_ns
        old = [p for p, at in self._closed_ns.items() if at is not None and now_ns - at > self._KEPT_NS]
        for each in old:
            del self._closed_ns[each]

    def __call__(self) -> Iterable[int]:
        return tuple(self._closed_ns)
