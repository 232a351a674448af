"""The running stack, inside the supervisor: starts every child, as many at once as possible, and loads one by one.

    workers of the first load ───────────────┐
    Toxiproxy ── proxies ──┐                 │
    commands ── fakes ─────┴─ service ──┐    ├── up
    gateway ────────────────────────────┴────┘

The forwarder is in the fakes' process and connects to what the commands of upstreams start, so these come first.

A child counts as ready only after a probe of it was answered. `harness.stack.supervisor.teardown` ends all of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import RigError, TailgateError
from harness.rundir.journal import BorrowedJournal
from harness.rundir.manifest import HarnessFault, ToxiproxyInfo
from harness.rundir.plan import Plan, StackPlan
from harness.rundir.planned.process_act import SERVICE_TARGET
from harness.secrets.expand import Expander
from harness.stack.background import BackgroundTasks
from harness.stack.commands import UpCommand
from harness.stack.events import ChildReady, ChildStarted, Event
from harness.stack.load.active_load import ActiveLoad
from harness.stack.load.transport import PREFIX as WORKER
from harness.stack.names import RUN_VARIABLE
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import backends, gateway, probe, service, toxiproxy, upstream_command
from harness.stack.processes.process import ChildProcess
from harness.stack.processes.restartable import RestartableProcess, await_ready
from harness.stack.run_state import NO_ENGINE, disk_error
from harness.stack.standby.pool import FAKES, StandbyPool
from harness.stack.standby.pool import WORKER as WORKER_MODULE
from harness.stack.threads import in_thread

if TYPE_CHECKING:
    from harness.stack.injection.proxies import ListenerProxies
    from harness.toxiproxy.client import ToxiproxyClient

_IMPORT_S: Final = 20.0


class Environment:
    """All children of the stack and its latest load, `load`. The end of a child and every trouble are reported to that
    load."""

    def __init__(
        self,
        plan: Plan,
        stack_dir: Path,
        expand: Expander,
        emit: Callable[[Event], None],
        standby: StandbyPool | None = None,
    ) -> None:
        self.plan: StackPlan = plan.stack
        self.stack_dir = stack_dir
        self.expand = expand
        self.children: dict[str, ChildProcess] = {}
        self.background = BackgroundTasks(self._trouble)
        self.proxies: ListenerProxies | None = None
        self.owns_toxiproxy = True
        self.engine_is_lost = False
        """A shared Toxiproxy hangs or has lost our proxies, so that faults can hardly be removed any more."""
        self.standby = standby or StandbyPool()
        self._emit = emit
        self._environ = {**os.environ, RUN_VARIABLE: plan.stack_id}
        self._client: ToxiproxyClient | None = None
        self._engine: ToxiproxyInfo = NO_ENGINE
        self._host: dict[str, str] = {}
        self._program: ProcessSpec | None = None
        self._commands: dict[str, ProcessSpec] = {}
        self._processes: dict[str, RestartableProcess] = {}
        self.load = self._new_load(plan, stack_dir)

    async def up(self, order: UpCommand) -> None:
        """Start the stack, and make its first load ready.

        Raises the first RigError or UsageError. Whatever was started by then stays in `children`, for the teardown.
        """
        self.owns_toxiproxy = order.engine_url is None
        self.load.open()
        try:
            service.write_env(self.plan, self.stack_dir)
            self._program = service.spec(self.plan, self.stack_dir, self._environ, self.expand)
            self._commands = upstream_command.specs(self.plan, self.stack_dir, self._environ, self.expand)
            front = gateway.spec(self.plan, self.stack_dir, self._environ, self.expand)
        except OSError as exc:
            raise disk_error(exc) from exc
        self.load.state.open()
        self._watch_children()
        up = self._then_tell_workers(self._up_service(order, front))
        await _all_of(self.load.workers.launch, lambda: up, self._note_gateway)
        self.standby.end()
        self.load.phase.arm(self.children.values())

    async def begin_load(self, plan: Plan, run_dir: Path) -> None:
        """Make another load ready, after `teardown.end_load` has ended the load before. Raises as `up` does."""
        if plan.stack != self.plan:
            raise ValueError("the load was planned for another stack")
        self.load = self._new_load(plan, run_dir)
        self.load.open()
        self.load.state.open(self._engine, self._host)
        _link_logs(self.stack_dir / "logs", run_dir / "logs")
        service.write_env(self.plan, run_dir)
        await backends.switch(self.plan, run_dir)
        if nginx := self.children.get(gateway.NAME):
            self.load.gateway_log_begin = nginx.spec.log.stat().st_size
            await gateway.switch_log(nginx, run_dir / gateway.ACCESS_LOG)
        self._watch_children()
        await _all_of(self.load.workers.launch, lambda: self._then_tell_workers(self._check_running_stack()))
        self._prepare_next_load()
        self.load.phase.arm(self.children.values())

    def _prepare_next_load(self) -> None:
        """Start the workers of a load after this one, which import while this one settles."""
        self.standby.end([WORKER_MODULE])
        if self.load.plan.load.remote is None:
            for _ in range(self.load.plan.load.workers):
                self.standby.start(WORKER_MODULE)

    def forget_workers(self) -> None:
        """Drop the workers of the load that has ended from `children`: the next load has nothing to do with them."""
        for name in [name for name in self.children if name.startswith(WORKER)]:
            del self.children[name]

    async def _then_tell_workers(self, service_up: Coroutine[Any, Any, None]) -> None:
        await service_up
        try:
            self.load.workers.service_ready()
        except OSError as exc:
            raise disk_error(exc) from exc

    async def _check_running_stack(self) -> None:
        # a fault may have ended one in the load before: it was started again, and nobody has waited for it
        await await_ready(process for target, process in self._processes.items() if target != SERVICE_TARGET)
        await self._prove_listeners()
        await self._service_ready(self.children.get(service.NAME))

    async def _up_service(self, order: UpCommand, front: ProcessSpec | None) -> None:
        nginx = self._start(front) if front else None
        await _all_of(lambda: self._up_engine(order), self._up_backends)
        await self._prove_listeners()
        child = self._start_service()
        after_ms = await self._service_ready(child)
        if child:
            self._ready(child)
        else:
            self._emit(ChildReady(child=service.NAME, after_ms=after_ms, detail=self.plan.service.url))
        if nginx:
            await gateway.ready(self.plan, nginx, self._ready_headers())
            self._ready(nginx)

    async def _note_gateway(self) -> None:
        if self.plan.gateway.kind == "nginx":
            self._host = {"nginx": await in_thread(lambda: gateway.version(self.plan), _IMPORT_S)}
            self.load.state.open(host=self._host)

    def _start_service(self) -> ChildProcess | None:
        """The service as a child; None if it runs already."""
        spec = self._program
        if spec is None:
            return None
        child = self._start(spec)
        self._processes[SERVICE_TARGET] = RestartableProcess(
            SERVICE_TARGET, child, lambda: self._start(spec), self._answered, self._never_ready_again
        )
        return child

    def _never_ready_again(self, child: ChildProcess, message: str, fix: str, within_ms: float | None) -> None:
        self.load.phase.on_never_ready(child, message, fix, within_ms or self.plan.service.ready_within_ms)

    async def _up_engine(self, order: UpCommand) -> None:
        if order.engine_kind == "none":
            return
        spec = toxiproxy.spec(order, self.plan, self.stack_dir, self._environ)
        child = self._start(spec) if spec else None
        # `requests` takes 0.25 s to import; a thread imports it while the server starts
        client_type, proxies_type = await in_thread(import_client, _IMPORT_S)
        self._engine = await toxiproxy.ready(order, child)
        self.load.state.open(self._engine)
        if child:
            self._ready(child, f"Toxiproxy {self._engine.version}")
        self._client = client_type(toxiproxy.admin_url(order))
        journal = BorrowedJournal(self.stack_dir)
        self.proxies = proxies_type(self._client, self.plan, self._trouble_with_engine, journal)
        await self.proxies.create()
        if not self.owns_toxiproxy:
            looking = client_type(toxiproxy.admin_url(order), toxiproxy.CHECK_TIMEOUT_S)
            self.background.start(toxiproxy.watch(looking, self.proxies.needed, self._lost_engine), "Toxiproxy")

    async def _up_backends(self) -> None:
        await asyncio.gather(*(self._up_command(name) for name in self._commands))
        spec = backends.spec(self.plan, self.stack_dir, self._environ)
        if spec is None:
            self.standby.end([FAKES])
        else:
            child = self._start(spec)
            await backends.ready(self.plan, child)
            self._ready(child)

    async def _up_command(self, upstream: str) -> None:
        planned, spec = self.plan.upstream(upstream), self._commands[upstream]
        child = self._start(spec)
        self._processes[upstream] = RestartableProcess(
            upstream,
            child,
            lambda: self._start(spec),
            lambda again, within_ms: upstream_command.ready(planned, again, within_ms),
            self._never_ready_again,
        )
        await upstream_command.ready(planned, child)
        self._ready(child)

    async def _prove_listeners(self) -> None:
        if self._client is None and not self.load.plan.faults:
            return
        self.load.prepare_faults(self._client, self.proxies, self._processes)
        if self._client:
            await self.load.prove_listeners(self._client, self.stack_dir / "logs" / f"{toxiproxy.NAME}.log")

    async def _service_ready(self, child: ChildProcess | None) -> float:
        """Milliseconds until the service answered that it is ready. Raises RigError if it does not in time."""
        try:
            after_ms = await self._answered(child)
        except RigError:
            self.load.state.end_for("never_ready")
            raise
        url, headers = self.expand(self.plan.service.url), self._ready_headers()
        self.load.watch_alerts(url, headers)
        self.load.watch_metrics(url, headers)
        return after_ms

    async def _answered(self, child: ChildProcess | None, within_ms: float | None = None) -> float:
        """Milliseconds until the service answered its readiness probe. `within_ms`: None for the plan's own limit.
        Raises RigError."""
        planned = self.plan.service
        within_s = (within_ms or planned.ready_within_ms) / 1000
        url = f"{self.expand(planned.url)}{planned.ready_path}"
        headers = self._ready_headers()
        try:
            return await probe.until_answered(
                url, within_s=within_s, child=child, method=planned.ready_method, headers=headers
            )
        except probe.NotReady as exc:
            raise service.never_ready(self.plan, child, str(exc)) from exc

    def _ready_headers(self) -> dict[str, str]:
        return {name: self.expand(value) for name, value in self.plan.service.ready_headers.items()}

    def _new_load(self, plan: Plan, run_dir: Path) -> ActiveLoad:
        return ActiveLoad(
            plan, run_dir, self.expand, self._environ, emit=self._emit, start_child=self._start, on_ready=self._ready
        )

    def _watch_children(self) -> None:
        log = self._program.log if self._program else None
        self.load.watch(self.children.values, self.load.phase.on_stopped, log)

    def _start(self, spec: ProcessSpec) -> ChildProcess:
        child = ChildProcess.start(spec, self.standby.take)
        self.children[spec.name] = child
        child.code.add_done_callback(lambda _: self.load.phase.on_death(child))
        self._emit(ChildStarted(child=child.name, pid=child.pid))
        return child

    def _ready(self, child: ChildProcess, detail: str = "") -> None:
        self._emit(ChildReady(child=child.name, after_ms=child.age_ms(), detail=detail))

    def _trouble(self, fault: HarnessFault) -> None:
        """Report the fault to the load that is on the stack at this moment."""
        self.load.phase.trouble(fault)

    def _lost_engine(self, fault: HarnessFault) -> None:
        self.engine_is_lost = True
        self._trouble(fault)

    def _trouble_with_engine(self, fault: HarnessFault) -> None:
        if fault.check == "rollback" and self.owns_toxiproxy:
            fault = fault.model_copy(
                update={"fix": "nothing is left of it: this Toxiproxy was ours and is ended; run again"}
            )
        self._trouble(fault)


def _link_logs(of_stack: Path, of_load: Path) -> None:
    """Link the logs of the stack's children into the load's `logs`, so that each run directory shows them."""
    for log in of_stack.glob("*.log"):
        if not log.name.startswith(WORKER):
            link = of_load / log.name
            link.unlink(missing_ok=True)
            link.symlink_to(Path(os.path.relpath(log, of_load)))


def import_client() -> tuple[type[ToxiproxyClient], type[ListenerProxies]]:
    """What drives Toxiproxy, and all that comes with it: a tenth of a second of imports."""
    from harness.stack.injection import injector  # noqa: F401  (imported here, while the server starts)
    from harness.stack.injection.proxies import ListenerProxies
    from harness.toxiproxy.client import ToxiproxyClient

    return ToxiproxyClient, ListenerProxies


async def _all_of(*steps: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run all steps at once. Of several errors, raise the one that explains most: a TailgateError if there is one."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step())
    except ExceptionGroup as errors:
        expected, others = errors.split(TailgateError)
        error: Exception = expected or others or errors
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from None
