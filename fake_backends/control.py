"""How the supervisor applies faults to a backend and lifts them: `/-/faults`, on the backend's own port.

    GET    /-/faults            {"standing": [[fault, window], …]}: the active faults
    PUT    /-/faults/2/0        window 0 of the plan's fault 2 is active from now on; answers as GET does
    DELETE /-/faults/2/0        it is lifted, and the calls that it held are released; answers as GET does

Each request needs the run's hash in `x-tailgate-control`. Without it these paths are like any other, so a service that
happens to ask for them reaches its backend and not the harness.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import orjson

from fake_backends.active_faults import ActiveFaults
from fake_backends.providers import Response
from harness.rundir.planned.fault import PlannedFault

PATH: Final = "/-/faults"
_WINDOW: Final = re.compile(rf"{PATH}/(\d{{1,3}})/(\d{{1,6}})")


def control(active: ActiveFaults, upstream: str, faults: Sequence[PlannedFault], method: str, path: str) -> Response:
    """Do what one backend is asked to do, and answer with the faults that are active then."""
    if method != "GET" or path != PATH:
        match = _WINDOW.fullmatch(path)
        if not match or method not in ("PUT", "DELETE"):
            return Response.of_error(404, f"{PATH} has GET, and PUT and DELETE for /FAULT/WINDOW")
        index, window = int(match[1]), int(match[2])
        fault = faults[index] if index < len(faults) else None
        if fault is None or fault.behaviour is None or upstream not in fault.upstreams or window >= len(fault.windows):
            return Response.of_error(404, f"the plan has no fault {index} of {upstream} with a window {window}")
        if method == "PUT":
            active.apply(index, window, fault)
        else:
            active.lift(index, window)
    return Response.of_json(200, orjson.dumps({"standing": active.keys}))
