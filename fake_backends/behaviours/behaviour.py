"""What a behaviour is: the parts of a call that it touches. Pure.

Which calls are hit, and when, `fake_backends.active_faults` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fake_backends.providers import Response


@dataclass(frozen=True, slots=True)
class CallContext:
    """The call that is answered. `target` is its path and query, as a redirect spells them.

    `empty` is the provider's right answer with nothing in it.
    """

    target: bytes
    empty: Response


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is left at its default is left alone.

    `delay_ms(since_ms, uniform)`: how much later the answer leaves, by the time since the fault was
    applied and a draw in (0, 1); infinite: never. `limit`: calls worked on at once. `drip_ms`: how long
    the body takes. `keep`: how much of it is sent before the connection closes. `pad_to`: its least size
    in bytes, filled up with blanks, which JSON allows.
    """

    delay_ms: Callable[[float, float], float] | None = None
    change: Callable[[Response, CallContext], Response] | None = None
    limit: int | None = None
    drip_ms: float = 0.0
    keep: float = 1.0
    pad_to: int = 0
