"""canary.ndjson: canaries through the listeners of broken upstreams, and the service's connections to those listeners.

The supervisor is the only writer (`canary`, `connections` and `refusals` in `harness.stack.monitor`); the judge reads.
This module has the lines' shapes and the one rule by which canaries prove a fault. It is pure, so that a verdict can be
reached from the file alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from harness.model.frozen import Frozen
from harness.rundir.ndjson import read_ndjson
from harness.rundir.planned.fault import Proof
from harness.units import NS_PER_MS

Looks = Literal["offers", "no_offers", "no_json"]

TOLERANCE: Final = 0.9
"""A canary must be held for this part of the fault's delay; less than all, since its normal latency varies."""


class Canary(Frozen):
    """One request on a new connection: from before its connect (`sent_ns`) to end of file, failure or our close.

    `ok`: a whole answer, however late. `held`: no end by the deadline, closed by us at `done_ns`.
    `failed`: refused, reset, cut short, or not answered 2xx; `detail` says which.
    """

    kind: Literal["canary"] = "canary"
    upstream: str
    sent_ns: int
    done_ns: int
    outcome: Literal["ok", "held", "failed"]
    bytes: int
    first_ns: int = 0
    """When the first byte of the answer was there; 0: none came, or the run is older than this field."""
    status: int = 0
    looks: Looks | None = None
    """What the body contains; None: it is too large to be parsed, or incomplete."""
    detail: str = ""
    sent_bytes: int = 0
    """What it sent; 0 as well in runs that are older than this field."""

    @property
    def elapsed_ms(self) -> float:
        return (self.done_ns - self.sent_ns) / NS_PER_MS


class Freed(Frozen):
    """After a removal: the first canary that the fault no longer affects. One per window and upstream."""

    kind: Literal["freed"] = "freed"
    fault: str
    window: int
    upstream: str
    t_ns: int
    elapsed_ms: float


class Connections(Frozen):
    """Established connections on the listener that are neither canaries' nor Toxiproxy's own.

    `count` is None if the system does not provide it; `detail` is then the reason. `new` of the service's connections
    were opened between `since_ns`, the time of the previous reading, and `t_ns`; `since_ns` is None at the first
    reading, and in runs of versions without that count.
    """

    kind: Literal["connections"] = "connections"
    upstream: str
    t_ns: int
    count: int | None
    detail: str = ""
    since_ns: int | None = None
    new: int = 0
    received_bytes: int | None = None
    """What the service sent over its connections since `since_ns`. None at the first reading, where the system does not
    tell, and of an upstream whose calls are recorded."""


class Refused(Frozen):
    """The service tried to connect to a listener that a fault keeps closed.

    Only the first attempt in a window is recorded. If `unseen` is not empty, no attempt was recorded, and it says why
    none could be observed.
    """

    kind: Literal["refused"] = "refused"
    upstream: str
    t_ns: int
    unseen: str = ""


class Traffic(Frozen):
    """What Toxiproxy says it has received from clients of the upstream's proxy since it started, canaries included."""

    kind: Literal["traffic"] = "traffic"
    upstream: str
    t_ns: int
    received_bytes: int


CanaryLine = Annotated[Canary | Freed | Connections | Refused | Traffic, Field(discriminator="kind")]
CANARY_LINE: TypeAdapter[CanaryLine] = TypeAdapter(CanaryLine)


def read_canaries(path: Path) -> Iterator[CanaryLine]:
    """Every whole line; none without a file. Skips a last line that is cut short; other damage raises ValueError."""
    return read_ndjson(path, CANARY_LINE.validate_json, "a canary line")


def baseline_ms(canaries: Iterable[Canary]) -> float | None:
    """The lower median (ms) of the times of whole answers, from canaries without a fault. None: there was no answer."""
    return _lower_median([canary.elapsed_ms for canary in canaries if canary.outcome == "ok"])


def shows(canary: Canary, proof: Proof, base_ms: float) -> bool:
    """Whether this one canary shows the fault, by the fault's kind of proof."""
    if proof.kind in ("called", "process"):
        return False
    if proof.kind == "failed":
        return canary.outcome == "failed"
    if proof.kind == "answered":
        return (
            (proof.status is None or canary.status == proof.status)
            and (proof.looks is None or canary.looks == proof.looks)
            and (proof.least_bytes is None or canary.bytes >= proof.least_bytes)
        )
    return canary.elapsed_ms >= base_ms + TOLERANCE * proof.least_ms


def proves(canaries: Sequence[Canary], proof: Proof, *, share: float, base_ms: float | None) -> bool:
    """Whether canaries sent and done within one window prove the fault.

    `share` is a share of connections; a fault done by a fake affects every canary. Below 100 % one canary is enough.
    With 100 % every connection is affected, so at least half of the canaries, and two, must have been held: one slow
    canary may be due to a busy machine. For an intermittent (`passing`) fault two are enough. A failure or a wrong
    answer is not due to chance, so one is enough. Nothing is proven without a whole answer to a canary before the
    fault.
    """
    if base_ms is None:
        return False
    if proof.kind != "held" or share < 1:
        return any(shows(canary, proof, base_ms) for canary in canaries)
    # a canary that failed early was affected by another fault too, so how long it would have been held is unknown
    telling = [c for c in canaries if c.outcome != "failed" or shows(c, proof, base_ms)]
    held = sum(shows(canary, proof, base_ms) for canary in telling)
    return held >= 2 and (proof.passing or 2 * held >= len(telling))


def is_free(canary: Canary, proof: Proof, base_ms: float) -> bool:
    """Whether a canary sent after the removal shows that the fault is no longer active."""
    return canary.outcome == "ok" and (
        proof.kind in ("failed", "called", "process") or not shows(canary, proof, base_ms)
    )


def spell_proof(proof: Proof) -> str:
    """The answer that proves the fault, for people: `status 503`. Empty if it is proven by a time or a failure."""
    looks = {"no_json": "bodies that are no JSON", "no_offers": "answers without an offer", "offers": "offers"}
    match proof.kind:
        case "answered" if proof.looks:
            return looks[proof.looks]
        case "answered" if proof.least_bytes:
            return f"bodies of {proof.least_bytes / 1e6:.3g} MB and more"
        case "answered":
            return f"status {proof.status}"
        case _:
            return ""


def _lower_median(values: list[float]) -> float | None:
    return sorted(values)[(len(values) - 1) // 2] if values else None
