"""What a fake backend does to the requests that a fault affects: data only, one model for each kind.

A fault of a scenario compiles to one of these, plan.json contains it, and `fake_backends.behaviours` implements it.
Delays are added to the backend's own latency. `up_after_ms`, `Ramp.over_ms` and `spells_ms` count from when the fault
was applied, `Drip.over_ms` from each answer's head.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Behaviour(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Status(_Behaviour):
    """Answer with this status; `retry_after_s` is the Retry-After header, in whole seconds."""

    kind: Literal["status"] = "status"
    status: int
    retry_after_s: int | None = None


class Late(_Behaviour):
    """Answer later by `latency_ms`, uniform within ± `jitter_ms`."""

    kind: Literal["late"] = "late"
    latency_ms: float
    jitter_ms: float = 0.0


class Hang(_Behaviour):
    """Take the request and never answer it."""

    kind: Literal["hang"] = "hang"


class Ramp(_Behaviour):
    """Answer later by a delay that changes linearly from `from_ms` to `to_ms` over `over_ms`, then stays."""

    kind: Literal["ramp"] = "ramp"
    from_ms: float
    to_ms: float
    over_ms: float


class ColdStart(_Behaviour):
    """Requests that arrive before `up_after_ms` wait until then."""

    kind: Literal["cold_start"] = "cold_start"
    up_after_ms: float


class SlowSpells(_Behaviour):
    """Answer requests that arrive during a spell later by `latency_ms`.

    `spells_ms`: (start, end) of each; all upstreams of the fault have the same.
    """

    kind: Literal["slow_spells"] = "slow_spells"
    latency_ms: float
    spells_ms: tuple[tuple[float, float], ...]


class Capacity(_Behaviour):
    """Work on `limit` requests at once; more wait in a queue, in order of arrival."""

    kind: Literal["capacity"] = "capacity"
    limit: int


class Drip(_Behaviour):
    """Send the head at once and the body evenly over `over_ms`."""

    kind: Literal["drip"] = "drip"
    over_ms: float


class Truncate(_Behaviour):
    """Announce the whole body in the head, send the share `keep` (0 to 1) of its bytes, and close the connection."""

    kind: Literal["truncate"] = "truncate"
    keep: float


class Malformed(_Behaviour):
    """Answer with a body of the right length that is not JSON: its last bracket is wrong."""

    kind: Literal["malformed"] = "malformed"


class WrongSchema(_Behaviour):
    """Answer 200 with JSON of another shape, as the next version of an API would."""

    kind: Literal["wrong_schema"] = "wrong_schema"


class Empty(_Behaviour):
    """Answer correctly, without a single offer."""

    kind: Literal["empty"] = "empty"


class Huge(_Behaviour):
    """Answer with the same offers in a body filled up to `size_bytes` at least."""

    kind: Literal["huge"] = "huge"
    size_bytes: int


class RedirectLoop(_Behaviour):
    """Answer 302 to the same path and query."""

    kind: Literal["redirect_loop"] = "redirect_loop"


Behaviour = Annotated[
    Status
    | Late
    | Hang
    | Ramp
    | ColdStart
    | SlowSpells
    | Capacity
    | Drip
    | Truncate
    | Malformed
    | WrongSchema
    | Empty
    | Huge
    | RedirectLoop,
    Field(discriminator="kind"),
]
"""Any of the behaviours, discriminated by `kind`."""

ANSWERING = (Status, Truncate, Malformed, WrongSchema, Empty, Huge, RedirectLoop)
"""The behaviours that replace the answer: at most one of them affects a request."""
