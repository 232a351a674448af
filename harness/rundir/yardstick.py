"""yardstick.json: how long the same fixed work took on this machine before and after the run.

Two runs can be compared only if the machine was equally fast for both. `harness.run.yardstick` measures; this module
writes and reads the figures. Runs of older versions have no such file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from harness.model.frozen import Frozen
from harness.rundir.ndjson import replace_file

FILE: Final = "yardstick.json"


class Yardstick(Frozen):
    """Wall-clock time of the fixed work, ms; about 200 on the machine it was written on, more on a busy or slow one."""

    before_ms: float
    """Measured before the first process of the run was started."""
    after_ms: float | None = None
    """Measured after the last process had ended; null: the run was interrupted before that."""

    @property
    def figures_ms(self) -> tuple[float, ...]:
        return (self.before_ms,) if self.after_ms is None else (self.before_ms, self.after_ms)


def write_yardstick(run_dir: Path, yardstick: Yardstick) -> None:
    """Raises OSError."""
    replace_file(run_dir / FILE, yardstick.model_dump_json() + "\n")


def read_yardstick(run_dir: Path) -> Yardstick | None:
    """None if the file is missing or damaged, since no verdict on a single run depends on it."""
    try:
        return Yardstick.model_validate_json((run_dir / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
