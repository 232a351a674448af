"""The base of every fault: the fields that all kinds share, and the effect that a kind compiles to.

A kind is one file with one `Fault` subclass and one line in `harness.faults.FAULTS`. Compiling is pure. It raises
`UnobservableFault` for a fault that no canary could observe, because a run with an unproven fault shows nothing.
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
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.fault import PlannedToxic, Proof
from harness.rundir.planned.process_act import SERVICE_TARGET, ProcessAct

CANARY_WAIT_MS: Final = 2000.0
"""A canary that was held this long has observed any delay, so no proof asks for more."""
LEAST_SEEN_MS: Final = 20.0
"""A shorter delay cannot be distinguished from the delays of a busy machine."""
ALL: Final = "all"
SHARE_LEAST: Final = 1e-6
ROUTE_MOST: Final = 2_000
"""Characters of a route."""
BUT: Final = "-"
"""The prefix that marks an upstream which `all but` excludes. No name of an upstream begins with it."""
_AND: Final = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+")
_ALL_BUT: Final = re.compile(rf"all\s+but\s+([a-z][a-z0-9-]*(?:(?:{_AND.pattern})[a-z][a-z0-9-]*)*)\s*")


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault is compiled for.

    `hold_ms`: how long a caller waits at most (the gateway's timeout or the client cap). `answer_bytes`: the size that
    every canary's answer has at least; `answer_bytes_most`: the size that no answer exceeds; `request_bytes`: the size
    of a canary's request. The first and the last include the handshake where TLS is terminated. `flights`: how often a
    caller on a fresh connection waits for the other side, with the handshake. `fakes`: the fakes' process answers for
    all upstreams of the fault, so it can break single answers. `forwarded`: the forwarder
    stands before any of them. `seed`: the run's.
    """

    hold_ms: float
    answer_bytes: int
    request_bytes: int = 100
    answer_bytes_most: int = 0
    flights: int = 1
    fakes: bool = True
    forwarded: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """A fault as toxics of Toxiproxy, as a closed proxy, as the behaviour of a fake, or as an act on a process.

    `held_ms`: H, how long one request can be held by the fault. `proof`: what a canary must observe. `delay_ms`: the
    delay that Toxiproxy adds to every answer, if it is a single known one; None for a fake's behaviour, because the
    fake records its own delays. `drops_connections`: the closed proxy's port neither accepts nor refuses connections.
    """

    held_ms: float
    proof: Proof
    toxics: tuple[PlannedToxic, ...] = ()
    disables_proxy: bool = False
    drops_connections: bool = False
    process: ProcessAct | None = None
    behaviour: Behaviour | None = None
    delay_ms: float | None = None


