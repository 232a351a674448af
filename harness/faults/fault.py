"""What every fault is: the fields all kinds share, and what a kind compiles to.

A kind is one file with one `Fault` subclass and one line in `harness.faults.FAULTS`. Compiling is
pure; it refuses (`UnobservableFault`) what no canary could see, since an unproven fault makes a run worthless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.strict_model import StrictModel
from harness.model.value_types import NAME_PATTERN, Duration, LongerDuration, Name, Share, kind_of, refusal, written
from harness.rundir.behaviours import Behaviour
from harness.rundir.plan import PlannedToxic, Proof

CANARY_WAIT_MS: Final = 2000.0
"""No canary need be held longer than this to have seen a fault."""
LEAST_SEEN_MS: Final = 20.0
"""A shorter delay drowns in a busy machine's own."""
ALL: Final = "all"
SHARE_LEAST: Final = 1e-6
BUT: Final = "-"
"""Before the name of an upstream that `all but` spares; no name begins so."""
_AND: Final = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+")
_ALL_BUT: Final = re.compile(rf"all\s+but\s+([a-z][a-z0-9-]*(?:(?:{_AND.pattern})[a-z][a-z0-9-]*)*)\s*")


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault meets. `hold_ms`: how long a caller waits at most, the gateway's timeout or the client cap.

    `answer_bytes` is what the shortest canary answer of its upstreams surely holds and `answer_bytes_most`
    what no answer exceeds, `request_bytes` what a canary's request holds. `fakes`: all of them are ours.
    """

    hold_ms: float
    answer_bytes: int
    request_bytes: int = 100
    answer_bytes_most: int = 0
    fakes: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """A fault in Toxiproxy's terms, or in the fakes'. `held_ms` is H of the contract.

    `delay_ms` is the single known delay that Toxiproxy adds: what a fake does stands in its own records.
    """

    held_ms: float
    proof: Proof
    toxics: tuple[PlannedToxic, ...] = ()
    disables_proxy: bool = False
    behaviour: Behaviour | None = None
    delay_ms: float | None = None


class UnobservableFault(Exception):
    """No canary could tell this fault from a healthy upstream."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def targets_of(value: Any) -> tuple[str, ...]:
    """The upstreams that a fault's `upstream` spells. Raises a refusal for what spells none."""
    if isinstance(value, str) and (match := _ALL_BUT.fullmatch(value)):
        spared = tuple(re.split(_AND, match[1]))
        return (ALL, *(f"{BUT}{name}" for name in spared))
    names = value if isinstance(value, tuple) else (value,)
    if names[:1] == (ALL,) and len(names) > 1 and all(str(name).startswith(BUT) for name in names[1:]):
        return names  # validated before
    if not names:
        raise refusal("an empty list names no upstream", "name one, or write `all`")
    for name in names:
        if not isinstance(name, str):
            raise refusal(f"expected the name of an upstream, a list of them or `all`, not {kind_of(name)}")
    if ALL in names and len(names) > 1:
        raise refusal("`all` stands alone", "write `upstream: all`, or `upstream: all but azure`")
    if len(set(names)) < len(names):
        raise refusal("an upstream is named twice", "name each once")
    return names


def default_name(targets: Sequence[str], kind: str) -> str:
    """What a fault without a name is called: `azure-latency`, `all-but-gcp-hang`."""
    spared = [name.removeprefix(BUT) for name in targets[1:] if name.startswith(BUT)]
    return "-".join([*(["all", "but", *spared] if spared else targets), kind.replace("_", "-")])


def hit_by(targets: tuple[str, ...], upstreams: Iterable[str]) -> tuple[str, ...]:
    """The names of the upstreams that a fault with these targets breaks, of all there are."""
    if ALL not in targets:
        return targets
    return tuple(name for name in upstreams if f"{BUT}{name}" not in targets)


Targets = Annotated[
    tuple[str, ...],
    BeforeValidator(targets_of),
    WithJsonSchema(
        {
            "description": "The upstream to break: a name, a list of names, `all`, or `all but azure and gcp`",
            "anyOf": [
                {"type": "string", "pattern": NAME_PATTERN},
                {"type": "string", "pattern": "^all +but +[a-z][a-z0-9-]*((, *(and +)?| +and +)[a-z][a-z0-9-]*)* *$"},
                {"type": "array", "items": {"type": "string", "pattern": NAME_PATTERN}, "minItems": 1},
            ],
        }
    ),
]


