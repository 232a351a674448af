"""Applies and removes the plan's faults at their times, journals each step, and undoes all of it.

During a run it is the one client of Toxiproxy's admin API. It never raises for an error of Toxiproxy's, and never waits
for it without a time limit: each failure becomes a HarnessFault, which the supervisor reports.

    injector = Injector(client, plan, journal, observe, trouble)
    await injector.run_timeline(t0_ns)      # may be cancelled at any moment
    verified = await injector.undo_all()    # also after a cancel; always
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from harness.errors import RigError
from harness.rundir.journal import Entry, Event, Journal
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.stack.injection.borrowed import BorrowedFaultHandle, BorrowedProxy
from harness.stack.injection.fake import FakeFaultHandle, still_applied
from harness.stack.injection.fault_handle import FaultHandle, spell
from harness.stack.injection.process import ProcessFaultHandle
from harness.stack.injection.proxies import admin_call, sweep_command
from harness.stack.injection.proxy import ProxyFaultHandle
from harness.stack.processes.process import ChildProcess
from harness.stack.processes.restartable import Restartables
from harness.units import NS_PER_MS, NS_PER_S, format_duration

if TYPE_CHECKING:
    from harness.toxiproxy.client import ToxiproxyClient
    from harness.toxiproxy.state import Proxy

UNDO_S: Final = 10.0

T = TypeVar("T")


class Injector:
    """`observe` is called with every entry after it is in the journal, `trouble` with everything that is the harness's
    fault.


    `client`: None if there are no upstreams, and so only faults on the service. `proxies`: the names of the proxies
    that must be enabled when everything is undone. `borrowed`: by upstream, the user's own, which must then be as they
    were, but for what others did. `processes`: those that a fault may end or stop. `clock_ns` and `sleep` (seconds)
    drive the timeline; the time limits of single acts are in real time.
    """

    def __init__(
        self,
        client: ToxiproxyClient | None,
        plan: Plan,
        journal: Journal,
        observe: Callable[[Entry], None],
        trouble: Callable[[HarnessFault], None],
        *,
        proxies: Collection[str] = (),
        processes: Restartables = MappingProxyType({}),
        borrowed: Mapping[str, BorrowedProxy] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._plan = plan
        self._journal = journal
        self._observe = observe
        self._trouble = trouble
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._proxies = proxies
        self._processes = processes
        self._waits: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._borrowed = borrowed or {}
        self._active: list[FaultHandle] = []  # requested, and not verified to be removed
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._acts: set[asyncio.Task[bool]] = set()
        self._closed = False
        self._applied_any = False

    @property
    def applied_any(self) -> bool:
        """Whether any fault was ever requested. If none was, there is no rollback to verify."""
        return self._applied_any

    async def run_timeline(self, t0_ns: int) -> None:
        """Returns when the last window has been removed."""
        async with asyncio.TaskGroup() as group:
            for fault in self._plan.faults:
                for number in range(len(fault.windows)):
                    group.create_task(self._run_window(t0_ns, fault, number))

    async def undo_all(self, within_s: float = UNDO_S) -> bool:
        """Remove everything. True if the API then shows no toxic of this run, and its proxies enabled. Nothing is
        applied afterwards; may be called again."""
        self._closed = True
        self._closing.set()
        for wait in self._waits:
            wait.cancel()
        if not self._applied_any:
            return True
        for handle in self._active:
            if isinstance(handle, ProcessFaultHandle):
                handle.resume()  # before any call to Toxiproxy, which may be waiting for the process
        try:
            async with asyncio.timeout(within_s):
                if self._acts:
                    await asyncio.wait(self._acts)  # an act that is under way could take effect after the undo
                await asyncio.gather(*(self._act(self._remove(handle)) for handle in list(self._active)))
                return not self._active and await self._nothing_left()
        except TimeoutError:
            return self._not_rolled_back(f"{self._server} did not let the faults be removed in {within_s:g} s")

    async def _run_window(self, t0_ns: int, fault: PlannedFault, number: int) -> None:
        window = fault.windows[number]
        handles = [self._handle(fault, number, upstream) for upstream in fault.upstreams]
        await self._sleep_until(t0_ns + round(window.apply_ms * NS_PER_MS))
        applied = await asyncio.gather(*(self._act(self._apply(handle)) for handle in handles))
        await self._sleep_until(t0_ns + round(window.remove_ms * NS_PER_MS))
        await asyncio.gather(*(self._act(self._end(h)) for h, done in zip(handles, applied, strict=True) if done))

    async def _act(self, doing: Awaitable[bool]) -> bool:
        """Complete one act, even if the timeline is cancelled in the middle of it."""
        task = asyncio.ensure_future(doing)
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)
        return await asyncio.shield(task)

    async def _apply(self, handle: FaultHandle) -> bool:
        async with self._locks[handle.upstream]:
            if self._closed or not self._record(handle, "requested"):
                return False
            self._applied_any = True
            disabled_by_other = self._is_disabled(handle.upstream)
            self._active.append(handle)
            try:
                await self._admin_call(lambda: handle.apply(disabled_by_other=disabled_by_other))
            except RigError as exc:
                self._record(handle, "failed", exc.message)
                self._trouble(
                    HarnessFault(check="faults", message=f"{spell(handle)} was not applied: {exc.message}", fix=exc.fix)
                )
                return False
            applied = self._record(handle, "applied")
            if isinstance(handle, ProcessFaultHandle):
                self._seen_by_proc(handle)
            return applied

    async def _end(self, handle: FaultHandle) -> bool:
        """Remove a window at its time, after checking that it was active until then."""
        async with self._locks[handle.upstream]:
            disabled_by_other = self._is_disabled(handle.upstream)
            try:
                await self._admin_call(lambda: handle.verify_active(disabled_by_other=disabled_by_other))
            except RigError as exc:
                self._trouble(
                    HarnessFault(check="faults", message=f"{spell(handle)} did not last: {exc.message}", fix=exc.fix)
                )
        return await self._remove(handle)

    async def _remove(self, handle: FaultHandle) -> bool:
        async with self._locks[handle.upstream]:
            if handle not in self._active:
                return True
            disabled_by_other = self._is_disabled(handle.upstream, but=handle)
            self._record(handle, "removing")
            try:
                if isinstance(handle, ProcessFaultHandle):
                    await self._bring_back(handle)
                await self._admin_call(lambda: handle.remove(disabled_by_other=disabled_by_other))
                self._record(handle, "removed")
                await self._admin_call(lambda: handle.verify_removed(disabled_by_other=disabled_by_other))
            except RigError as exc:
                return self._not_rolled_back(f"{spell(handle)} could not be removed: {exc.message}")
            self._active.remove(handle)
            return self._record(handle, "verified")

    def _seen_by_proc(self, handle: ProcessFaultHandle) -> None:
        if handle.fault.proof.kind == "process":
            self._record(handle, "observed", handle.seen())
        if handle.fault.process == "restart":
            window = handle.fault.windows[handle.window]
            self._await_ready(handle, handle.process.child, window.remove_ms - window.apply_ms)

    async def _bring_back(self, handle: ProcessFaultHandle) -> None:
        """Let the process run again. An upstream that was killed is waited for, unless everything is being undone: its
        listener opens only when it can answer. Raises RigError."""
        child = handle.bring_back()
        if handle.fault.process == "restart":
            return
        if handle.listener is None:
            self._await_ready(handle, child, None)
            return
        ready = asyncio.ensure_future(handle.process.ready(child, None))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((ready, closing), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                self._record(handle, "ready", f"after {format_duration(ready.result())}")
        except RigError as exc:
            self._trouble(HarnessFault(check="faults", message=exc.message, fix=exc.fix))
        finally:
            for task in (ready, closing):
                task.cancel()

    def _await_ready(self, handle: ProcessFaultHandle, child: ChildProcess, within_ms: float | None) -> None:
        """Note when the process is ready again, while the run goes on; report it if that is not in time."""
        if self._closed:
            return

        async def wait() -> None:
            try:
                after_ms = await handle.process.ready(child, within_ms)
            except RigError as exc:
                if child.alive:  # its end is reported by whoever watches the children
                    handle.process.never_ready(child, exc.message, exc.fix, within_ms)
                return
            self._record(handle, "ready", f"after {format_duration(after_ms)}")

        task = asyncio.get_running_loop().create_task(wait())
        self._waits.add(task)
        task.add_done_callback(self._waits.discard)

    async def _nothing_left(self) -> bool:
        """The last check, over all proxies and fakes: an act that failed half-way may have left something."""
        if self._client is None:
            return True
        try:
            proxies = await self._admin_call(self._client.proxies)
            fakes = await self._admin_call(lambda: still_applied(self._plan))
        except RigError as exc:
            return self._not_rolled_back(exc.message)
        left = [t.name for proxy in proxies.values() for t in proxy.toxics if t.name.startswith(self._plan.prefix)]
        left += [name for name in self._proxies if name not in proxies or not proxies[name].enabled]
        left += [f"a fault of the fake backend {name}" for name in fakes]
        self._report_changes(proxies)
        return not left or self._not_rolled_back(f"still there: {', '.join(left)}")

    def _report_changes(self, proxies: Mapping[str, Proxy]) -> None:
        """What others did to borrowed proxies while the faults were on them: the figures may be theirs."""
        for borrowed in self._borrowed.values():
            if changes := borrowed.changes(proxies.get(borrowed.name)):
                message = f"while the run was on, {'; '.join(changes)}; that stands as it is"
                fix = "see who else changes this Toxiproxy, and run again"
                self._trouble(HarnessFault(check="faults", message=message, fix=fix))

    def _handle(self, fault: PlannedFault, window: int, upstream: str) -> FaultHandle:
        if fault.behaviour is not None:
            return FakeFaultHandle.of(self._plan, fault, window, upstream)
        if fault.process is None:
            return self._proxy_handle(fault, window, upstream)
        listener = self._proxy_handle(fault, window, upstream) if fault.disables_proxy else None
        loop = asyncio.get_running_loop()
        return ProcessFaultHandle(fault, window, upstream, self._processes[upstream], loop, listener)

    def _proxy_handle(self, fault: PlannedFault, window: int, upstream: str) -> FaultHandle:
        if (borrowed := self._borrowed.get(upstream)) is not None:
            return BorrowedFaultHandle.of(borrowed, self._plan, fault, window)
        assert self._client is not None, "an upstream has a proxy"
        return ProxyFaultHandle.of(self._client, self._plan, fault, window, upstream)

    async def _admin_call(self, call: Callable[[], T]) -> T:
        """Run one act in a thread. Raises RigError, also if it does not end in time."""
        return await admin_call(self._server, call)

    @property
    def _server(self) -> str:
        return f"Toxiproxy at {self._client.url}" if self._client else "the supervisor"

    def _is_disabled(self, upstream: str, but: FaultHandle | None = None) -> bool:
        return any(h.fault.disables_proxy and h.upstream == upstream and h != but for h in self._active)

    def _record(self, handle: FaultHandle, event: Event, detail: str = "") -> bool:
        """False if the journal could not be written. A fault that is not journalled must not be applied; removing goes
        on."""
        entry = Entry(
            fault=handle.fault.name,
            window=handle.window,
            upstream=handle.upstream,
            event=event,
            t_ns=self._clock_ns(),
            detail=detail,
        )
        try:
            self._journal.append(entry)
        except OSError as exc:
            self._trouble(
                HarnessFault(check="files", message=f"faults.ndjson cannot be written: {exc}", fix="free some disk")
            )
            return False
        self._observe(entry)
        return True

    def _not_rolled_back(self, message: str) -> bool:
        fixes = [sweep_command(self._client)] if self._client else ["see logs/supervisor.log"]
        fixes += [borrowed.fix for borrowed in self._borrowed.values() if borrowed.fix]
        self._trouble(HarnessFault(check="rollback", message=message, fix="; or, ".join(fixes)))
        return False

    async def _sleep_until(self, t_ns: int) -> None:
        while (left_ns := t_ns - self._clock_ns()) > 0:
            await self._sleep(left_ns / NS_PER_S)
