"""One window of one fault that a fake does itself: put on, seen to stand and lifted over its control path. Blocking.

A fake whose process has ended holds nothing any more, so there taking off succeeds and standing fails.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Final

from harness.correlation import CONTROL_HEADER, run_hash
from harness.errors import RigError
from harness.rundir.plan import Plan, PlannedFault, PlannedUpstream

TIMEOUT_S: Final = 2.0
_FIX: Final = "see logs/backends.log of the run"


@dataclass(frozen=True, slots=True)
class FakeFaultHandle:
    """`index` is the fault's in the plan. Methods raise RigError."""

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
        if not self._is_in(_standing(self.at, self.run, "PUT", self._path)):
            raise RigError(f"the fake backend {self.upstream} took the fault and does not hold it", _FIX)

    def verify_active(self, *, disabled_by_other: bool) -> None:
        if not self._is_in(_standing(self.at, self.run)):
            raise RigError(f"the fake backend {self.upstream} does not hold it any more", _FIX)

    def remove(self, *, disabled_by_other: bool) -> None:
        _standing(self.at, self.run, "DELETE", self._path)

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        if self._is_in(_standing(self.at, self.run)):
            raise RigError(f"the fake backend {self.upstream} still holds it", _FIX)

    @property
    def _path(self) -> str:
        return f"/{self.index}/{self.window}"

    def _is_in(self, found: set[tuple[int, int]]) -> bool:
        return (self.index, self.window) in found


def still_applied(plan: Plan) -> list[str]:
    """The fakes on which any fault of the plan stands. Raises RigError."""
    faked = sorted({name for fault in plan.faults if fault.behaviour for name in fault.upstreams})
    return [name for name in faked if _standing(plan.upstream(name), run_hash(plan.stack_id))]


def _standing(at: PlannedUpstream, run: str, method: str = "GET", path: str = "") -> set[tuple[int, int]]:
    """Ask one fake; what stands there afterwards, as (fault, window): nothing where nobody listens any more.

    Raises RigError, also where nobody listens to a fault that is to be put on.
    """
    connection = http.client.HTTPConnection(at.origin.host, at.origin.port, timeout=TIMEOUT_S)
    asked = f"{method} /-/faults{path} of the fake backend {at.name}"
    try:
        connection.request(method, f"/-/faults{path}", headers={CONTROL_HEADER: run})
        answer = connection.getresponse()
        body = answer.read()
    except ConnectionRefusedError as exc:
        if method != "PUT":
            return set()
        raise RigError(f"{asked}: connection refused", _FIX) from exc
    except (OSError, http.client.HTTPException) as exc:
        raise RigError(f"{asked} failed: {exc or type(exc).__name__}", _FIX) from exc
    finally:
        connection.close()
    if answer.status != 200:
        raise RigError(f"{asked} answered {answer.status}: {body[:200].decode('utf-8', 'replace')}", _FIX)
    try:
        return {(int(index), int(window)) for index, window in json.loads(body)["standing"]}
    except (ValueError, KeyError, TypeError) as exc:
        raise RigError(f"{asked} answered {body[:200]!r}, which no fake would", _FIX) from exc