class Fault(StrictModel):
    """One fault of a scenario. Times are milliseconds; without `at`, faults follow one another."""

    KIND: ClassVar[str]
    """The key that makes a mapping this kind of fault."""
    DRAWN: ClassVar[Literal["connection", "request"]] = "connection"
    """What `share` is a share of; `draws` says it of one fault."""

    given_name: Name | None = Field(
        None, alias="name", description="What gates call it; default: <upstream>-<kind>, such as azure-latency"
    )
    at_ms: Duration | None = Field(
        None, alias="at", description="When, from the end of the warm-up. All faults have it, or none"
    )
    for_ms: LongerDuration = Field(alias="for", description="How long it stays")
    every_ms: LongerDuration | None = Field(
        None, alias="every", description="Repeat it, from one start to the next, for as long as the load lasts"
    )
    targets: Targets = Field(alias="upstream")
    stream: Literal["downstream", "upstream"] = Field(
        "downstream", description="downstream: the answers, as of a slow backend; upstream: the requests"
    )
    share: Share = Field(
        written("100%"),
        description="Of the requests where the fakes do it themselves (latency and hang below 100% too); else of the "
        "connections, since Toxiproxy draws once a connection",
    )
    met: Literal["required", "optional"] = Field(
        "required",
        description="Whether the service must ask the upstream while it is broken. Without a call the run proves "
        "nothing and is a rig failure; `optional` is for showing that a cache hides the fault",
    )

    @property
    def name(self) -> str:
        if self.given_name:
            return self.given_name
        return default_name(self.targets, self.KIND)

    def hits(self, upstreams: Iterable[str]) -> tuple[str, ...]:
        """The names of those it breaks, of all there are."""
        return hit_by(self.targets, upstreams)

    @property
    def draws(self) -> Literal["connection", "request"]:
        return self.DRAWN

    @property
    def text(self) -> str:
        """For people: `latency 60s`."""
        raise NotImplementedError

    def compile(self, ctx: FaultContext) -> Effect:
        """Raises Unprovable."""
        raise NotImplementedError

    def toxic(self, kind: str, **attributes: int) -> PlannedToxic:
        return PlannedToxic(type=kind, stream=self.stream, toxicity=self.share, attributes=attributes)

    def carried_bytes(self, ctx: FaultContext) -> int:
        """What a canary surely moves through the stream that the fault acts on."""
        return ctx.answer_bytes if self.stream == "downstream" else ctx.request_bytes

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.share < SHARE_LEAST:
            found = "a share of 0% breaks nothing" if not self.share else "nobody would ever meet so small a share"
            yield "share", refusal(found, "remove the fault, or write a larger share")
        if self.every_ms is not None and self.every_ms < self.for_ms + 1000:
            yield (
                "every",
                refusal(
                    "`every` leaves less than a second between two windows",
                    "make it at least `for` + 1s; it counts from start to start",
                ),
            )


def delayed_proof(ctx: FaultContext, *, delay_ms: float | None = None) -> Proof:
    """The proof that a canary was held by a delay (None: for ever)."""
    least_ms = min(ctx.hold_ms, CANARY_WAIT_MS, delay_ms if delay_ms is not None else CANARY_WAIT_MS)
    if least_ms < LEAST_SEEN_MS:
        raise UnobservableFault(
            f"a canary would be held for {least_ms:.3g} ms only, too little to be told from chance",
            f"make it slow enough that an answer takes {LEAST_SEEN_MS:.0f} ms longer",
        )
    return Proof(kind="held", least_ms=least_ms)


def intermittent_proof(ctx: FaultContext, *, delay_ms: float) -> Proof:
    """The proof that canaries were held by a delay that acts during a part of its window only."""
    return delayed_proof(ctx, delay_ms=delay_ms).model_copy(update={"passing": True})


FAILED: Final = Proof(kind="failed")


def whole_ms(duration_ms: float) -> int:
    """Toxiproxy takes whole milliseconds."""
    return round(duration_ms)
