"""Every kind of fault, one per file. A new kind is a file and a line in FAULTS."""

from __future__ import annotations

from typing import Any, Final

from harness.faults.bandwidth import BandwidthFault
from harness.faults.blackhole import BlackholeFault
from harness.faults.capacity import CapacityFault
from harness.faults.cold_start import ColdStartFault
from harness.faults.down import DownFault
from harness.faults.drip import DripFault
from harness.faults.empty import EmptyFault
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
from harness.faults.hang import HangFault
from harness.faults.huge import HugeFault
from harness.faults.kill import KillFault
from harness.faults.latency import LatencyFault
from harness.faults.limit_data import LimitDataFault
from harness.faults.malformed import MalformedFault
from harness.faults.pause import PauseFault
from harness.faults.ramp import RampFault
from harness.faults.redirect_loop import RedirectLoopFault
from harness.faults.reset import ResetFault
from harness.faults.restart import RestartFault
from harness.faults.slicer import SlicerFault
from harness.faults.slow_close import SlowCloseFault
from harness.faults.slow_spells import SlowSpellsFault
from harness.faults.status import StatusFault
from harness.faults.toxic import ToxicFault
from harness.faults.truncate import TruncateFault
from harness.faults.wrong_schema import WrongSchemaFault
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
    "parse_fault",
    "targets_of",
]

FAULTS: Final[tuple[type[Fault], ...]] = (
    LatencyFault,
    BandwidthFault,
    HangFault,
    ResetFault,
    SlowCloseFault,
    SlicerFault,
    LimitDataFault,
    DownFault,
    BlackholeFault,
    ToxicFault,
    StatusFault,
    DripFault,
    TruncateFault,
    MalformedFault,
    WrongSchemaFault,
    EmptyFault,
    HugeFault,
    RedirectLoopFault,
    ColdStartFault,
    SlowSpellsFault,
    RampFault,
    CapacityFault,
    KillFault,
    PauseFault,
    RestartFault,
)


def parse_fault(raw: Any) -> Fault:
    """The fault of a mapping in a scenario, by the key that is its kind.

    Raises a refusal (`PydanticCustomError` with a fix) unless it has exactly one such key, and pydantic's
    ValidationError for fields that do not fit.
    """
    if isinstance(raw, Fault):
        return raw
    if not isinstance(raw, dict):
        raise refusal(f"expected a mapping, not {kind_of(raw)}", "such as {upstream: azure, latency: 60s, for: 90s}")
    kinds = [fault for fault in FAULTS if fault.KIND in raw]
    if len(kinds) > 1:
        raise refusal(
            f"`{kinds[0].KIND}` and `{kinds[1].KIND}` are two faults in one",
            "make each an entry of its own; with the same `at` they act together",
        )
    if not kinds:
        raise _no_kind(raw)
    return kinds[0].model_validate(raw)


def _no_kind(raw: dict[str, Any]) -> Exception:
    names = [fault.KIND for fault in FAULTS]
    common = set(Fault.spelled_keys())
    stray = [key for key in raw if key not in common]
    for key in stray:
        if closest(key, names):
            return refusal(f"`{key}` is no kind of fault", did_you_mean(key, names))
    problem = f"`{stray[0]}` is no kind of fault" if stray else "the fault does not say what it breaks"
    return refusal(problem, f"add one of {', '.join(names)}")
