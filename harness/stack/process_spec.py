"""How a child process is started: its command, its environment, its folder, its log, its limits.

It stands apart from `harness.stack.processes.process`, which runs a child, because tailgate itself needs only this, and
no event loop: asyncio takes longer to import than all of this room.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

KILL_S: Final = 1.0
"""How long a child may take to end after SIGKILL; only a child stuck in the kernel takes longer."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """How a child is started. `env` is the whole environment: nothing is inherited besides.

    `raise_limits`: raise its limit of open files to the hard limit; never for the service under test, whose own limit
    is part of what is tested. `keep_signals`: leave SIGXFSZ ignored (and with it SIGPIPE), as Python has them, so that
    a file-size limit makes a write fail in the child instead of killing it.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    log: Path
    raise_limits: bool = True
    keep_signals: bool = False
    pass_fds: tuple[int, ...] = ()
    """File descriptors that it inherits besides its output."""
