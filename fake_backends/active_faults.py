"""The faults that are active on one backend, and which of them a call meets. It knows no sockets; only draws decide.

Delays, drips and capacities are drawn one by one and add up. Of the faults that decide what the answer *is*, a call
meets at most one: they share a single draw, in which each has an interval as wide as its share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fake_backends.behaviours import Behaviour, behaviour_of
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.draws import Draws
from fake_backends.routing.fault_route import AskedRoute, RouteTest, route_test
from harness.rundir.planned.behaviours import ANSWERING
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.rows import FAULT_BITS, LOGIN_SEQ
from harness.units import NS_PER_MS

_CANARY_DRAW: Final = 0.5
"""A canary has this instead of a draw: the middle of a jitter."""


@dataclass(eq=False, slots=True)
class ActiveFault:
    """One window of one fault. `index` is the fault's index in the plan; `lifted` is set when the window ends."""

    index: int
    window: int
    share: float
    number: int
    behaviour: Behaviour
    answering: bool
    since_ns: int
    hits: Draws
    sizes: Draws
    slots: ConcurrencyLimit | None = None
    is_for: RouteTest | None = None
    """Whether a call is one that it may hit; None: every call is."""
    left: int | None = None
    """How many calls it may still hit; None: there is no limit."""
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> tuple[int, int]:
        return self.index, self.window

    @property
    def bit(self) -> int:
        """The fault's bit in a row's `faults`; 0 if the plan has more faults than bits."""
        return 1 << self.index if self.index < FAULT_BITS else 0

    def takes_another(self, seq: int) -> bool:
        """Whether it may hit one more call, of request `seq`. The call is counted, unless a login makes it."""
        if self.left is None:
            return True
        if not self.left:
            return False
        if seq != LOGIN_SEQ:
            self.left -= 1
        return True

    def delay_ms(self, at_ns: int, seq: int, nth: int, *, canary: bool) -> float:
        """The delay in ms that it adds to a call that comes at `at_ns`; infinite: until it is lifted."""
        if self.behaviour.delay_ms is None:
            return 0.0
        uniform = _CANARY_DRAW if canary else self.sizes.uniform(seq, nth)
        return self.behaviour.delay_ms((at_ns - self.since_ns) / NS_PER_MS, uniform)


class ActiveFaults:
    """The active faults of one backend. A canary meets all of them but capacities, whatever their share, and of the
    answering ones one at a time, in turn."""

    def __init__(self, upstream: str, seed: int, clock_ns: Callable[[], int], route_names: Sequence[str] = ()) -> None:
        """`route_names`: of a fake with routes, by their number; a fault's route is the name of one then."""
        self._upstream = upstream
        self._seed = seed
        self._clock_ns = clock_ns
        self._active: tuple[ActiveFault, ...] = ()
        self._answers = Draws(seed, "answers", upstream)
        self._canaries = 0
        self._route_names = tuple(route_names)

    @property
    def choose_routes(self) -> bool:
        """Whether any of them hits calls for some routes only."""
        return any(active.is_for is not None for active in self._active)

    def __bool__(self) -> bool:
        return bool(self._active)

    @property
    def keys(self) -> list[tuple[int, int]]:
        """(fault, window) of each, in the plan's order."""
        return [active.key for active in self._active]

    def apply(self, index: int, window: int, fault: PlannedFault) -> None:
        """Make a window active from now on. If it is active already, nothing changes. The fault must have a
        behaviour."""
        assert fault.behaviour is not None
        if (index, window) in self.keys:
            return
        number, behaviour = behaviour_of(fault.behaviour)
        active = ActiveFault(
            index=index,
            window=window,
            share=fault.share,
            number=number,
            behaviour=behaviour,
            answering=isinstance(fault.behaviour, ANSWERING),
            since_ns=self._clock_ns(),
            hits=Draws(self._seed, f"fault/{fault.name}", self._upstream),
            sizes=Draws(self._seed, f"fault/{fault.name}/size", self._upstream),
            slots=ConcurrencyLimit(behaviour.limit) if behaviour.limit is not None else None,
            is_for=route_test(fault.route, self._route_names) if fault.route is not None else None,
            left=fault.first,
        )
        self._active = tuple(sorted((*self._active, active), key=lambda each: each.key))

    def lift(self, index: int, window: int) -> None:
        """End a window: the calls that it holds are released now. If it is not active, nothing changes."""
        for active in self._active:
            if active.key == (index, window):
                active.lifted.set()
                if active.slots:
                    active.slots.open()
        self._active = tuple(each for each in self._active if each.key != (index, window))

    def met_by(self, seq: int, nth: int, asked: AskedRoute | None = None) -> tuple[ActiveFault, ...]:
        """The faults that the nth call of request `seq` meets. `asked`: what it asks for, which is needed if
        `choose_routes`."""
        active = [each for each in self._active if each.is_for is None or (asked is not None and each.is_for(asked))]
        met = [
            each
            for each in active
            if not each.answering
            and (each.share >= 1 or each.hits.uniform(seq, nth) < each.share)
            and each.takes_another(seq)
        ]
        answering = [each for each in active if each.answering]
        left = self._answers.uniform(seq, nth) if answering else 1.0
        for each in answering:
            if left < each.share:
                if each.takes_another(seq):
                    met.append(each)
                break
            left -= each.share
        return tuple(met)

    def met_by_canary(self) -> tuple[ActiveFault, ...]:
        """The faults that the next canary meets."""
        met = [s for s in self._active if not s.answering and s.slots is None]
        answering = [active for active in self._active if active.answering]
        if answering:
            self._canaries += 1
            met.append(answering[self._canaries % len(answering)])
        return tuple(met)
