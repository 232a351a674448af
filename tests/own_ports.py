"""Ports for tests whose locks stand in a folder of their own, where other tests and runs do not see them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harness.stack.processes.ports import PortLease

_WORKERS: Final = 10
_EACH: Final = 1_000


def own_lease(lock_dir: Path) -> PortLease:
    """A lease of ports that no run takes, and of the tests only those of this pytest-xdist worker."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    first = 10_000 + worker * _EACH
    return PortLease(lock_dir, range(first, first + _EACH))
