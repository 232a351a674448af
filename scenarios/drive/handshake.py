"""How a worker and the supervisor agree on the moments: small JSON files in `RUN_DIR/control/`.

The worker writes `ready-<i>` and waits for `start.json`; `stop.json` ends it early. Nothing is
waited for without a bound: a worker whose supervisor is gone must not stay behind.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from harness.errors import RigError
from harness.units import NS_PER_S

START_WITHIN_S = 60.0
POLL_S = 0.02


class Handshake:
    """One worker's side. `time.sleep` yields to other greenlets, since Locust patches it."""

    def __init__(self, run_dir: Path, index: int) -> None:
        self._control = run_dir / "control"
        self._index = index
        self._parent = os.getppid()

    def ready(self) -> None:
        """Tell the supervisor that arrivals can be sent from now on."""
        self._control.mkdir(exist_ok=True)
        path = self._control / f"ready-{self._index}"
        draft = path.with_name(f".{path.name}")
        draft.write_text(json.dumps({"pid": os.getpid()}) + "\n", encoding="utf-8")
        draft.replace(path)

    def t0_ns(self, within_s: float = START_WITHIN_S) -> int:
        """Wait for start.json; the moment of t = 0. Raises RigError when it does not come."""
        give_up_ns = time.monotonic_ns() + int(within_s * NS_PER_S)
        while time.monotonic_ns() < give_up_ns:
            if start := self._read("start.json"):
                return int(start["t0_ns"])
            time.sleep(POLL_S)
        raise RigError(f"worker {self._index} was ready, and no start.json came within {within_s:g} s")

    def stop_at_ns(self) -> int | None:
        """The moment of an early end; None while there is none."""
        stop = self._read("stop.json")
        return int(stop["at_ns"]) if stop else None

    def is_orphan(self) -> bool:
        """Whether the process that started this one is gone."""
        return os.getppid() != self._parent

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            content = (self._control / name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = json.loads(content)
        except ValueError:
            return None  # still being written: the next look finds it whole
        return found if isinstance(found, dict) else None
