"""The highest rate that a load worker can send on this machine, as `tailgate doctor` measured it.

`tailgate run` warns of higher rates, because they must lead to send lag. A lower rate may lead to send lag too; every
run measures that itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from harness.model.frozen import Frozen


class MaxRate(Frozen):
    """`cpu_ms`: CPU time of a worker per request, without its start-up. `rate_per_s`: the highest rate of a worker."""

    cpu_ms: float
    rate_per_s: float

    def write(self, env: Mapping[str, str] = os.environ) -> None:
        """Store the figures in the user's cache folder. Raises OSError if that is not possible."""
        path = _path(env)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def read(cls, env: Mapping[str, str] = os.environ) -> MaxRate | None:
        """The stored figures; None if `tailgate doctor` never measured, or the file cannot be read."""
        try:
            return cls.model_validate_json(_path(env).read_bytes())
        except (OSError, ValidationError):
            return None


def _path(env: Mapping[str, str]) -> Path:
    cache = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or str(Path.home())) / ".cache")
    return Path(cache) / "tailgate" / "ceiling.json"
