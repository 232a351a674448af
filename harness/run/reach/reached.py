"""One finding of `tailgate doctor SCENARIO`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import TailgateError


@dataclass(frozen=True, slots=True)
class Reached:
    """One thing that a run needs. `fail`: a run would not start. `warn`: it could not be tried from here. `fix`: what
    to do; empty if it is `ok`."""

    what: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def failed(what: str, error: TailgateError, fix: str = "") -> Reached:
    """`fix`: where the error has none."""
    return Reached(what, "fail", error.message, error.fix or fix)
