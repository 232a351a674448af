"""What a fake backend is told to do to the requests that a fault hits: data, one model a kind.

A fault of a scenario compiles to one of these, plan.json holds it, and `fake_backends.behaviours` does
it. Delays come on top of the backend's own latency; times are milliseconds from the moment at which the
fault was applied. Nothing here acts.
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
    """Answer later by a delay that grows (or shrinks) linearly over `over_ms`, then stays."""

    kind: Literal["ramp"] = "ramp"
    from_ms: float
    to_ms: float
    over_ms: float


class ColdStart(_Behaviour):
    """Answer nobody until `up_after_ms`."""

    kind: Literal["cold_start"] = "cold_start"
    up_after_ms: float


class SlowSpells(_Behaviour):
    """Answer everybody later by `latency_ms` during spells (start, end), the same for all upstreams of the fault."""

    kind: Literal["slow_spells"] = "slow_spells"
    latency_ms: float
    spells_ms: tuple[tuple[float, float], ...]


class Capacity(_Behaviour):
    """Work on `limit` calls at once; more wait in a queue."""

    kind: Literal["capacity"] = "capacity"
    limit: int


class Drip(_Behaviour):
    """Send the head at once and the body evenly over `over_ms`."""

    kind: Literal["drip"] = "drip"
    over_ms: float


class Truncate(_Behaviour):
    """Promise the whole body, send `keep` of it (a share), close."""

    kind: Literal["truncate"] = "truncate"
    keep: float


class Malformed(_Behaviour):
    """A body of the right length that is no JSON."""

    kind: Literal["malformed"] = "malformed"


class WrongSchema(_Behaviour):
    """JSON of another shape than the client expects."""

    kind: Literal["wrong_schema"] = "wrong_schema"


class Empty(_Behaviour):
    """A correct answer without a single offer."""

    kind: Literal["empty"] = "empty"


class Huge(_Behaviour):
    """The same offers in a body of `size_bytes`."""

    kind: Literal["huge"] = "huge"
    size_bytes: int


class RedirectLoop(_Behaviour):
    """A redirect to the address that was asked."""

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
"""One of them, told apart by `kind`."""

ANSWERING = (Status, Truncate, Malformed, WrongSchema, Empty, Huge, RedirectLoop)
"""Those that decide what the answer is: one request meets one of them at most."""
