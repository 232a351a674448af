"""The processor time of load processes on other machines, as lines of resources.ndjson.

The master of the load appends them, each in one write, beside those that the supervisor appends of this machine's
processes. They name the `host`, by which they are told from these: what another machine does is nothing to who had the
cores of this one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from harness.units import NS_PER_S

FILE: Final = "resources.ndjson"
HOST: Final = "host"
APART_NS: Final = NS_PER_S // 2
"""Readings of one worker that come sooner after one another are left out, so that none can fill the disk."""


class WorkerCpuLog:
    def __init__(self, run_dir: Path) -> None:
        """Raises OSError."""
        self._file = (run_dir / FILE).open("ab", buffering=0)
        self._last_ns: dict[int, int] = {}

    def add(self, worker: int, host: str, *, t_ns: int, cpu_s: float) -> None:
        """`t_ns`: in our monotonic clock. Raises OSError."""
        last_ns = self._last_ns.get(worker)
        if last_ns is not None and t_ns < last_ns + APART_NS:
            return
        self._last_ns[worker] = t_ns
        line = {"t_ns": t_ns, "child": f"locust-{worker}", HOST: host, "cpu_s": round(cpu_s, 3)}
        self._file.write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        self._file.close()
