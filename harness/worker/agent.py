"""Joins a load, runs its part of it in a Locust process, and delivers the rows.

The worker trusts whoever has its token, and no further: it sends load only to hosts that it allows itself, runs only
its own copy of a locustfile, and expands `${VAR}` from its own environment. Everything that it writes is in a temporary
folder, which is gone when it ends. It ends by itself when nothing came from the master for ten seconds.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import __version__
from harness.errors import Interrupted, RigError, TailgateError, UsageError
from harness.remote.curve_keys import read_keys
from harness.remote.messages import (
    LIVENESS_S,
    TOKENS_MOST,
    Abort,
    Declined,
    Done,
    EndNow,
    Failed,
    Join,
    JoinRefused,
    LoadCpu,
    Ping,
    Pong,
    Prepare,
    Ready,
    RowsTaken,
    SavedTokens,
    Start,
    Stop,
    ToWorker,
    Welcome,
    WorkerFinished,
)
from harness.remote.row_spool import RowSpool
from harness.rundir import handshake
from harness.rundir.plan import Plan
from harness.rundir.planned.login import LOGIN_WITHIN_S
from harness.rundir.planned.upstream import Endpoint
from harness.secrets.expand import known_secrets
from harness.secrets.redact import redact
from harness.temp_dirs import remove_abandoned, temp_dir
from harness.units import NS_PER_MS, NS_PER_S
from harness.worker.admission import accepted_plan
from harness.worker.connection import MasterConnection
from harness.worker.load_process import LoadProcess

JOIN_WITHIN_S: Final = 120.0
READY_WITHIN_S: Final = 30.0
OVERRUN_S: Final = 30.0
"""How long after the planned end and the drain the Locust process may take to end."""
CPU_EVERY_S: Final = 1.0
"""How often the master is told how much the Locust process has used."""
FOLDER_PREFIX: Final = "tailgate-worker-"
_TICK_S: Final = 0.02
_REPEAT_S: Final = 1.0
REFUSED_S: Final = 20.0
"""How long a worker tries on when something answers and both sides do not agree on the keys. A tunnel or a relay
accepts connections before the run behind it does, which looks the same as another token."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of `tailgate worker`."""

    master: Endpoint
    token_file: Path
    allowed: tuple[str, ...] = ()
    locustfile: Path | None = None
    data: Path | None = None
    join_within_s: float = JOIN_WITHIN_S
    is_patient: bool = False
    """Whether a run that takes no more workers, or a door behind which there is none yet, is waited for as one that
    has not begun is."""


class NoRunCame(UsageError):
    """No run took this worker in the time for which it waits."""


def serve(
    options: WorkerOptions,
    environ: Mapping[str, str],
    report: Callable[[str], None],
    is_stopped: Callable[[], bool],
    parent: Path | None = None,
) -> None:
    """Takes part in one load, and returns when all of its rows have arrived.

    Raises UsageError if the worker cannot take part, Interrupted if `is_stopped`, RigError for every other end; nothing
    is left of it then. `parent`: where the temporary folder is made.
    """
    keys = read_keys(options.token_file)
    remove_abandoned(FOLDER_PREFIX, parent)
    with (
        temp_dir(FOLDER_PREFIX, parent) as run_dir,
        MasterConnection(options.master, keys) as connection,
        ExitStack() as processes,
    ):
        agent = _Agent(options, connection, run_dir, processes, environ=environ, report=report, is_stopped=is_stopped)
        try:
            agent.join()
            agent.work()
        except TailgateError as exc:
            agent.report_failure(exc.message, exc.fix)
            raise
        except OSError as exc:
            agent.report_failure(f"it could not write its files: {exc}", "make room on its disk")
            raise RigError(f"the worker could not write its files: {exc}", "make room on its disk") from exc


