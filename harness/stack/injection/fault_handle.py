"""The interface of a fault handle: one window of one fault on one upstream, whatever carries it out. Blocking.

It keeps no time and no journal; `harness.stack.injection.injector` does.
"""

from __future__ import annotations

from typing import Protocol

from harness.rundir.planned.fault import PlannedFault


class FaultHandle(Protocol):
    """Methods raise RigError. `disabled_by_other`: a window of another fault of the run disables the proxy as well."""

    @property
    def fault(self) -> PlannedFault: ...
    @property
    def window(self) -> int: ...
    @property
    def upstream(self) -> str: ...

    def apply(self, *, disabled_by_other: bool) -> None:
        """Apply the fault. If this raises, nothing is left behind, unless that cannot be removed."""

    def verify_active(self, *, disabled_by_other: bool) -> None:
        """Raises if the fault is not in effect as it was applied."""

    def remove(self, *, disabled_by_other: bool) -> None:
        """Remove what is left of the fault. It is no error if nothing is."""

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        """Raises unless nothing of this window is left."""


def spell(handle: FaultHandle) -> str:
    """For people: `azure-slow (latency 60s) on azure`."""
    return f"{handle.fault.name} ({handle.fault.text}) on {handle.upstream}"
