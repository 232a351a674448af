"""How a supervisor is started, and how it is told later which run is its own.

tailgate starts it as early as it can, with the run's id and nothing else, since its imports take as long as tailgate's
own. The assignment follows on the socket that then carries the commands: the run directory, the log for stderr, and the
locks of the run's ports, of which both processes then hold the descriptors. Only the standard library is imported here.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

from harness.stack.names import RUN_VARIABLE, SUPERVISOR_MODULE

_HEADER: Final = struct.Struct("!II")
"""How many descriptors follow, and how many bytes the path of the run directory has."""
_DESCRIPTORS_MOST: Final = 200
"""Of one message; the systems we know allow 253 or more."""
_ABANDON_S: Final = 1.0
_STDIN: Final = 0
_STDERR: Final = 2
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that end a supervisor: before its assignment at once, later by undoing everything."""


class SupervisorProcess:
    """A supervisor that was started. `assign` or `abandon` it."""

    def __init__(self, run_id: str, process: subprocess.Popen[bytes], ours: socket.socket, early: IO[bytes]) -> None:
        self.run_id = run_id
        self.process = process
        self.commands: IO[bytes] | None = None
        """Where commands are written; None until it has its assignment."""
        self._socket = ours
        self._early_stderr = early

    @classmethod
    def start(cls, run_id: str, *, workers: int, fakes: bool = True) -> Self:
        """Start a supervisor for a run of `workers` Locust workers, perhaps with fakes. Raises OSError."""
        ours, theirs = socket.socketpair()
        early = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `assign` or `abandon`)
        standby = [*(["--fakes"] if fakes else []), "--workers", str(workers)]
        with theirs:
            process = subprocess.Popen(
                # other users' sweeps can read the arguments but not the environment, so the run id is an argument too
                [sys.executable, "-P", "-m", SUPERVISOR_MODULE, *standby, run_id],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=early,
                env={**os.environ, RUN_VARIABLE: run_id},
                start_new_session=True,
            )
        return cls(run_id, process, ours, early)

    def assign(self, run_dir: Path, log: Path, descriptors: Sequence[int]) -> None:
        """Tell it which run is its own. `descriptors`: the locks of its ports, which it then holds too. Raises OSError.

        If it has ended, nothing is raised, and no event comes from it.
        """
        path = os.fsencode(run_dir)
        with log.open("ab", buffering=0) as stderr:
            self._early_stderr.seek(0)
            stderr.write(self._early_stderr.read())
            with suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(_HEADER.pack(len(descriptors), len(path)) + path)
                socket.send_fds(self._socket, [b"L"], [stderr.fileno()])
                for first in range(0, len(descriptors), _DESCRIPTORS_MOST):
                    socket.send_fds(self._socket, [b"D"], descriptors[first : first + _DESCRIPTORS_MOST])
        self._early_stderr.close()
        self.commands = os.fdopen(self._socket.detach(), "wb")

    def abandon(self) -> None:
        """End it, and what it has on standby, if it has no assignment. Idempotent."""
        if self.commands is not None:
            return
        self._socket.close()
        self._early_stderr.close()
        self.process.send_signal(signal.SIGTERM)  # it may still import, and would see the closed socket only later
        try:
            self.process.wait(_ABANDON_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with suppress(subprocess.TimeoutExpired):  # it is stuck in the kernel, and no signal helps
                self.process.wait(_ABANDON_S)
        if self.process.stdout:
            self.process.stdout.close()


def is_assigned() -> bool:
    """In the supervisor: whether its assignment waits to be received, or none will come."""
    return bool(select.select([_STDIN], [], [], 0)[0])


def receive() -> Path | None:
    """In the supervisor: wait for the assignment and take it. None: tailgate needs no supervisor, or is gone."""
    with socket.socket(fileno=os.dup(_STDIN)) as theirs:
        header = theirs.recv(_HEADER.size, socket.MSG_WAITALL)
        if len(header) < _HEADER.size:
            return None
        descriptors, path_bytes = _HEADER.unpack(header)
        path = theirs.recv(path_bytes, socket.MSG_WAITALL)
        _, logs, _, _ = socket.recv_fds(theirs, 1, 1)
        if not logs:
            return None
        os.dup2(logs[0], _STDERR)
        os.close(logs[0])
        held = 0  # the descriptors stay open until this process ends
        while held < descriptors:
            _, received, _, _ = socket.recv_fds(theirs, 1, min(_DESCRIPTORS_MOST, descriptors - held))
            if not received:
                return None
            held += len(received)
    return Path(os.fsdecode(path))
