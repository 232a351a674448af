"""The faults that stand on one backend now: which of them a call meets. Knows no sockets and decides by draws alone.

Delays, drips and capacities are drawn one by one and add up. Of those that decide what the answer *is*
a call meets one at most: they share a single draw, each with a stretch as wide as its share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fake_backends.behaviours import Behaviour, behaviour_of
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.draws import Draws
from harness.rundir.behaviours import ANSWERING
from harness.rundir.plan import PlannedFault
from harness.rundir.rows import FAULT_BITS
from harness.units import NS_PER_MS

_CANARY_DRAW: Final = 0.5
"""What a canary has instead of a draw: the middle of a jitter."""


@dataclass(eq=False, slots=True)
class ActiveFault:
    """One window of one fault. `index` is the fault's in the plan; `lifted` is set when it is taken back."""

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
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> tuple[int, int]:
        return self.index, self.window

    @property
    def bit(self) -> int:
        return 1 << self.index if self.index < FAULT_BITS else 0

    def delay_ms(self, at_ns: int, seq: int, nth: int, *, canary: bool) -> float:
        """What it adds to a call that comes at `at_ns`."""
        if self.behaviour.delay_ms is None:
            return 0.0
        uniform = _CANARY_DRAW if canary else self.sizes.uniform(seq, nth)
        return self.behaviour.delay_ms((at_ns - self.since_ns) / NS_PER_MS, uniform)


class ActiveFaults:
    """Of one backend. A canary meets everything that stands, whatever its share, and the answers by turns."""

    def __init__(self, upstream: str, seed: int, clock_ns: Callable[[], int]) -> None:
        self._upstream = upstream
        self._seed = seed
        self._clock_ns = clock_ns
        self._standing: tuple[ActiveFault, ...] = ()
        self._answers = Draws(seed, "answers", upstream)
        self._canaries = 0

    def __bool__(self) -> bool:
        return bool(self._standing)

    @property
    def keys(self) -> list[tuple[int, int]]:
        """(fault, window) of each, in the plan's order."""
        return [standing.key for standing in self._standing]

    def apply(self, index: int, window: int, fault: PlannedFault) -> None:
        """From now on. Applying what stands already changes nothing. The fault has a behaviour."""
        assert fault.behaviour is not None
        if (index, window) in self.keys:
            return
        number, behaviour = behaviour_of(fault.behaviour)
        standing = ActiveFault(
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
        )
        self._standing = tuple(sorted((*self._standing, standing), key=lambda each: each.key))

    def lift(self, index: int, window: int) -> None:
        """Whoever is held by it is let go now. Lifting what does not stand changes nothing."""
        for standing in self._standing:
            if standing.key == (index, window):
                standing.lifted.set()
                if standing.slots:
                    standing.slots.open()
        self._standing = tuple(each for each in self._standing if each.key != (index, window))

    def met_by(self, seq: int, nth: int) -> tuple[ActiveFault, ...]:
        """What the nth call of request `seq` meets."""
        met = [s for s in self._standing if not s.answering and (s.share >= 1 or s.hits.uniform(seq, nth) < s.share)]
        answering = [standing for standing in self._standing if standing.answering]
        left = self._answers.uniform(seq, nth) if answering else 1.0
        for standing in answering:
            if left < standing.share:
                met.append(standing)
                break
            left -= standing.share
        return tuple(met)

    def met_by_canary(self) -> tuple[ActiveFault, ...]:
        met = [s for s in self._standing if not s.answering and s.slots is None]
        answering = [standing for standing in self._standing if standing.answering]
        if answering:
            self._canaries += 1
            met.append(answering[self._canaries % len(answering)])
        return tuple(met)
