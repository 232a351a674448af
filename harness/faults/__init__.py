"""Every kind of fault, one per file. A new kind is a file and a line in FAULTS."""

from __future__ import annotations

from typing import Any, Final

from harness.faults.fault import (
    ALL,
    BUT,
    Effect,
    Fault,
    FaultContext,
    UnobservableFault,
    default_name,
    hit_by,
    targets_of,
)
from harness.model.registry import Registry
from harness.model.value_types import closest, did_you_mean, kind_of, refusal

__all__ = [
    "ALL",
    "BUT",
    "FAULTS",
    "Effect",
    "Fault",
    "FaultContext",
    "UnobservableFault",
    "default_name",
    "hit_by",
    "kinds_in",
    "parse_fault",
    "targets_of",
]

FAULTS: Final[Registry[type[Fault]]] = Registry(
    {
        "latency": "harness.faults.latency:LatencyFault",
        "bandwidth": "harness.faults.bandwidth:BandwidthFault",
        "hang": "harness.faults.hang:HangFault",
        "reset": "harness.faults.reset:ResetFault",
        "slow_close": "harness.faults.slow_close:SlowCloseFault",
        "slicer": "harness.faults.slicer:SlicerFault",
        "limit_data": "harness.faults.limit_data:LimitDataFault",
        "down": "harness.faults.down:DownFault",
        "blackhole": "harness.faults.blackhole:BlackholeFault",
        "toxic": "harness.faults.toxic:ToxicFault",
        "status": "harness.faults.status:StatusFault",
        "drip": "harness.faults.drip:DripFault",
        "truncate": "harness.faults.truncate:TruncateFault",
        "malformed": "harness.faults.malformed:MalformedFault",
        "wrong_schema": "harness.faults.wrong_schema:WrongSchemaFault",
        "empty": "harness.faults.empty:EmptyFault",
        "huge": "harness.faults.huge:HugeFault",
        "redirect_loop": "harness.faults.redirect_loop:RedirectLoopFault",
        "cold_start": "harness.faults.cold_start:ColdStartFault",
        "slow_spells": "harness.faults.slow_spells:SlowSpellsFault",
        "ramp": "harness.faults.ramp:RampFault",
        "capacity": "harness.faults.capacity:CapacityFault",
        "kill": "harness.faults.kill:KillFault",
        "pause": "harness.faults.pause:PauseFault",
        "restart": "harness.faults.restart:RestartFault",
    }
)
"""By the key of a mapping that makes it this kind."""


def parse_fault(raw: Any) -> Fault:
    """The fault of a mapping in a scenario, by the key that is its kind.

    Raises a refusal (`PydanticCustomError` with a fix) unless it has exactly one such key, and pydantic's
    ValidationError for fields that do not fit.
    """
    if isinstance(raw, Fault):
        return raw
    if not isinstance(raw, dict):
        raise refusal(f"expected a mapping, not {kind_of(raw)}", "such as {upstream: azure, latency: 60s, for: 90s}")
    kinds = kinds_in(raw)
    if len(kinds) > 1:
        raise refusal(
            f"`{kinds[0]}` and `{kinds[1]}` are two faults in one",
            "make each an entry of its own; with the same `at` they act together",
        )
    if not kinds:
        raise _no_kind(raw)
    return FAULTS[kinds[0]].model_validate(raw)


def kinds_in(raw: dict[str, Any]) -> list[str]:
    """The keys of a mapping that are kinds of faults. A sound fault has exactly one."""
    return [kind for kind in FAULTS if kind in raw]


def _no_kind(raw: dict[str, Any]) -> Exception:
    common = set(Fault.spelled_keys())
    stray = [key for key in raw if key not in common]
    for key in stray:
        if closest(key, FAULTS):
            return refusal(f"`{key}` is no kind of fault", did_you_mean(key, FAULTS))
    problem = f"`{stray[0]}` is no kind of fault" if stray else "the fault does not say what it breaks"
    return refusal(problem, f"add one of {', '.join(FAULTS)}")