class _Agent:
    """The course of one load. `processes` ends the Locust process."""

    def __init__(
        self,
        options: WorkerOptions,
        connection: MasterConnection,
        run_dir: Path,
        processes: ExitStack,
        *,
        environ: Mapping[str, str],
        report: Callable[[str], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._options = options
        self._environ = environ
        self._report = report
        self._is_stopped = is_stopped
        self._run_dir = run_dir
        self._connection = connection
        self._processes = processes
        self._heard_s = time.monotonic()
        self._repeat_s = self._measure_s = 0.0
        self._index: int | None = None
        self._secrets: set[str] = set()
        self._process: LoadProcess | None = None
        self._prepared_s = 0.0
        self._ready_within_s = READY_WITHIN_S
        self._ends_ns: int | None = None
        """When the Locust process must have ended; None: the load has not begun."""
        self._is_over = False
        self._is_finished = False
        self._is_done = False
        self._was_aborted = False

    def join(self) -> None:
        """Asks until the master answers. Raises UsageError if it refuses, NoRunCame if it never answers."""
        address = self._options.master.address
        self._report(f"waiting for a run at {address}")
        give_up_s, asked, refused_s = time.monotonic() + self._options.join_within_s, 0, 0.0
        again_s = math.inf
        while time.monotonic() < give_up_s:
            for message in self._receive():
                if isinstance(message, Welcome):
                    self._accept(message)
                    return
                if isinstance(message, JoinRefused):
                    if not self._options.is_patient:
                        why = f"the run at {address} does not take this worker: {message.message}"
                        raise UsageError(why, message.fix)
                    again_s = time.monotonic() + _REPEAT_S
            # also when the connection was made anew: an answer may be lost
            if self._connection.handshakes > asked or time.monotonic() > again_s:
                asked, again_s = self._connection.handshakes, math.inf
                self._connection.send(Join(version=__version__, host=socket.gethostname()))
            if not asked and self._connection.refusals and not refused_s:
                refused_s = time.monotonic()
                self._report(f"{address} answers, but does not accept this token, or no run is behind it yet")
            patience_s = math.inf if self._options.is_patient else REFUSED_S
            if not asked and refused_s and time.monotonic() - refused_s > patience_s:
                raise UsageError(
                    f"{address} does not accept the token in {self._options.token_file}, or is no run of tailgate",
                    "copy the token file of `tailgate run --token-file` to this machine",
                )
        raise NoRunCame(
            f"no run of tailgate took this worker at {address} within {self._options.join_within_s:g} s",
            "start `tailgate run … --expect-workers N --listen HOST:PORT` there; see whether a firewall is between",
        )

    def work(self) -> None:
        """The load, to its end."""
        assert self._index is not None
        spool = RowSpool(self._run_dir / f"samples-{self._index}.bin")
        while not self._is_done:
            for message in self._receive():
                self._take(message, spool)
            if self._is_done:
                return
            self._watch_master()
            if self._process is not None:
                self._watch_process(self._process)
                self._tell_tokens(self._process, every=False)
                for file in self._process.of_locustfile(only_grown=True):
                    self._connection.send(file)
                for rows in spool.next(time.monotonic_ns()):
                    self._connection.send(rows)
                self._send_cpu(self._process)
                self._repeat(self._process, spool)

    def report_failure(self, message: str, fix: str) -> None:
        """Tells the master why this worker ends, unless the master has ended it."""
        if self._index is None or self._was_aborted:
            return
        for file in self._process.files(self._secrets) if self._process else ():
            self._connection.send(file)
        self._connection.send(Failed(message=redact(message, self._secrets), fix=fix))

    def _receive(self) -> Iterator[ToWorker]:
        for message in self._connection.receive(_TICK_S):
            self._heard_s = time.monotonic()
            if isinstance(message, Ping):
                self._connection.send(Pong(number=message.number, worker_ns=time.monotonic_ns()))
            elif isinstance(message, Abort):
                self._was_aborted = True
                raise RigError(f"the run has ended: {message.reason}")
            else:
                yield message
        if self._is_stopped():
            lost = "" if self._index is None else "; the run has no verdict without this worker"
            raise Interrupted(f"stopped{lost}")

    def _accept(self, message: Welcome) -> None:
        """Raises UsageError if this worker's own rules forbid what it was given."""
        try:
            plan = accepted_plan(message, self._options, self._environ)
        except UsageError as exc:
            self._connection.send(Declined(message=exc.message, fix=exc.fix))
            raise
        self._index = message.index
        self._secrets = known_secrets(plan, self._environ)
        self._ready_within_s += LOGIN_WITHIN_S if plan.load.login else 0.0
        plan.write(self._run_dir)
        self._report(
            f"worker {message.index + 1} of {plan.load.workers} for run {plan.run_id} of {plan.name}: "
            f"load for {plan.gateway.target}"
        )

    def _take(self, message: ToWorker, spool: RowSpool) -> None:
        match message:
            case Prepare() if self._process is None:
                self._start_process()
            case Start() if self._ends_ns is None:
                self._begin(message)
            case Stop():
                handshake.write_stop(self._run_dir, at_ns=message.at_ns)
            case EndNow() if self._process is not None:
                self._process.end_now()
            case RowsTaken():
                spool.taken(message, time.monotonic_ns())
            case Done():
                self._is_done = True
                self._report("the load is over, and every row has arrived")

    def _start_process(self) -> None:
        assert self._index is not None
        self._prepared_s = time.monotonic()
        self._process = self._processes.enter_context(
            LoadProcess.started(
                self._run_dir,
                self._index,
                master=self._options.master,
                token_file=self._options.token_file,
                environ=self._environ,
            )
        )

    def _begin(self, message: Start) -> None:
        """Raises RigError if the message took so long that the first arrivals are due already."""
        late_ns = time.monotonic_ns() - message.start_ns
        if late_ns > 0:
            raise RigError(
                f"the message that starts the load came {late_ns / NS_PER_MS:.0f} ms too late",
                "look at the network between the machines",
            )
        handshake.write_start(self._run_dir, start_ns=message.start_ns, t0_ns=message.t0_ns)
        load = Plan.read(self._run_dir).load
        whole_ms = load.duration_ms + load.drain_ms
        self._ends_ns = message.t0_ns + round(whole_ms * NS_PER_MS + OVERRUN_S * NS_PER_S)
        self._report("the load begins")

    def _watch_master(self) -> None:
        if time.monotonic() - self._heard_s <= LIVENESS_S:
            return
        if self._is_finished:
            self._is_done = True  # every row was acknowledged; only the farewell is missing
            return
        raise RigError(
            f"nothing came from {self._options.master.address} for {LIVENESS_S:g} s",
            "the run there was killed, or the network is cut",
        )

    def _watch_process(self, process: LoadProcess) -> None:
        now_s = time.monotonic()
        if not self._is_over:
            self._is_over = process.check()
        if self._ends_ns is None:
            if self._is_over:
                raise RigError("its Locust process ended before the load began")
            if not process.is_ready and now_s - self._prepared_s > self._ready_within_s:
                raise RigError(f"its Locust process was not ready within {self._ready_within_s:g} s")
        elif not self._is_over and time.monotonic_ns() > self._ends_ns:
            raise RigError("its Locust process did not end after the last arrival and the drain")

    def _send_cpu(self, process: LoadProcess) -> None:
        """Once a second while the load is on, how much its process has used."""
        if self._ends_ns is None or self._is_over or time.monotonic() < self._measure_s:
            return
        self._measure_s = time.monotonic() + CPU_EVERY_S
        worker_ns = time.monotonic_ns()
        if (cpu_s := process.cpu_s()) is not None:
            self._connection.send(LoadCpu(worker_ns=worker_ns, cpu_s=cpu_s))

    def _tell_tokens(self, process: LoadProcess, *, every: bool) -> None:
        """Sends what logins saved, since the run must redact it in its logs; what is new, or once more all of it."""
        fresh = process.new_tokens()
        self._secrets |= fresh
        told = sorted(process.tokens if every else fresh)
        for first in range(0, len(told), TOKENS_MOST):
            self._connection.send(SavedTokens(values=tuple(told[first : first + TOKENS_MOST])))

    def _repeat(self, process: LoadProcess, spool: RowSpool) -> None:
        """Says once a second what the master must know, since a message is lost when a connection breaks."""
        if time.monotonic() < self._repeat_s:
            return
        if self._ends_ns is None and process.is_ready:
            self._tell_tokens(process, every=True)
            self._connection.send(Ready())
        elif self._is_over and spool.closed:
            self._tell_tokens(process, every=True)
            # rows rest on the names of a locustfile's requests, so these are sent until the master has said farewell
            again = process.of_locustfile(only_grown=False)
            for file in again if self._is_finished else process.files(self._secrets):
                self._connection.send(file)
            self._is_finished = True
            self._connection.send(WorkerFinished())
        else:
            return
        self._repeat_s = time.monotonic() + _REPEAT_S
