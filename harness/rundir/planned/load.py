"""What a plan has of the load: when requests arrive, which they are, and the limits. Times are ms from t = 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.model.frozen import Frozen
from harness.rundir.planned.login import PlannedLogin
from harness.rundir.planned.upstream import Endpoint


class Stage(Frozen):
    """Arrival rate from `start_per_s` to `end_per_s`, linear over `duration_ms`."""

    start_per_s: float
    end_per_s: float
    duration_ms: float


class Schedule(Frozen):
    """When requests arrive. Stages include the warm-up, so the first begins at -warmup_ms.

    `start_ms`: where the first stage begins, -warmup_ms. `replay_ms`: arrival times of a recording (ms from t = 0),
    instead of stages.
    """

    start_ms: float
    arrivals: Literal["poisson", "constant"] = "poisson"
    stages: tuple[Stage, ...] = ()
    replay_ms: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests whose arrivals are planned together, by one schedule.

    Those that share the rate of the load are one stream, without a name: each of its arrivals sends one of them, drawn
    by weight. Each request with a rate of its own is a stream with the request's name.
    """

    name: str
    schedule: Schedule
    requests: tuple[int, ...]
    """Places in `PlannedLoad.requests`."""
    weights: tuple[int, ...]
    """The weight of each of `requests`."""

    def share(self, requests: frozenset[int]) -> float:
        """The share of its arrivals that send one of `requests`, from 0 to 1."""
        wanted = sum(weight for place, weight in zip(self.requests, self.weights, strict=True) if place in requests)
        return wanted / sum(self.weights)


class PlannedRequest(Frozen):
    """One kind of request of the load. `expect_status` has inclusive ranges of status codes."""

    name: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    weight: int = 1
    """Its share of the arrivals, relative to the weights of the other requests that share the rate of the load."""
    schedule: Schedule | None = None
    """Its own arrivals. None: it shares those of the load."""
    asks: tuple[str, ...]
    """Upstreams whose rows a complete answer contains."""
    expect_status: tuple[tuple[int, int], ...] | None = None
    expect_contains: str | None = None
    expect_lacks: str | None = None


class RemoteWorkers(Frozen):
    """The workers of the load run on other machines, and connect to `listen` with the keys of the token file."""

    listen: Endpoint
    token_file: str
    """Absolute path. The token is in no file of the run."""
    join_within_ms: float = 120_000
    """How long the run waits for them."""


class PlannedLoad(Frozen):
    """The load: its model, its requests, its times and its limits."""

    model: Literal["open", "closed"]
    schedule: Schedule | None = None
    """Open model only: the arrivals of the requests that have no schedule of their own. None: each has one."""
    users: int | None = None
    """Closed model only."""
    workers: int = 1
    remote: RemoteWorkers | None = None
    """Where the workers are if they are not children of the run; None: they are."""
    requests: tuple[PlannedRequest, ...]
    locustfile: str | None = None
    locust_options: tuple[str, ...] = ()
    """Arguments for Locust's command line that the locustfile reads. `${VAR}` is not expanded yet."""
    max_users: int | None = None
    """How many instances of the locustfile's users there may be; arrivals wait for one. None: as many as needed."""
    locustfile_asks: dict[str, tuple[str, ...]] | None = None
    """The upstreams that the locustfile's requests ask, by name; a name that is not there asks none. None: each
    request asks every upstream."""
    allowed_targets: tuple[str, ...] = ()
    """Hosts outside of this machine that may be asked (`--allow-target`)."""
    login: PlannedLogin | None = None
    data: str | None = None
    warmup_ms: float
    duration_ms: float
    """From t = 0 to the last arrival's latest time."""
    drain_ms: float
    client_cap_ms: float
    """How long the load generator waits for an answer."""
    max_in_flight: int
    """How many requests may be open at once (slots); an arrival beyond that is dropped."""
    first_seq: int = 0
    """The number that the first arrival carries on the wire: loads on one stack must not share numbers."""
    slots_cut: bool = False
    """The open-file limit allows fewer slots than a service that never answers would need, so a dropped arrival is the
    harness's fault."""
    ok: tuple[tuple[int, int], ...]
    """Inclusive ranges of status codes that count as ok."""
    complete: Literal["auto", "none", "jmespath"]
    complete_jmespath: str | None = None

    def with_names(self, names: Sequence[str], upstreams: Sequence[str]) -> PlannedLoad:
        """The load of a locustfile with a request for each of its names, in this order, after the one that stands for
        arrivals without a name. `upstreams`: the names of all upstreams."""
        unnamed = self.requests[0]
        asks = self.locustfile_asks
        named = (
            PlannedRequest(
                name=name,
                method="",
                path="",
                asks=tuple(upstreams) if asks is None else asks.get(name, ()),
            )
            for name in names
        )
        return self.model_copy(update={"requests": (unnamed, *named)})

    @property
    def awaits_service(self) -> bool:
        """Whether something is sent before the load, so that workers wait until the service is ready: sessions sign
        in, and a locustfile's users may."""
        return self.login is not None or self.locustfile is not None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of arrivals, first the one that shares the rate of the load; none in the closed model."""
        if self.model == "closed":
            return ()
        shared = tuple(place for place, request in enumerate(self.requests) if request.schedule is None)
        if self.locustfile is not None:  # what an arrival sends is not planned: the first request stands for all
            shared = (0,)
        streams = []
        if self.schedule is not None and shared:
            streams.append(Stream("", self.schedule, shared, tuple(self.requests[place].weight for place in shared)))
        for place, request in enumerate(self.requests):
            if request.schedule is not None:
                streams.append(Stream(request.name, request.schedule, (place,), (1,)))
        return tuple(streams)

    def places(self, names: Sequence[str]) -> frozenset[int]:
        """The places of the requests of these names; of all requests if none is named.

        For a locustfile the first place, whatever is named: it stands for every arrival, which may send any request.
        """
        if self.locustfile is not None:
            return frozenset((0,))
        return frozenset(place for place, each in enumerate(self.requests) if not names or each.name in names)
