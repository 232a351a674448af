"""One window of one fault that a fake produces itself: applied, verified and removed over its control path. Blocking.

If the fake's process has ended, no fault is active there: removing one succeeds, and verifying that one is active
fails.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Final

from harness.correlation import CONTROL_HEADER, run_hash
from harness.errors import RigError
from harness.rundir.plan import Plan
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.processes.own_tls import client_context

TIMEOUT_S: Final = 2.0
_FIX: Final = "see logs/backends.log of the run"


@dataclass(frozen=True, slots=True)
class FakeFaultHandle:
    """`index` is the fault's index in the plan. Methods raise RigError."""

    at: PlannedUpstream
    run: str
    index: int
    fault: PlannedFault
    window: int

    @classmethod
    def of(cls, plan: Plan, fault: PlannedFault, window: int, upstream: str) -> FakeFaultHandle:
        return cls(plan.upstream(upstream), run_hash(plan.stack_id), plan.faults.index(fault), fault, window)

    @property
    def upstream(self) -> str:
        return self.at.name

    def apply(self, *, disabled_by_other: bool) -> None:
        if not self._is_among(_active_on(self.at, self.run, "PUT", self._path)):
            raise RigError(f"the fake backend {self.upstream} took the fault and does not hold it", _FIX)

    def verify_active(self, *, disabled_by_other: bool) -> None:
        if not self._is_among(_active_on(self.at, self.run)):
            raise RigError(f"the fake backend {self.upstream} does not hold it any more", _FIX)

    def remove(self, *, disabled_by_other: bool) -> None:
        _active_on(self.at, self.run, "DELETE", self._path)

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        if self._is_among(_active_on(self.at, self.run)):
            raise RigError(f"the fake backend {self.upstream} still holds it", _FIX)

    @property
    def _path(self) -> str:
        return f"/{self.index}/{self.window}"

    def _is_among(self, active: set[tuple[int, int]]) -> bool:
        return (self.index, self.window) in active


def still_applied(plan: Plan) -> list[str]:
    """Names of the fakes on which any fault of the plan is active. Raises RigError."""
    faked = sorted({name for fault in plan.faults if fault.behaviour for name in fault.upstreams})
    return [name for name in faked if _active_on(plan.upstream(name), run_hash(plan.stack_id))]


def _active_on(at: PlannedUpstream, run: str, method: str = "GET", path: str = "") -> set[tuple[int, int]]:
    """Send one control request to a fake. Returns the faults that are active there afterwards, as (fault, window): none
    if no process listens any more.

    Raises RigError, also if no process listens and a fault is to be applied.
    """
    connection = _connection(at)
    request = f"{method} /-/faults{path} of the fake backend {at.name}"
    try:
        connection.request(method, f"/-/faults{path}", headers={CONTROL_HEADER: run})
        answer = connection.getresponse()
        body = answer.read()
    except ConnectionRefusedError as exc:
        if method != "PUT":
            return set()
        raise RigError(f"{request}: connection refused", _FIX) from exc
    except (OSError, http.client.HTTPException) as exc:
        raise RigError(f"{request} failed: {exc or type(exc).__name__}", _FIX) from exc
    finally:
        connection.close()
    if answer.status != 200:
        raise RigError(f"{request} answered {answer.status}: {body[:200].decode('utf-8', 'replace')}", _FIX)
    try:
        return {(int(index), int(window)) for index, window in json.loads(body)["standing"]}
    except (ValueError, KeyError, TypeError) as exc:
        raise RigError(f"{request} answered {body[:200]!r}, which no fake would", _FIX) from exc


def _connection(at: PlannedUpstream) -> http.client.HTTPConnection:
    context = client_context(at)
    if context is None:
        return http.client.HTTPConnection(at.origin.host, at.origin.port, timeout=TIMEOUT_S)
    return http.client.HTTPSConnection(at.origin.host, at.origin.port, timeout=TIMEOUT_S, context=context)
