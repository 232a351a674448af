"""Commands `tailgate worker` for one load, each with temporary files of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from bench.tailgate_command import TAILGATE
from harness.stack.processes.ports import PortLease

_END_S: Final = 5.0
_PORTS: Final = range(30_000, 31_000)
"""No run takes one of these for itself."""


class FarWorkers:
    """`count` commands, which wait for their run from the moment they are made, until `close`.

    `words`: the options by which `tailgate run` expects them.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._lease = PortLease(folder / "worker-locks", _PORTS)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(24), encoding="ascii")
        address = f"127.0.0.1:{self._lease.take()}"
        self.words = ("--expect-workers", str(count), "--listen", address, "--token-file", str(token))
        self.processes: list[subprocess.Popen[bytes]] = []
        self._temps: dict[int, Path] = {}
        for number in range(count):
            temp = folder / f"worker-{number}"
            temp.mkdir()
            with (folder / f"worker-{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    [TAILGATE, "worker", address, "--token-file", str(token)],
                    cwd=folder,
                    env={**os.environ, "TMPDIR": str(temp)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.processes.append(process)
            self._temps[process.pid] = temp

    def temp_of(self, process: subprocess.Popen[bytes]) -> Path:
        """The folder of its temporary files."""
        return self._temps[process.pid]

    def wait(self, within_s: float) -> None:
        """Returns when all have ended. Raises subprocess.TimeoutExpired."""
        end_s = time.monotonic() + within_s
        for process in self.processes:
            process.wait(max(0.1, end_s - time.monotonic()))

    def close(self) -> None:
        """Ends those that are left: a worker that is told to end ends its Locust process."""
        for number, within_s in ((signal.SIGTERM, _END_S), (signal.SIGKILL, None)):
            for process in self.processes:
                if process.poll() is None:
                    process.send_signal(number)
                    process.send_signal(signal.SIGCONT)
            for process in self.processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(within_s)
        self._lease.release()
