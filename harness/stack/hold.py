"""What a hold is: one window of one fault on one upstream, wherever it acts. Blocking.

It keeps no time and no journal; `harness.stack.injector` does.
"""

from __future__ import annotations

from typing import Protocol

from harness.plan import PlannedFault


class Hold(Protocol):
    """Methods raise RigError. `held_down` and `stays_down`: another window of ours disables the proxy."""

    @property
    def fault(self) -> PlannedFault: ...
    @property
    def window(self) -> int: ...
    @property
    def upstream(self) -> str: ...

    def put_on(self, *, held_down: bool) -> None:
        """Leaves nothing behind when it raises, unless that cannot be removed."""

    def check_stands(self, *, held_down: bool) -> None:
        """Raises if the fault, once applied, is not what stands now."""

    def take_off(self, *, stays_down: bool) -> None:
        """Remove what is there of it; what is gone already is no error."""

    def check_gone(self, *, stays_down: bool) -> None:
        """Raises unless nothing of this window is left."""


def spell(hold: Hold) -> str:
    """For people: `azure-slow (latency 60s) on azure`."""
    return f"{hold.fault.name} ({hold.fault.text}) on {hold.upstream}"
