"""What each toxic type of Toxiproxy does: its attributes, how long it delays an answer, how it ends. Pure.

It is the only such table: faults compile to toxics, evidence adds up the delay of each call, the stack applies and
removes them. Attributes are Toxiproxy's own, in its units: ms, kB/s, bytes, and µs for the slicer's delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Attributes = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ToxicType:
    """`delay_ms(attributes, size)`: how long an answer of `size` bytes (a number, or an array of them) is delayed.

    Infinite: for as long as the toxic is active.
    """

    name: str
    attributes: tuple[str, ...]
    delay_ms: Callable[[Attributes, Any], Any]
    caller_delay_ms: Callable[[Attributes], float | None] = lambda _: None
    """How long a caller waits if that does not depend on the answer's size; None: it does, or the wait has no end."""
    keeps_back: bool = False
    """It buffers answers or parts of them. In Toxiproxy 2.12 its removal may never return if callers have disconnected
    meanwhile."""
    trickles: bool = False
    """It lets an answer pass piece by piece, so that a client may disconnect in its middle."""
    swallows: bool = False
    """No byte passes while it is active, but the backend's close does."""
    ends: bool = False
    """It closes the connection, at once or after its time."""
    is_delay: bool = False
    """It delays the whole answer by one known time."""
    by_size: bool = False
    """What it does to an answer depends on the answer's size."""
    needs_data: bool = True
    """A connection over which nothing is sent does not show it."""


def _zero(_attributes: Attributes, size: Any) -> Any:
    return size * 0.0


def _latency_ms(attributes: Attributes, size: Any) -> Any:
    return size * 0.0 + attributes.get("latency", 0)


def _bandwidth_ms(attributes: Attributes, size: Any) -> Any:
    """Toxiproxy's kB is 1000 bytes, so bytes ÷ (kB/s) is milliseconds."""
    return size / max(attributes.get("rate", 1), 1)


def _timeout_ms(attributes: Attributes, size: Any) -> Any:
    return size * 0.0 + (attributes.get("timeout", 0) or math.inf)


def _slicer_ms(attributes: Attributes, size: Any) -> Any:
    return size // max(attributes.get("average_size", 1), 1) * (attributes.get("delay", 0) / 1000)


TOXICS: Final = {
    toxic.name: toxic
    for toxic in (
        ToxicType(
            "latency",
            ("latency", "jitter"),
            _latency_ms,
            caller_delay_ms=lambda attributes: attributes.get("latency", 0),
            keeps_back=True,
            is_delay=True,
        ),
        ToxicType("bandwidth", ("rate",), _bandwidth_ms, keeps_back=True, trickles=True, by_size=True),
        ToxicType(
            "slow_close",
            ("delay",),
            _zero,  # the answer itself is there at once
            caller_delay_ms=lambda attributes: attributes.get("delay", 0),
            keeps_back=True,
            is_delay=True,
            needs_data=False,
        ),
        ToxicType(
            "timeout",
            ("timeout",),
            _timeout_ms,
            caller_delay_ms=lambda attributes: attributes.get("timeout", 0) or None,
            swallows=True,
            ends=True,
        ),
        ToxicType(
            "reset_peer",
            ("timeout",),
            _zero,
            caller_delay_ms=lambda attributes: attributes.get("timeout", 0),
            ends=True,
        ),
        ToxicType(
            "slicer",
            ("average_size", "size_variation", "delay"),
            _slicer_ms,
            keeps_back=True,
            trickles=True,
            by_size=True,
        ),
        ToxicType("limit_data", ("bytes",), _zero, caller_delay_ms=lambda _: 0.0, ends=True, by_size=True),
    )
}
