"""Workers on other machines, through Locust's master: a child of this process that speaks to them.

The master reads and writes the same files as a worker of this machine, for all of them: it marks each one ready, passes
start.json and stop.json on, writes the row files, and exits when all of them are complete.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir import handshake
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.login import LOGIN_WITHIN_S
from harness.stack.load import local_workers
from harness.stack.load.token_reader import TokenReader
from harness.stack.load.transport import MASTER
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes.process import ChildProcess
from harness.units import format_things
from scenarios.drive.command import master_argv

READY_WITHIN_S: Final = 40.0
"""After the last one has joined: their Locust processes start, and the clocks are compared."""
GRACE_S: Final = 7.0
"""After SIGTERM the master still takes the rows that exist."""
_POLL_S: Final = 0.02


class RemoteTransport:
    """A `WorkerTransport` for the workers of `plan.load.remote`.

    `secrets`: where the tokens of their sessions are added.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        environ: Mapping[str, str],
        *,
        start_child: Callable[[ProcessSpec], ChildProcess],
        on_ready: Callable[[ChildProcess], None],
        secrets: set[str],
    ) -> None:
        assert plan.load.remote is not None, "workers of this machine have another transport"
        self._remote: RemoteWorkers = plan.load.remote
        self._count = plan.load.workers
        self._run_dir = run_dir
        log = run_dir / "logs" / f"{MASTER}.log"
        self._spec = ProcessSpec(MASTER, tuple(master_argv(run_dir)), dict(environ), run_dir, log, keep_signals=True)
        self._start_child = start_child
        self._on_ready = on_ready
        self._master: ChildProcess | None = None
        self._awaits_service = plan.load.awaits_service
        self._ready_within_s = READY_WITHIN_S
        self._tokens: TokenReader | None = None
        if plan.load.login is not None:
            self._ready_within_s += LOGIN_WITHIN_S
            self._tokens = TokenReader(secrets, asyncio.get_running_loop())
        self._service_ready_s: float | None = None

    async def launch(self) -> None:
        self._master = master = self._started()
        joined_by_s = time.monotonic() + self._remote.join_within_ms / 1000
        while missing := [i for i in range(self._count) if not handshake.is_ready(self._run_dir, i)]:
            if not master.alive:
                fault = local_workers.died(master)
                raise RigError(fault.message, fault.fix)
            if time.monotonic() > self._give_up_s(joined_by_s):
                raise RigError(
                    f"{format_things(len(missing), 'worker')} of {self._count} did not get ready in time"
                    + local_workers.excerpt(master),
                    f"on each machine: tailgate worker HOST:{self._remote.listen.port} --token-file FILE",
                )
            await asyncio.wait([master.code], timeout=_POLL_S)
        self._on_ready(master)

    def _give_up_s(self, joined_by_s: float) -> float:
        """A locustfile's workers are started when the service is ready, for which others wait, and not for ever."""
        if not self._awaits_service:
            return joined_by_s + self._ready_within_s
        if self._service_ready_s is None:
            return math.inf
        return max(joined_by_s, self._service_ready_s) + self._ready_within_s

    def _started(self) -> ChildProcess:
        if self._tokens is None:
            return self._start_child(self._spec)
        try:
            return self._start_child(self._tokens.lent(self._spec))
        finally:
            self._tokens.release_writer()

    def service_ready(self) -> None:
        self._service_ready_s = time.monotonic()
        handshake.write_service_ready(self._run_dir)

    def start(self, *, start_ns: int, t0_ns: int) -> None:
        handshake.write_start(self._run_dir, start_ns=start_ns, t0_ns=t0_ns)

    def stop(self, at_ns: int) -> None:
        handshake.write_stop(self._run_dir, at_ns=at_ns)

    def alive(self) -> tuple[str, ...]:
        return (self._master.name,) if self._master and self._master.alive else ()

    async def wait(self, within_s: float) -> None:
        if self._master and self._master.alive:
            await asyncio.wait([self._master.code], timeout=within_s)

    async def end(self) -> None:
        if self._master:
            await self._master.stop(GRACE_S)
        if self._tokens:
            self._tokens.close()
            self._tokens = None

    def kill_overrunning(self) -> list[HarnessFault]:
        if not self._master or not self._master.alive:
            return []
        self._master.kill()
        return [local_workers.overran(self._master)]

    def rows(self) -> tuple[Path, ...]:
        return tuple(self._run_dir / f"samples-{index}.bin" for index in range(self._count))
