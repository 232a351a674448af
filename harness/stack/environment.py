"""Everything of a run that is alive: started in order, with as much at once as can be.

    workers ─────────────────────────────────┐
    Toxiproxy ── proxies ──┐                 │
    fakes ─────────────────┴─ service ──┐    ├── up
    gateway ────────────────────────────┴────┘

It refuses to call anything ready that was not probed. How it all ends is `harness.stack.supervisor.teardown`'s.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import RigError, TailgateError
from harness.rundir import handshake
from harness.rundir.detections import FILE as NOTICES
from harness.rundir.journal import Entry, Journal
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander
from harness.stack.commands import UpCommand
from harness.stack.detection import alert_poll, log_tail
from harness.stack.detection.detection_book import DetectionBook
from harness.stack.events import ChildReady, ChildStarted, FaultChanged
from harness.stack.monitor import resources
from harness.stack.processes import backends, gateway, probe, service, toxiproxy, workers
from harness.stack.processes.orphans import RUN_VARIABLE
from harness.stack.processes.process import ChildProcess, ProcessSpec
from harness.stack.run_state import RunState, disk_fault, fault_of
from harness.stack.threads import in_thread

if TYPE_CHECKING:
    from harness.stack.injection.injector import Injector
    from harness.stack.monitor.canary import Canaries
    from harness.toxiproxy.client import ToxiproxyClient

_IMPORT_S: Final = 20.0


class Environment:
    """`on_death` hears of every child that ends, asked to or not; `on_stopped` of one that a signal has stopped."""

    def __init__(
        self,
        run_dir: Path,
        plan: Plan,
        account: RunState,
        expand: Expander,
        *,
        on_death: Callable[[ChildProcess], None],
        on_stopped: Callable[[ChildProcess], None],
        trouble: Callable[[HarnessFault], None],
    ) -> None:
        self.plan = plan
        self.expand = expand
        self.children: dict[str, ChildProcess] = {}
        self.background: list[asyncio.Task[None]] = []
        self.journal: Journal | None = None
        self.injector: Injector | None = None
        self.canaries: Canaries | None = None
        self.notices: DetectionBook | None = None
        self.owns_toxiproxy = True
        self.engine_is_lost = False
        """A server of others that hangs, or has forgotten us: nothing more can be taken back."""
        self._run_dir = run_dir
        self._account = account
        self._on_death = on_death
        self._on_stopped = on_stopped
        self._trouble = trouble
        self._environ = {**os.environ, RUN_VARIABLE: plan.run_id}

    @property
    def workers(self) -> list[ChildProcess]:
        return [child for name, child in self.children.items() if name.startswith(workers.PREFIX)]

    async def up(self, order: UpCommand) -> None:
        """Raises the first RigError (or UsageError) met; whatever was started by then stays in `children`."""
        self.owns_toxiproxy = order.engine_url is None
        try:
            handshake.prepare(self._run_dir)
            service.write_env(self.plan, self._run_dir)
            program = service.spec(self.plan, self._run_dir, self._environ, self.expand)
            front = gateway.spec(self.plan, self._run_dir, self._environ, self.expand)
            self.journal = Journal(self._run_dir / "faults.ndjson")
            self.notices = DetectionBook(self._run_dir, self.expand.secrets)
        except OSError as exc:
            raise _disk_error(exc) from exc
        self._account.open()
        self.run_beside(
            resources.sample_forever(
                self._run_dir / "resources.ndjson", self.children.values, self._on_stopped, self._trouble
            ),
            "resources.ndjson",
        )
        if program:
            tail = log_tail.tail_forever(program.log, self.plan.upstreams, self.notices)
            self.run_beside(tail, NOTICES)
        try:
            async with asyncio.TaskGroup() as group:
                for spec in workers.specs(self.plan, self._run_dir, self._environ):
                    group.create_task(self._up_worker(self._start(spec)))
                group.create_task(self._up_service(order, program, front))
        except ExceptionGroup as errors:
            raise _first(errors) from None

    async def _up_worker(self, worker: ChildProcess) -> None:
        index = int(worker.name.removeprefix(workers.PREFIX))
        await workers.ready(self._run_dir, index, worker)
        self._ready(worker)

    async def _up_service(self, order: UpCommand, program: ProcessSpec | None, front: ProcessSpec | None) -> None:
        nginx = self._start(front) if front else None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._up_engine(order))
            group.create_task(self._up_backends())
        await self._check_proxies()
        await self._up_program(program)
        if nginx:
            self._account.open(nginx=await in_thread(lambda: gateway.version(self.plan), _IMPORT_S))
            await gateway.ready(self.plan, nginx, self._ready_headers())
            self._ready(nginx)

    async def _up_engine(self, order: UpCommand) -> None:
        if order.engine_kind == "none":
            return
        spec = toxiproxy.spec(order, self.plan, self._run_dir, self._environ)
        child = self._start(spec) if spec else None
        # requests takes a quarter of a second to import: meanwhile the server starts
        client_type, injector_type = await in_thread(_import_client, _IMPORT_S)
        about = await toxiproxy.ready(order, child)
        self._account.open(about)
        if child:
            self._ready(child, f"Toxiproxy {about.version}")
        assert self.journal is not None
        client = client_type(toxiproxy.admin_url(order))
        self.injector = injector_type(client, self.plan, self.journal, self._observe, self._trouble_with_engine)
        await self.injector.create_proxies()
        if not self.owns_toxiproxy:
            names = [self.plan.proxy_name(upstream.name) for upstream in self.plan.upstreams]
            looking = client_type(toxiproxy.admin_url(order), toxiproxy.LOOK_TIMEOUT_S)
            self.run_beside(toxiproxy.watch(looking, names, self._lost_engine), "Toxiproxy")

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
        from harness.stack.monitor.canary import Canaries

        assert self.journal is not None
        try:
            self.canaries = Canaries(self.plan, self._run_dir / "canary.ndjson", self.journal, self._observe)
        except OSError as exc:
            raise _disk_error(exc) from exc
        await self.canaries.first()

    async def _up_program(self, spec: ProcessSpec | None) -> None:
        planned = self.plan.service
        child = self._start(spec) if spec else None
        url = f"{self.expand(planned.url)}{planned.ready_path}"
        within_s = planned.ready_within_ms / 1000
        try:
            after_ms = await probe.until_answered(
                url, within_s=within_s, child=child, method=planned.ready_method, headers=self._ready_headers()
            )
        except probe.NotReady as exc:
            self._account.end_for("never_ready")
            raise service.never_ready(self.plan, child, str(exc)) from exc
        if child:
            self._ready(child)
        else:
            self._account.emit(ChildReady(child=service.NAME, after_ms=after_ms, detail=planned.url))
        poll = alert_poll.AlertPoll.of(self.plan, self.expand(planned.url), self._ready_headers())
        if poll and self.notices:
            self.run_beside(alert_poll.poll_forever(poll, self.notices), NOTICES)

    def _ready_headers(self) -> dict[str, str]:
        return {name: self.expand(value) for name, value in self.plan.service.ready_headers.items()}

    def _start(self, spec: ProcessSpec) -> ChildProcess:
        child = ChildProcess.start(spec)
        self.children[spec.name] = child
        child.code.add_done_callback(lambda _: self._on_death(child))
        self._account.emit(ChildStarted(child=child.name, pid=child.pid))
        return child

    def _ready(self, child: ChildProcess, detail: str = "") -> None:
        self._account.emit(ChildReady(child=child.name, after_ms=child.age_ms(), detail=detail))

    def _observe(self, entry: Entry) -> None:
        if self.canaries:
            self.canaries.note(entry)
        self._account.emit(FaultChanged(entry=entry))

    def _lost_engine(self, fault: HarnessFault) -> None:
        self.engine_is_lost = True
        self._trouble(fault)

    def _trouble_with_engine(self, fault: HarnessFault) -> None:
        if fault.check == "rollback" and self.owns_toxiproxy:
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
    from harness.stack.injection.injector import Injector
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
