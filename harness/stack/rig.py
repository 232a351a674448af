"""Everything of a run that is alive: started in order, with as much at once as can be.

    workers ─────────────────────────────────┐
    Toxiproxy ── proxies ──┐                 │
    fakes ─────────────────┴─ service ──┐    ├── up
    gateway ────────────────────────────┴────┘

It refuses to call anything ready that was not probed. How it all ends is `harness.stack.teardown`'s.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.environment import Expander
from harness.errors import RigError, TailgateError
from harness.events import ChildReady, ChildStarted, FaultChanged
from harness.journal import Entry, Journal
from harness.manifest import RigFault
from harness.notice_record import FILE as NOTICES
from harness.plan import Plan
from harness.stack import alert_poll, backends, engine, gateway, handshake, load, log_tail, probe, resources, sut
from harness.stack.account import Account, disk_fault, fault_of
from harness.stack.blocking import in_thread
from harness.stack.child import Child, Spec
from harness.stack.leftovers import RUN_VARIABLE
from harness.stack.notice_book import NoticeBook
from harness.stack.orders import UpOrder

if TYPE_CHECKING:
    from harness.stack.canary import Canaries
    from harness.stack.injector import Injector
    from harness.toxiproxy.client import ToxiproxyClient

_IMPORT_S: Final = 20.0


class Rig:
    """`on_death` hears of every child that ends, asked to or not; `on_stopped` of one that a signal has stopped."""

    def __init__(
        self,
        run_dir: Path,
        plan: Plan,
        account: Account,
        expand: Expander,
        *,
        on_death: Callable[[Child], None],
        on_stopped: Callable[[Child], None],
        trouble: Callable[[RigFault], None],
    ) -> None:
        self.plan = plan
        self.expand = expand
        self.children: dict[str, Child] = {}
        self.background: list[asyncio.Task[None]] = []
        self.journal: Journal | None = None
        self.injector: Injector | None = None
        self.canaries: Canaries | None = None
        self.notices: NoticeBook | None = None
        self.engine_is_ours = True
        self.engine_is_lost = False
        """A server of others that hangs, or has forgotten us: nothing more can be taken back."""
        self._run_dir = run_dir
        self._account = account
        self._on_death = on_death
        self._on_stopped = on_stopped
        self._trouble = trouble
        self._environ = {**os.environ, RUN_VARIABLE: plan.run_id}

    @property
    def workers(self) -> list[Child]:
        return [child for name, child in self.children.items() if name.startswith(load.PREFIX)]

    async def up(self, order: UpOrder) -> None:
        """Raises the first RigError (or UsageError) met; whatever was started by then stays in `children`."""
        self.engine_is_ours = order.engine_url is None
        try:
            handshake.prepare(self._run_dir)
            sut.write_env(self.plan, self._run_dir)
            service = sut.spec(self.plan, self._run_dir, self._environ, self.expand)
            front = gateway.spec(self.plan, self._run_dir, self._environ, self.expand)
            self.journal = Journal(self._run_dir / "faults.ndjson")
            self.notices = NoticeBook(self._run_dir, self.expand.secrets)
        except OSError as exc:
            raise _disk_error(exc) from exc
        self._account.open()
        self.run_beside(
            resources.sample_forever(
                self._run_dir / "resources.ndjson", self.children.values, self._on_stopped, self._trouble
            ),
            "resources.ndjson",
        )
        if service:
            tail = log_tail.tail_forever(service.log, self.plan.upstreams, self.notices)
            self.run_beside(tail, NOTICES)
        try:
            async with asyncio.TaskGroup() as group:
                for spec in load.specs(self.plan, self._run_dir, self._environ):
                    group.create_task(self._up_worker(self._start(spec)))
                group.create_task(self._up_service(order, service, front))
        except ExceptionGroup as errors:
            raise _first(errors) from None

    async def _up_worker(self, worker: Child) -> None:
        index = int(worker.name.removeprefix(load.PREFIX))
        await load.ready(self._run_dir, index, worker)
        self._ready(worker)

    async def _up_service(self, order: UpOrder, service: Spec | None, front: Spec | None) -> None:
        nginx = self._start(front) if front else None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._up_engine(order))
            group.create_task(self._up_backends())
        await self._check_proxies()
        await self._up_sut(service)
        if nginx:
            self._account.open(nginx=await in_thread(lambda: gateway.version(self.plan), _IMPORT_S))
            await gateway.ready(self.plan, nginx, self._ready_headers())
            self._ready(nginx)

    async def _up_engine(self, order: UpOrder) -> None:
        if order.engine_kind == "none":
            return
        spec = engine.spec(order, self.plan, self._run_dir, self._environ)
        child = self._start(spec) if spec else None
        # requests takes a quarter of a second to import: meanwhile the server starts
        client_type, injector_type = await in_thread(_import_client, _IMPORT_S)
        about = await engine.ready(order, child)
        self._account.open(about)
        if child:
            self._ready(child, f"Toxiproxy {about.version}")
        assert self.journal is not None
        client = client_type(engine.admin_url(order))
        self.injector = injector_type(client, self.plan, self.journal, self._observe, self._trouble_with_engine)
        await self.injector.create_proxies()
        if not self.engine_is_ours:
            names = [self.plan.proxy_name(upstream.name) for upstream in self.plan.upstreams]
            looking = client_type(engine.admin_url(order), engine.LOOK_TIMEOUT_S)
            self.run_beside(engine.watch(looking, names, self._lost_engine), "Toxiproxy")

    async def _up_backends(self) -> None:
        spec = backends.spec(self.plan, self._run_dir, self._environ)
        if spec:
            child = self._start(spec)
            await backends.ready(self.plan, child)
            self._ready(child)

    async def _check_proxies(self) -> None:
        """From end to end: a canary through every listener that a fault will touch."""
        if self.injector is None:
            return
        from harness.stack.canary import Canaries

        assert self.journal is not None
        try:
            self.canaries = Canaries(self.plan, self._run_dir / "canary.ndjson", self.journal, self._observe)
        except OSError as exc:
            raise _disk_error(exc) from exc
        await self.canaries.first()

    async def _up_sut(self, spec: Spec | None) -> None:
        service = self.plan.service
        child = self._start(spec) if spec else None
        url = f"{self.expand(service.url)}{service.ready_path}"
        within_s = service.ready_within_ms / 1000
        try:
            after_ms = await probe.until_answered(
                url, within_s=within_s, child=child, method=service.ready_method, headers=self._ready_headers()
            )
        except probe.NotReady as exc:
            self._account.end_for("never_ready")
            raise sut.never_ready(self.plan, child, str(exc)) from exc
        if child:
            self._ready(child)
        else:
            self._account.emit(ChildReady(child=sut.NAME, after_ms=after_ms, detail=service.url))
        poll = alert_poll.AlertPoll.of(self.plan, self.expand(service.url), self._ready_headers())
        if poll and self.notices:
            self.run_beside(alert_poll.poll_forever(poll, self.notices), NOTICES)

    def _ready_headers(self) -> dict[str, str]:
        return {name: self.expand(value) for name, value in self.plan.service.ready_headers.items()}

    def _start(self, spec: Spec) -> Child:
        child = Child.start(spec)
        self.children[spec.name] = child
        child.code.add_done_callback(lambda _: self._on_death(child))
        self._account.emit(ChildStarted(child=child.name, pid=child.pid))
        return child

    def _ready(self, child: Child, detail: str = "") -> None:
        self._account.emit(ChildReady(child=child.name, after_ms=child.age_ms(), detail=detail))

    def _observe(self, entry: Entry) -> None:
        if self.canaries:
            self.canaries.note(entry)
        self._account.emit(FaultChanged(entry=entry))

    def _lost_engine(self, fault: RigFault) -> None:
        self.engine_is_lost = True
        self._trouble(fault)

    def _trouble_with_engine(self, fault: RigFault) -> None:
        if fault.check == "rollback" and self.engine_is_ours:
            fault = fault.model_copy(
                update={"fix": "nothing is left of it: this Toxiproxy was ours and is ended; run again"}
            )
        self._trouble(fault)

    def run_beside(self, work: Coroutine[Any, Any, None], file_name: str) -> asyncio.Task[None]:
        """A task that lasts until the end; a disk that takes no more of `file_name` is told."""

        async def told() -> None:
            try:
                await work
            except Exception as exc:  # the top of a task: nobody else would hear of it before the end
                self._trouble(fault_of(exc, file_name))

        task = asyncio.get_running_loop().create_task(told())
        self.background.append(task)
        return task


def _import_client() -> tuple[type[ToxiproxyClient], type[Injector]]:
    from harness.stack.injector import Injector
    from harness.toxiproxy.client import ToxiproxyClient

    return ToxiproxyClient, Injector


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """The one to tell: what was raised on purpose before what follows from it."""
    expected, others = errors.split(TailgateError)
    error: Exception = expected or others or errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _disk_error(exc: OSError) -> RigError:
    fault = disk_fault(Path(exc.filename).name if exc.filename else "the run directory", exc)
    return RigError(fault.message, fault.fix)
