"""Every kind of fault, one a file. A new one is its file and its line in FAULTS."""

from __future__ import annotations

from typing import Any, Final

from harness.faults.bandwidth import Bandwidth
from harness.faults.capacity import Capacity
from harness.faults.cold_start import ColdStart
from harness.faults.down import Down
from harness.faults.drip import Drip
from harness.faults.empty import Empty
from harness.faults.fault import ALL, BUT, Circumstances, Effect, Fault, Unprovable
from harness.faults.hang import Hang
from harness.faults.huge import Huge
from harness.faults.latency import Latency
from harness.faults.limit_data import LimitData
from harness.faults.malformed import Malformed
from harness.faults.ramp import Ramp
from harness.faults.redirect_loop import RedirectLoop
from harness.faults.reset import Reset
from harness.faults.slicer import Slicer
from harness.faults.slow_close import SlowClose
from harness.faults.slow_spells import SlowSpells
from harness.faults.status import Status
from harness.faults.toxic import Toxic
from harness.faults.truncate import Truncate
from harness.faults.wrong_schema import WrongSchema
from harness.fields import did_you_mean, kind_of, refusal

__all__ = ["ALL", "BUT", "FAULTS", "Circumstances", "Effect", "Fault", "Unprovable", "parse_fault"]

FAULTS: Final[tuple[type[Fault], ...]] = (
    Latency,
    Bandwidth,
    Hang,
    Reset,
    SlowClose,
    Slicer,
    LimitData,
    Down,
    Toxic,
    Status,
    Drip,
    Truncate,
    Malformed,
    WrongSchema,
    Empty,
    Huge,
    RedirectLoop,
    ColdStart,
    SlowSpells,
    Ramp,
    Capacity,
)


def parse_fault(raw: Any) -> Fault:
    """A fault from its mapping, by the one kind that it names. Raises pydantic's errors with places and fixes."""
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
        hint = did_you_mean(key, names)
        if hint.startswith("did you mean"):
            return refusal(f"`{key}` is no kind of fault", hint)
    found = f"`{stray[0]}` is no kind of fault" if stray else "the fault does not say what it breaks"
    return refusal(found, f"add one of {', '.join(names)}")
