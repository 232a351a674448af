"""What a behaviour is: the parts of a call that it changes. Pure.

`fake_backends.active_faults` decides which calls are hit, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fake_backends.providers import Response


@dataclass(frozen=True, slots=True)
class CallContext:
    """The call that is answered. `target` is its path and query, as a redirect writes them.

    `empty` is the provider's right answer with nothing in it; None: it is made from the healthy answer.
    """

    target: bytes
    empty: Response | None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What has its default value is not changed.

    `delay_ms(since_ms, uniform)`: how much later the answer is sent, by the time since the fault was applied and a draw
    in (0, 1); infinite: never. `limit`: calls that are worked on at once. `drip_ms`: how long the body takes. `keep`:
    the share of the body that is sent before the connection closes. `pad_to`: the least size of the body in bytes; it
    is filled up with spaces, which JSON allows.
    """

    delay_ms: Callable[[float, float], float] | None = None
    change: Callable[[Response, CallContext], Response] | None = None
    limit: int | None = None
    drip_ms: float = 0.0
    keep: float = 1.0
    pad_to: int = 0
