"""Every behaviour of the fakes, one per file.

A new one needs its file, its model in `harness.rundir.planned.behaviours` and its line here. A behaviour's number in a
call's row is its position here, from 1, so new ones go to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fake_backends.behaviours.behaviour import Behaviour, CallContext
from fake_backends.behaviours.capacity import capacity
from fake_backends.behaviours.cold_start import cold_start
from fake_backends.behaviours.drip import drip
from fake_backends.behaviours.empty import empty
from fake_backends.behaviours.hang import hang
from fake_backends.behaviours.huge import huge
from fake_backends.behaviours.late import late
from fake_backends.behaviours.malformed import malformed
from fake_backends.behaviours.ramp import ramp
from fake_backends.behaviours.redirect_loop import redirect_loop
from fake_backends.behaviours.slow_spells import slow_spells
from fake_backends.behaviours.status import status
from fake_backends.behaviours.truncate import truncate
from fake_backends.behaviours.wrong_schema import wrong_schema
from harness.rundir.planned import behaviours as spec

__all__ = ["BEHAVIOURS", "Behaviour", "CallContext", "behaviour_of"]

BEHAVIOURS: Final[tuple[tuple[type[Any], Callable[[Any], Behaviour]], ...]] = (
    (spec.Status, status),
    (spec.Late, late),
    (spec.Hang, hang),
    (spec.Ramp, ramp),
    (spec.ColdStart, cold_start),
    (spec.SlowSpells, slow_spells),
    (spec.Capacity, capacity),
    (spec.Drip, drip),
    (spec.Truncate, truncate),
    (spec.Malformed, malformed),
    (spec.WrongSchema, wrong_schema),
    (spec.Empty, empty),
    (spec.Huge, huge),
    (spec.RedirectLoop, redirect_loop),
)


def behaviour_of(planned: spec.Behaviour) -> tuple[int, Behaviour]:
    """The number of a behaviour, and what it does."""
    return next(
        (number, make(planned)) for number, (model, make) in enumerate(BEHAVIOURS, 1) if isinstance(planned, model)
    )
