"""canary.ndjson: what fresh connections saw through each faulted listener, and who else came to it.

The supervisor is the only writer (`canary`, `connections` and `refusals` in `harness.stack.monitor`); the
judge reads.
Here are the lines' shapes and the one rule by which canaries prove a fault, pure, so that a verdict
can be checked from the file. Nothing here opens a socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from harness.rundir.ndjson import read_ndjson
from harness.rundir.plan import Frozen, Proof
from harness.units import NS_PER_MS

Looks = Literal["offers", "no_offers", "no_json"]

TOLERANCE: Final = 0.9
"""A canary need be held by this part of what the fault promises: its own service time wavers."""


class Canary(Frozen):
    """One fresh connection: from before its connect (`sent_ns`) to its end of file, failure or our close.

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
    """What the body is; None: too large to be looked into, or not whole."""
    detail: str = ""

    @property
    def elapsed_ms(self) -> float:
        return (self.done_ns - self.sent_ns) / NS_PER_MS


class Freed(Frozen):
    """After a removal: the first canary that was free of the fault again. One a window and upstream."""

    kind: Literal["freed"] = "freed"
    fault: str
    window: int
    upstream: str
    t_ns: int
    elapsed_ms: float


class Connections(Frozen):
    """Established connections on the listener that are neither canaries' nor Toxiproxy's own.

    `count` is None where the system would not say; `detail` then has its reason. `new` of the service's connections
    were made between `since_ns`, the look before, and `t_ns`; `since_ns` is None at the first look, and in runs that
    were recorded before there was such a count.
    """

    kind: Literal["connections"] = "connections"
    upstream: str
    t_ns: int
    count: int | None
    detail: str = ""
    since_ns: int | None = None
    new: int = 0


class Refused(Frozen):
    """The service tried to connect to a listener that a fault keeps shut.

    Only the first attempt of a window is seen. `unseen` says why nobody could watch for it; then there was none.
    """

    kind: Literal["refused"] = "refused"
    upstream: str
    t_ns: int
    unseen: str = ""


CanaryLine = Annotated[Canary | Freed | Connections | Refused, Field(discriminator="kind")]
CANARY_LINE: TypeAdapter[CanaryLine] = TypeAdapter(CanaryLine)


def read_canaries(path: Path) -> Iterator[CanaryLine]:
    """Every whole line. A last line cut short is passed over; other damage raises ValueError; no file, no lines."""
    return read_ndjson(path, CANARY_LINE.validate_json, "a canary line")


def baseline_ms(canaries: Iterable[Canary]) -> float | None:
    """The lower median of whole answers; pass only canaries that no fault touched. None: there was none."""
    return _lower_median([canary.elapsed_ms for canary in canaries if canary.outcome == "ok"])


def shows(canary: Canary, proof: Proof, base_ms: float) -> bool:
    """Whether this one canary saw the fault, by its kind of proof."""
    if proof.kind == "called":
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

    `share` is of the connections; a canary meets whatever stands at a fake. Below 100 % any canary will
    do. With 100 % every connection is hit, so at least half of them, and two, must have been held: one
    slow canary on a busy machine is no proof. Of what is `passing` two will do. A failure or a wrong
    answer is no accident, so one will do. Without a canary that was well before nothing is proven.
    """
    if base_ms is None:
        return False
    if proof.kind != "held" or share < 1:
        return any(shows(canary, proof, base_ms) for canary in canaries)
    # one that failed early was under some other fault too and cannot tell how long it would have been held
    telling = [c for c in canaries if c.outcome != "failed" or shows(c, proof, base_ms)]
    held = sum(shows(canary, proof, base_ms) for canary in telling)
    return held >= 2 and (proof.passing or 2 * held >= len(telling))


def is_free(canary: Canary, proof: Proof, base_ms: float) -> bool:
    """Whether a canary sent after the removal saw a backend that the fault has left."""
    return canary.outcome == "ok" and (proof.kind in ("failed", "called") or not shows(canary, proof, base_ms))


def spell_proof(proof: Proof) -> str:
    """What a canary meets of it, for people: `status 503`. Empty where it is told by a time or a failure."""
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