class UnobservableFault(Exception):
    """No canary could distinguish an upstream with this fault from a healthy one. `fix`: what to write instead."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def targets_of(value: Any) -> tuple[str, ...]:
    """The targets in a fault's `upstream`: names; or `all`, and an entry with the prefix BUT for each exception.

    Raises a refusal for any other value.
    """
    if isinstance(value, str) and (match := _ALL_BUT.fullmatch(value)):
        spared = tuple(re.split(_AND, match[1]))
        return (ALL, *(f"{BUT}{name}" for name in spared))
    names = value if isinstance(value, tuple) else (value,)
    if names[:1] == (ALL,) and len(names) > 1 and all(str(name).startswith(BUT) for name in names[1:]):
        return names  # a value that this function returned earlier
    if not names:
        raise refusal("an empty list names no upstream", "name one, or write `all`")
    for name in names:
        if not isinstance(name, str):
            raise refusal(f"expected the name of an upstream, a list of them or `all`, not {kind_of(name)}")
    if ALL in names and len(names) > 1:
        raise refusal("`all` cannot be combined with names", "write `upstream: all`, or `upstream: all but azure`")
    if len(set(names)) < len(names):
        raise refusal("an upstream is named twice", "name each once")
    return names


def default_name(targets: Sequence[str], kind: str) -> str:
    """The name of a fault for which the scenario gives none: `azure-latency`, `all-but-gcp-hang`."""
    spared = [name.removeprefix(BUT) for name in targets[1:] if name.startswith(BUT)]
    return "-".join([*(["all", "but", *spared] if spared else targets), kind.replace("_", "-")])


def hit_by(targets: tuple[str, ...], upstreams: Iterable[str]) -> tuple[str, ...]:
    """The names of the upstreams that a fault with these targets breaks. `upstreams`: the names of all upstreams."""
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
    """One fault of a scenario. Times are in milliseconds. Faults without `at` follow one another."""

    KIND: ClassVar[str]
    """The key of a mapping in the scenario that makes it this kind of fault."""
    DRAWN: ClassVar[Literal["connection", "request"]] = "connection"
    """What `share` is drawn for in this kind of fault; `draws` is right for a single fault."""

    ACTS_ON: ClassVar[Literal["connections", "listener", "process"]] = "connections"
    """What tailgate must have in its hands for this kind: connections through Toxiproxy, the port on which they are
    accepted, or the process that is called."""

    ON_SERVICE: ClassVar[bool] = False
    """Whether it can act on the service under test."""

    ON_UPSTREAMS: ClassVar[bool] = True
    """Whether it can act on an upstream."""

    given_name: Name | None = Field(
        None, alias="name", description="The name that gates use; default: <upstream>-<kind>, such as azure-latency"
    )
    at_ms: Duration | None = Field(
        None, alias="at", description="When it begins, from the end of the warm-up. Either all faults have it, or none"
    )
    for_ms: LongerDuration = Field(alias="for", description="How long it is active")
    every_ms: LongerDuration | None = Field(
        None, alias="every", description="Repeat it, from one start to the next, for as long as the load lasts"
    )
    targets: Targets = Field(alias="upstream")
    stream: Literal["downstream", "upstream"] = Field(
        "downstream", description="downstream: the answers, as of a slow backend; upstream: the requests"
    )
    share: Share = Field(
        written("100%"),
        description="A share of the requests if the fakes execute the fault (latency and hang below 100% too); else of "
        "the connections, since Toxiproxy draws once per connection",
    )
    met: Literal["required", "optional"] = Field(
        "required",
        description="Whether the service must ask the upstream while it is broken. Without a call the run proves "
        "nothing and is a rig failure; `optional` is for showing that a cache hides the fault",
    )

    route: Annotated[str, Field(min_length=1, max_length=ROUTE_MOST)] | None = Field(
        None, description="Only calls for this route, METHOD PATH; for faults that are done call by call"
    )
    first: int | None = Field(
        None, ge=1, le=1_000_000, description="Only so many calls of each window, the first ones that `share` draws"
    )

    @property
    def name(self) -> str:
        if self.given_name:
            return self.given_name
        return default_name(self.targets, self.KIND)

    def hits(self, upstreams: Iterable[str]) -> tuple[str, ...]:
        """The names of the upstreams that the fault breaks. `upstreams`: the names of all upstreams."""
        return hit_by(self.targets, upstreams)

    @property
    def on_service(self) -> bool:
        """Whether it acts on the service under test."""
        return SERVICE_TARGET in self.targets

    @property
    def by_call(self) -> bool:
        """Whether it must tell one call from another, besides what `share` draws."""
        return self.route is not None or self.first is not None

    @property
    def draws(self) -> Literal["connection", "request"]:
        """Whether `share` is a share of the connections or of the requests."""
        return self.DRAWN

    @property
    def text(self) -> str:
        """The fault for people: `latency 60s`."""
        raise NotImplementedError

    def compile(self, ctx: FaultContext) -> Effect:
        """The effect of the fault in this context. Pure. Raises UnobservableFault if no canary could observe it."""
        raise NotImplementedError

    def toxic(self, kind: str, **attributes: int) -> PlannedToxic:
        """A toxic of this type on the fault's stream and share; attributes in Toxiproxy's own units."""
        return PlannedToxic(type=kind, stream=self.stream, toxicity=self.share, attributes=attributes)

    def carried_bytes(self, ctx: FaultContext) -> int:
        """How many bytes a canary sends at least through the stream that the fault acts on."""
        return ctx.answer_bytes if self.stream == "downstream" else ctx.request_bytes

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        """What does not fit together in the fields: the key that it concerns, and a refusal with a fix."""
        if self.on_service and not self.ON_SERVICE:
            problem = f"`{self.KIND}` breaks an upstream; the service under test can be killed, paused and restarted"
            yield "upstream", refusal(problem, "name an upstream, or write kill, pause or restart")
        if self.by_call and self.draws != "request":
            key = "route" if self.route is not None else "first"
            problem = f"`{self.KIND}` does not act call by call, so it cannot choose calls"
            if self.stream == "upstream":
                problem = "delaying requests does not tell one call from another"
            yield key, refusal(problem, f"remove `{key}`, or use a fault such as status, latency or hang")
        if self.share < SHARE_LEAST:
            problem = "a share of 0% breaks nothing" if not self.share else "so small a share would break no request"
            yield "share", refusal(problem, "remove the fault, or write a larger share")
        if self.every_ms is not None and self.every_ms < self.for_ms + 1000:
            yield (
                "every",
                refusal(
                    "`every` leaves less than a second between two windows",
                    "make it at least `for` + 1s; it counts from start to start",
                ),
            )


def delayed_proof(ctx: FaultContext, *, delay_ms: float | None = None) -> Proof:
    """The proof that a canary was held for `delay_ms`; None: for ever. Raises UnobservableFault for too short a delay.

    It asks for at most CANARY_WAIT_MS, since canaries wait no longer.
    """
    least_ms = min(ctx.hold_ms, CANARY_WAIT_MS, delay_ms if delay_ms is not None else CANARY_WAIT_MS)
    if least_ms < LEAST_SEEN_MS:
        raise UnobservableFault(
            f"a canary would be held for {least_ms:.3g} ms only, too little to be distinguished from chance",
            f"make it slow enough that an answer takes {LEAST_SEEN_MS:.0f} ms longer",
        )
    return Proof(kind="held", least_ms=least_ms)


def intermittent_proof(ctx: FaultContext, *, delay_ms: float) -> Proof:
    """The proof that canaries were held by a delay that acts only during a part of the fault's window."""
    return delayed_proof(ctx, delay_ms=delay_ms).model_copy(update={"passing": True})


FAILED: Final = Proof(kind="failed")


def whole_ms(duration_ms: float) -> int:
    """Rounded, because Toxiproxy accepts whole milliseconds only."""
    return round(duration_ms)
