"""What each behaviour of a fake changes of a call. Pure.

A new one needs its model in `harness.rundir.planned.behaviours`, its function and its line in BEHAVIOURS. Which calls
are hit, and when, `fake_backends.active_faults` decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fake_backends.providers import Response
from harness.rundir.planned import behaviours as spec

_NEXT_VERSION: Final = Response.of_json(200, b'{"version":2,"payload":{"items":{"count":0,"pages":"none"}}}')


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


def _status(told: spec.Status) -> Behaviour:
    """An error instead of an answer, with Retry-After if the fault sets it."""
    answer = Response.of_error(told.status, f"injected: status {told.status}")
    if told.retry_after_s is not None:
        after = (b"retry-after", str(told.retry_after_s).encode())
        answer = Response(answer.status, (*answer.headers, after), answer.body)
    return Behaviour(change=lambda _healthy, _context: answer)


def _late(told: spec.Late) -> Behaviour:
    """Every answer is sent later, by a fixed time and a jitter around it."""
    return Behaviour(delay_ms=lambda _since_ms, uniform: told.latency_ms + told.jitter_ms * (2 * uniform - 1))


def _hang(_told: spec.Hang) -> Behaviour:
    """The call is accepted and never answered; not even a head is sent."""
    return Behaviour(delay_ms=lambda _since_ms, _uniform: math.inf)


def _ramp(told: spec.Ramp) -> Behaviour:
    """A delay that changes evenly from one value to another, then stays."""

    def delay_ms(since_ms: float, _uniform: float) -> float:
        done = min(1.0, since_ms / told.over_ms)
        return told.from_ms + (told.to_ms - told.from_ms) * done

    return Behaviour(delay_ms=delay_ms)


def _cold_start(told: spec.ColdStart) -> Behaviour:
    """A call that comes before the backend is up waits until it is."""
    return Behaviour(delay_ms=lambda since_ms, _uniform: max(0.0, told.up_after_ms - since_ms))


def _slow_spells(told: spec.SlowSpells) -> Behaviour:
    """Spells in which every answer is late. Their times are in the plan, so that they are the same in each run."""

    def delay_ms(since_ms: float, _uniform: float) -> float:
        return told.latency_ms if any(start <= since_ms < end for start, end in told.spells_ms) else 0.0

    return Behaviour(delay_ms=delay_ms)


def _malformed(healthy: Response, _context: CallContext) -> Response:
    """A body of the right length that no JSON parser accepts: its last brace is the wrong one."""
    if not healthy.body:
        return Response.of_json(200, b"]")
    wrong = b"}" if healthy.body.endswith(b"]") else b"]"
    return Response(healthy.status, healthy.headers, healthy.body[:-1] + wrong)


def _redirected(_healthy: Response, context: CallContext) -> Response:
    """A redirect to the same address that was asked, for as long as a client follows it."""
    return Response(302, ((b"location", context.target), (b"content-length", b"0")), b"")


BEHAVIOURS: Final[tuple[tuple[type[Any], Callable[[Any], Behaviour]], ...]] = (
    (spec.Status, _status),
    (spec.Late, _late),
    (spec.Hang, _hang),
    (spec.Ramp, _ramp),
    (spec.ColdStart, _cold_start),
    (spec.SlowSpells, _slow_spells),
    # only so many calls are worked on at once; the rest wait in a queue
    (spec.Capacity, lambda told: Behaviour(limit=told.limit)),
    # the head of the answer is sent at once, its body little by little
    (spec.Drip, lambda told: Behaviour(drip_ms=told.over_ms)),
    # less of the body than its head promised, then the connection is closed
    (spec.Truncate, lambda told: Behaviour(keep=told.keep)),
    (spec.Malformed, lambda _: Behaviour(change=_malformed)),
    # JSON that parses but means something else, as if the next version of an API came unannounced
    (spec.WrongSchema, lambda _: Behaviour(change=lambda _healthy, _context: _NEXT_VERSION)),
    # an answer of the right shape with nothing in it
    (spec.Empty, lambda _: Behaviour(change=lambda healthy, context: context.empty or healthy.emptied())),
    # the same offers in a body of many megabytes
    (spec.Huge, lambda told: Behaviour(pad_to=told.size_bytes)),
    (spec.RedirectLoop, lambda _: Behaviour(change=_redirected)),
)
"""A behaviour's number in a call's row is its position here, from 1, so new ones go to the end."""


def behaviour_of(planned: spec.Behaviour) -> tuple[int, Behaviour]:
    """The number of a behaviour, and what it does."""
    return next(
        (number, make(planned)) for number, (model, make) in enumerate(BEHAVIOURS, 1) if isinstance(planned, model)
    )
