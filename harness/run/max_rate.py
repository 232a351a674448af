"""What rate a load worker of this machine can drive, as `tailgate doctor` measured it; `run` warns beyond it.

It says where send lag must begin, not that there is none below: that is judged in every run by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from harness.rundir.plan import Frozen


class MaxRate(Frozen):
    """`cpu_ms` is one worker's CPU time a request, start-up left out; `rate_per_s` what one worker can drive."""

    cpu_ms: float
    rate_per_s: float

    def write(self, env: Mapping[str, str] = os.environ) -> None:
        path = _path(env)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def read(cls, env: Mapping[str, str] = os.environ) -> MaxRate | None:
        """None where doctor never measured, or left something unreadable."""
        try:
            return cls.model_validate_json(_path(env).read_bytes())
        except (OSError, ValidationError):
            return None


def _path(env: Mapping[str, str]) -> Path:
    cache = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or str(Path.home())) / ".cache")
    return Path(cache) / "tailgate" / "ceiling.json"
