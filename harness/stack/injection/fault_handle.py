"""What a hold is: one window of one fault on one upstream, wherever it acts. Blocking.

It keeps no time and no journal; `harness.stack.injection.injector` does.
"""

from __future__ import annotations

from typing import Protocol

from harness.rundir.plan import PlannedFault


class FaultHandle(Protocol):
    """Methods raise RigError. `disabled_by_other`: the window of another fault of ours disables the proxy as well."""

    @property
    def fault(self) -> PlannedFault: ...
    @property
    def window(self) -> int: ...
    @property
    def upstream(self) -> str: ...

    def apply(self, *, disabled_by_other: bool) -> None:
        """Leaves nothing behind when it raises, unless that cannot be removed."""

    def verify_active(self, *, disabled_by_other: bool) -> None:
        """Raises if the fault, once applied, is not what stands now."""

    def remove(self, *, disabled_by_other: bool) -> None:
        """Remove what is there of it; what is gone already is no error."""

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        """Raises unless nothing of this window is left."""


def spell(hold: FaultHandle) -> str:
    """For people: `azure-slow (latency 60s) on azure`."""
    return f"{hold.fault.name} ({hold.fault.text}) on {hold.upstream}"
