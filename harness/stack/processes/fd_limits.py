"""How many files each process of a run may have open at once; refuses a plan that needs more than the system allows.

The count assumes a service without any deadline, which keeps its connections open while backends hang under a fault: a
run has to survive that. The harness's own children get the hard limit. The service keeps the limit that it inherits,
because that limit is part of what is tested; its files are not counted here.
"""

from __future__ import annotations

import math
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.units import format_count

if TYPE_CHECKING:
    from harness.rundir.manifest import HarnessFault

SPARE: Final = 64
"""Files for logs, pipes, an event loop and libraries."""
CANARIES: Final = 8
"""The most canaries that are open at one upstream at once."""
ALMOST: Final = 0.98
"""The share of the limit from which a process is soon unable to accept connections."""


@dataclass(frozen=True, slots=True)
class FdDemand:
    """The files that a process may have open. `raised`: its limit is the hard limit, not the soft one."""

    who: str
    files: int
    raised: bool = True


def fd_demands(plan: Plan) -> tuple[FdDemand, ...]:
    """One demand for each kind of process that the plan starts, without the service."""
    in_flight = plan.load.max_in_flight
    held = sum(math.ceil(in_flight * _share_held(plan, upstream.name)) for upstream in plan.upstreams)
    canaries = CANARIES * len(plan.upstreams)
    ports = 2 * len(plan.upstreams) + 3
    return (
        FdDemand("tailgate and its supervisor", ports + canaries + SPARE, raised=False),
        FdDemand("a Locust worker", math.ceil(in_flight / plan.load.workers) + SPARE),
        *([FdDemand("the gateway", 2 * in_flight + SPARE)] if plan.gateway.kind == "nginx" else []),
        *([FdDemand("Toxiproxy", 2 * (held + canaries) + SPARE)] if plan.upstreams else []),
        *([FdDemand("the fake backends", held + canaries + SPARE)] if plan.upstreams else []),
    )


def _share_held(plan: Plan, upstream: str) -> float:
    """The share of the requests in flight that the faults of this upstream can hold at once."""
    longest_ms = max((fault.held_ms for fault in plan.faults if upstream in fault.upstreams), default=0.0)
    return min(1.0, longest_ms / plan.load.client_cap_ms)


def fit_slots(plan: Plan, limits: tuple[int, int] | None = None) -> Plan:
    """The plan with as many of its slots as the hard limit allows; unchanged if all fit, or if not even one does.

    Only for a number of slots that tailgate chose. A number that the user wrote is refused if it does not fit.
    `limits`: the soft and the hard limit; default: the system's.
    """
    _, hard = limits or resource.getrlimit(resource.RLIMIT_NOFILE)
    if plan.load.model == "closed" or hard == resource.RLIM_INFINITY or _fits(plan, hard):
        return plan
    low, high = 0, plan.load.max_in_flight
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(_with_slots(plan, middle), hard) else (low, middle)
    return _with_slots(plan, low) if low else plan


def slots_note(plan: Plan) -> str | None:
    """The note for the user before a run with fewer slots than it may need; None if none were cut."""
    if not plan.load.slots_cut:
        return None
    return (
        f"note: the open-file limit allows {format_count(plan.load.max_in_flight)} requests in flight, fewer than a "
        "service that holds everything may need; where arrivals find no slot and a gate rests on them, the run is a "
        "rig failure"
    )


def _fits(plan: Plan, hard: int) -> bool:
    return all(need.files <= hard for need in fd_demands(plan) if need.raised)


def _with_slots(plan: Plan, slots: int) -> Plan:
    load = plan.load.model_copy(update={"max_in_flight": slots, "slots_cut": True})
    return plan.model_copy(update={"load": load})


def refuse_too_many(plan: Plan, limits: tuple[int, int] | None = None) -> None:
    """Raises UsageError, with the number needed, if the plan needs more files than `limits` allow.

    `limits`: the soft and the hard limit; default: the system's.
    """
    soft, hard = limits or resource.getrlimit(resource.RLIMIT_NOFILE)
    for raised, limit, flag in ((False, soft, "-n"), (True, hard, "-Hn")):
        most = max((need for need in fd_demands(plan) if need.raised == raised), key=lambda need: need.files)
        if limit == resource.RLIM_INFINITY or most.files <= limit:
            continue
        other = ", or lower the rate, `gateway.timeout` or `load.max_in_flight`" if raised else ""
        raise UsageError(
            f"{most.who} may need {format_count(most.files)} open files, and the system allows {format_count(limit)}",
            f"ulimit {flag} {most.files} (as root beyond the hard limit){other}",
        )


def almost_full(files: int | None) -> bool:
    """Whether a child that has the hard limit is about to reach it with this many open files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return files is not None and hard != resource.RLIM_INFINITY and files >= ALMOST * hard


def full(child: str, files: int) -> HarnessFault:
    """The fault to report of a child that has reached its limit."""
    from harness.rundir.manifest import (  # not at the top: `validate` counts files and needs no manifest
        HarnessFault,
        part_of,
    )

    return HarnessFault(
        check="workers",
        message=f"{child} has {format_count(files)} open files, all that the system allows: it can take no connection",
        fix="raise the hard limit of open files (ulimit -Hn, as root), or lower the rate",
        part=part_of(child),
    )
