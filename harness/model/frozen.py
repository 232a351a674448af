"""`Frozen`: the base of every line and every file of a run directory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A line or a file of a run directory. Its validator is built when it is first used, because most commands use few
    of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
