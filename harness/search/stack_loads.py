"""One stack and one load after another on it: what a search runs. A context manager that leaves nothing running.

    with StackLoads(session, cell, folder) as loads:
        run_dir = loads.run(spec)       # starts the stack with the first load
        loads.renew()                   # the next load gets a fresh stack

Every load has a run directory of its own below `folder`, with a plan and evidence that `tailgate judge` reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from harness.errors import Interrupted, RigError
from harness.run.remote_load import JoinedWatch, gateway_of, waiting_note, with_remote_workers
from harness.run.run import DRAIN_MARGIN_MS, choose_toxiproxy, create_run_dir
from harness.run.run_id import new_run_id
from harness.rundir.plan import LoadPlan, Plan, PlannedGate
from harness.rundir.planned.fault import PlannedFault
from harness.scenario.planner import make_plan
from harness.scenario.planning.compile import with_room_for
from harness.search.load_plans import load_plan
from harness.search.witnesses.thread_load import BusiestThread, ThreadLoad
from harness.stack.client import StackClient
from harness.stack.events import ChildStarted
from harness.stack.processes.fd_limits import fit_slots
from harness.stack.processes.ports import PortLease
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.run.run import Session
    from harness.scenario.planner import LoadedCell

SEQ_PER_LOAD: Final = 10_000_000
"""The numbers of one load: loads on one stack must not share any."""
SERVICE: Final = "sut"


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """What a load is. `fault`: the one of the scenario that stands; None: none of them. `confidence`: of its gates;
    None: the scenario's. `placed`: faults of the search's own, with their windows; `guard_ms`: the guard before those.
    """

    rate_per_s: float
    settle_ms: float
    judged_ms: float
    gates: tuple[PlannedGate, ...]
    fault: str | None = None
    confidence: float | None = None
    placed: tuple[PlannedFault, ...] = ()
    guard_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A load that is over: where its evidence is, and the service's busiest thread (None: unknown)."""

    run_dir: Path
    busiest: BusiestThread | None


