"""The supervisor's processes on standby: started before the plan is known, and handed out by the module they run.

Importing Locust, or all of a fake backend, takes longer than everything that such a process does until it is ready.
Processes on standby import while tailgate still reads the scenario, or while the load before theirs settles. Each has
the run's id in its environment, leads a session of its own, as every child does, and ends when the supervisor does: its
stdin is a pipe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from harness.stack.process_spec import KILL_S, ProcessSpec

FAKES: Final = "fake_backends"
WORKER: Final = "scenarios.drive.locust_worker"
_CHILD: Final = "harness.stack.standby.child"
_PYTHON: Final = (sys.executable, "-P", "-m")
"""How the command of a process begins that may come from standby."""


class StandbyPool:
    """`start` adds a process; `take` hands one out; `end` kills the rest. Nothing here waits for an import."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._environ = dict(os.environ)

    def start(self, module: str) -> None:
        """Start one process for `module`, as `child` says. If that fails, none is on standby."""
        with suppress(OSError):
            process = subprocess.Popen(
                [*_PYTHON, _CHILD, module],
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                restore_signals=False,
            )
            self._waiting.append((module, process))

    def take(self, spec: ProcessSpec) -> subprocess.Popen[bytes] | None:
        """The process that now runs `spec`; None if none on standby can: then start it in the usual way."""
        if spec.argv[:3] != _PYTHON or spec.env != self._environ or not spec.keep_signals or spec.pass_fds:
            return None
        for entry in [entry for entry in self._waiting if entry[0] == spec.argv[3]]:
            self._waiting.remove(entry)
            process = entry[1]
            if _order(process, spec):
                return process
            _kill([process])
        return None

    def end(self, modules: Iterable[str] = (FAKES, WORKER)) -> None:
        """Kill the processes for `modules` that were not handed out. Idempotent."""
        unused = [entry for entry in self._waiting if entry[0] in modules]
        self._waiting = [entry for entry in self._waiting if entry not in unused]
        _kill([process for _, process in unused])


def _order(process: subprocess.Popen[bytes], spec: ProcessSpec) -> bool:
    """Tell the process what to run. Returns whether it is alive to hear it."""
    order = {"args": spec.argv[4:], "cwd": str(spec.cwd), "log": str(spec.log), "raise_limits": spec.raise_limits}
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pipe.write(json.dumps(order).encode() + b"\n")
    except OSError:
        return False
    return process.poll() is None


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        with suppress(OSError):
            if process.stdin:
                process.stdin.close()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):  # it is stuck in the kernel, and no signal helps
            process.wait(KILL_S)
