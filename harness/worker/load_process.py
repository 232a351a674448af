"""The Locust process of a worker: started, watched and ended by `tailgate worker`, with nothing left of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import psutil

from harness.errors import RigError
from harness.remote.messages import FILE_BYTES_MOST, FILES_MOST, LIVENESS_S, KeptFile
from harness.remote.relay import LOCUST_LOG
from harness.rundir import handshake
from harness.rundir.handshake import Lease
from harness.rundir.incomplete import FOLDER, index_name
from harness.rundir.locustfile.notes import fatal_note, notes_file
from harness.rundir.locustfile.request_names import names_file
from harness.rundir.plan import Plan
from harness.rundir.planned.upstream import Endpoint
from harness.rundir.sessions.login_record import logins_file
from harness.secrets.redact import redact
from harness.stack.child_log import log_tail
from harness.stack.load.local_workers import last_error
from harness.stack.load.token_reader import TokenReader
from harness.stack.names import FAR_VARIABLE, RUN_VARIABLE
from harness.stack.process_spec import KILL_S
from harness.stack.standby.child import raise_open_files
from scenarios.drive.command import remote_worker_argv

END_S: Final = 2.0
"""How long it may take to end after SIGTERM."""


class LoadProcess:
    """The process of worker `index` in `run_dir`, where its plan is."""

    def __init__(self, run_dir: Path, index: int, process: subprocess.Popen[bytes], pipe: TokenReader | None) -> None:
        self._run_dir = run_dir
        self._index = index
        self._process = process
        self._parent = Lease.of_parent(run_dir)
        self._own = Lease.of_worker(run_dir)
        self._pipe = pipe
        self._told: set[str] = set()
        self._is_ending = False
        self._sent_bytes: dict[Path, int] = {}

    @classmethod
    @contextmanager
    def started(
        cls, run_dir: Path, index: int, *, master: Endpoint, token_file: Path, environ: Mapping[str, str]
    ) -> Iterator[Self]:
        """Starts it; at the end of the block its group is ended. Raises RigError and OSError."""
        handshake.prepare(run_dir)
        handshake.write_service_ready(run_dir)  # the master starts a locustfile's workers only then
        for lease in (Lease.of_parent(run_dir), Lease.of_worker(run_dir)):
            lease.begin()
        raise_open_files()
        plan = Plan.read(run_dir)
        argv = remote_worker_argv(run_dir, index, host=master.host, port=master.port, token_file=token_file)
        with ExitStack() as ends, _log_of(run_dir).open("ab") as log:
            pipe = ends.enter_context(closing(TokenReader(set()))) if plan.load.login else None
            try:
                process = subprocess.Popen(
                    argv,
                    env={**environ, RUN_VARIABLE: plan.stack_id, FAR_VARIABLE: "1", **(pipe.variable if pipe else {})},
                    cwd=run_dir,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(pipe.write_fd,) if pipe else (),
                )
            finally:
                if pipe:
                    pipe.release_writer()
            ends.callback(_end, process)
            yield cls(run_dir, index, process, pipe)

    def end_now(self) -> None:
        """Asks it to close its rows and to end, whatever is open. How it ends is no failure then. Idempotent."""
        if not self._is_ending:
            self._is_ending = True
            _signal(self._process, signal.SIGTERM)

    @property
    def is_ready(self) -> bool:
        """Whether it waits for the start."""
        return handshake.is_ready(self._run_dir, self._index)

    def check(self) -> bool:
        """Tells it that we live; whether it has ended, with every row in its file. Raises RigError if it failed."""
        self._parent.renew()
        code = self._process.poll()
        if code is None:
            if self._own.is_over(LIVENESS_S):
                raise RigError(f"its Locust process hangs: it gave no sign of life for {LIVENESS_S:g} s")
            return False
        if note := fatal_note(self._run_dir, [self._index]):
            raise RigError(note.said(), note.remedy)
        if code and (reported := handshake.failure(self._run_dir, self._index)):
            raise RigError(*reported)
        if code and not self._is_ending:
            why = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise RigError(f"its Locust process ended with {why}: {last_error(log_tail(_log_of(self._run_dir), 200))}")
        return True

    @property
    def tokens(self) -> frozenset[str]:
        """All that its logins have saved, of which `new_tokens` has told."""
        return frozenset(self._told)

    def new_tokens(self) -> frozenset[str]:
        """What its logins have saved since the last call."""
        if self._pipe is None:
            return frozenset()
        self._pipe.read()
        fresh = frozenset(self._pipe.secrets - self._told)
        self._told |= fresh
        return fresh

    def cpu_s(self) -> float | None:
        """The processor time that it has used, with children that have ended; None if it has ended itself, or if the
        system does not say."""
        if self._process.poll() is not None:
            return None
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return None
        return times.user + times.system + times.children_user + times.children_system

    def of_locustfile(self, *, only_grown: bool) -> Iterator[KeptFile]:
        """The names of a locustfile's requests and the notes on it, from which the Locust process has removed secrets.
        `only_grown`: those that are longer than when they were last given."""
        for path in (names_file(self._run_dir, self._index), notes_file(self._run_dir, self._index)):
            with suppress(OSError):
                if only_grown and path.stat().st_size == self._sent_bytes.get(path, 0):
                    continue
                data = path.read_bytes()
                self._sent_bytes[path] = len(data)
                yield KeptFile(name=path.name, data=data)

    def files(self, secrets: Collection[str]) -> Iterator[KeptFile]:
        """What belongs to the run directory beside the rows, as far as it can be read. `secrets`: values of this
        machine's environment, which are removed; from answers the Locust process has removed them."""
        yield from self.of_locustfile(only_grown=False)
        logins = logins_file(self._run_dir, self._index)
        index = self._run_dir / index_name(self._index)
        answers = sorted((self._run_dir / FOLDER).glob("*.txt"))
        for path in [_log_of(self._run_dir), logins, index, *answers][:FILES_MOST]:
            with suppress(OSError):
                name = LOCUST_LOG if path == _log_of(self._run_dir) else str(path.relative_to(self._run_dir))
                data = path.read_bytes()[-FILE_BYTES_MOST:]
                if path == _log_of(self._run_dir):
                    data = redact(data.decode("utf-8", "replace"), secrets).encode()
                yield KeptFile(name=name, data=data)


def _log_of(run_dir: Path) -> Path:
    return run_dir / "logs" / LOCUST_LOG


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to its group, then SIGKILL."""
    for number, within_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, KILL_S)):
        _signal(process, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
        os.killpg(process.pid, signal.SIGCONT)  # a stopped process gets SIGTERM only when it continues