class StackLoads:
    """The stack of a search. `most_per_s`: the highest rate that any of its loads may have."""

    def __init__(self, session: Session, cell: LoadedCell, folder: Path, *, seed: int, most_per_s: float) -> None:
        self._session = session
        self._cell = cell
        self._folder = folder
        self._seed = seed
        self._most_per_s = most_per_s
        self._lease: PortLease | None = None
        self._stack: StackClient | None = None
        self._base: Plan | None = None
        self._service_pid: int | None = None
        self._joined: JoinedWatch | None = None
        self._said: set[str] = set()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.renew()

    def run(self, spec: LoadSpec, tick: Callable[[float], None] = lambda _: None) -> LoadRun:
        """Run one load to its end. `tick`: called several times a second with the seconds since it began.

        Raises Interrupted if the user stops it; RigError or ServiceGone if the stack ends.
        """
        self._session.stopper.check()
        run_id = new_run_id()
        number = self._count
        self._count += 1  # also of a load that does not come up: its directory is there
        run_dir = self._folder / f"load-{number:03d}"
        if self._stack is None:
            self._begin(run_id, run_dir, spec, number)
        else:
            plan = self._plan(run_id, spec, number)
            create_run_dir(run_dir, plan, self._cell.loaded.text, None)
            self._joined = JoinedWatch(plan, run_dir, self._say_once)
            self._stack.load(plan, run_dir, self._watch)
        assert self._stack is not None
        threads = ThreadLoad(self._service_pid)
        self._stack.go()
        self._follow(spec, threads, tick)
        self._stack.end_load()
        if self._session.stopper.asked:
            raise Interrupted("the search was stopped; what it has certified is kept")
        return LoadRun(run_dir, threads.busiest)

    @property
    def starts_service(self) -> bool:
        """Whether the service is one that `renew` starts anew; else it is somewhere and stays as it is."""
        return self._cell.loaded.scenario.service.url is None

    def count_from(self, number: int) -> None:
        """Number the loads from here on, after those of a search that is taken up again."""
        self._count = number

    def renew(self) -> None:
        """Take the stack down, so that the next load starts another one. Idempotent."""
        stack, lease = self._stack, self._lease
        self._stack = self._lease = self._base = self._service_pid = None
        try:
            if stack is not None:
                stack.__exit__(None, None, None)
        finally:
            if lease is not None:
                lease.release()

    def _begin(self, run_id: str, run_dir: Path, spec: LoadSpec, number: int) -> None:
        scenario = self._cell.loaded.scenario
        options = self._session.options
        choice, running = choose_toxiproxy(scenario)
        self._lease = PortLease()
        planned = make_plan(
            self._cell.loaded,
            run_id=run_id,
            seed=self._seed,
            ports=self._lease.take,
            gateway=gateway_of(scenario, options.remote),
            workers=options.workers,
            cell=self._cell.name,
            run_dir=run_dir,
            toxiproxy=running,
        ).model_copy(update={"overrides": options.overrides})
        if planned.load.locustfile is not None:
            load = planned.load.model_copy(update={"allowed_targets": options.allowed})
            planned = planned.model_copy(update={"load": load})
        if options.remote is not None:
            planned = with_remote_workers(planned, options.remote)
            self._session.display.note(waiting_note(planned) or "")
        self._base = self._with_slots(planned)
        plan = self._plan(run_id, spec, number)
        create_run_dir(run_dir, plan, self._cell.loaded.text, None)
        self._joined = JoinedWatch(plan, run_dir, self._say_once)
        self._stack = StackClient(run_dir, plan, self._lease, choice)
        self._stack.up(self._watch)

    def _with_slots(self, planned: Plan) -> Plan:
        """The plan whose stack has room for the highest rate, as far as the scenario's own number of slots or the
        open-file limit allows."""
        spec = LoadSpec(self._most_per_s, 0.0, 1_000.0, planned.gates)
        written = self._cell.loaded.scenario.load.max_in_flight
        wide = planned.model_copy(update={"most_in_flight": written or 2**31})
        widest = Plan.of(planned.stack, self._load_plan(wide, planned.run_id, spec, 0))
        fitted = widest if written else fit_slots(widest)
        room = with_room_for(planned.stack, [planned.model_copy(update={"load": fitted.load})])
        return Plan.of(room, planned)

    def _plan(self, run_id: str, spec: LoadSpec, number: int) -> Plan:
        assert self._base is not None
        load = self._load_plan(self._base, run_id, spec, number)
        return Plan.of(self._base.stack, load)

    def _load_plan(self, base: Plan, run_id: str, spec: LoadSpec, number: int) -> LoadPlan:
        return load_plan(
            base,
            run_id=run_id,
            rate_per_s=spec.rate_per_s,
            settle_ms=spec.settle_ms,
            judged_ms=spec.judged_ms,
            gates=spec.gates,
            fault=spec.fault,
            confidence=spec.confidence,
            first_seq=number * SEQ_PER_LOAD,
            seed=self._seed + number,
            placed=spec.placed,
            guard_ms=spec.guard_ms,
        )

    def _watch(self, event: object) -> None:
        self._session.stopper.check()
        if self._joined is not None:
            self._joined.look()
        if isinstance(event, ChildStarted) and event.child == SERVICE:
            self._service_pid = event.pid

    def _say_once(self, text: str) -> None:
        """Workers join anew for each load. That the same ones are back need not be said."""
        if text not in self._said:
            self._said.add(text)
            self._session.display.note(text)

    def _follow(self, spec: LoadSpec, threads: ThreadLoad, tick: Callable[[float], None]) -> None:
        """Until every row is on disk. The user's stop ends the load early; what was recorded stays."""
        assert self._stack is not None and self._base is not None
        most_ms = spec.settle_ms + spec.judged_ms + self._base.load.drain_ms + DRAIN_MARGIN_MS
        now_ns = time.monotonic_ns()
        give_up_ns = now_ns + round(most_ms * NS_PER_MS)
        begin_ns = now_ns + round(spec.settle_ms * NS_PER_MS)
        end_ns = begin_ns + round(spec.judged_ms * NS_PER_MS)
        stopped = False
        while time.monotonic_ns() < give_up_ns:
            for event in self._stack.events(0.25):
                if event.event in ("load_done", "down"):
                    return
            threads.look(begin_ns, end_ns)
            tick((time.monotonic_ns() - now_ns) / NS_PER_S)
            if self._session.stopper.asked and not stopped:
                stopped = True
                self._stack.stop(time.monotonic_ns(), "interrupted")
                give_up_ns = min(give_up_ns, time.monotonic_ns() + 20 * NS_PER_S)
        raise RigError("the load did not end in time", "see logs/locust-*.log in the directory of the load")
