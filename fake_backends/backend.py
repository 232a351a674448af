"""One upstream as the fakes' process knows it: what answers there, its active faults, and its counts of calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from fake_backends.active_faults import ActiveFaults
from fake_backends.call import Call
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.draws import CallCounter, Draws
from fake_backends.load_records import LoadRecords
from fake_backends.providers import IncomingRequest, Response, Routed, provider_named
from fake_backends.response_writer import Message, Receive
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import LOGIN_SEQ, NO_SEQ
from harness.units import NS_PER_MS
from harness.upstreams.profiles import as_planned, profile_of

BODY_BYTES_MAX: Final = 1 << 20
"""A request's body is read up to about this size."""


class Backend(Protocol):
    """What answers at the address of one upstream: a fake, or the forwarder to a real origin."""

    name: str
    index: int
    healthy: Response
    """What a canary gets."""
    empty: Response | None
    """A right answer with nothing in it; None: it is made from the healthy answer."""
    standings: ActiveFaults

    def drawn_by(self, seq: int, route: int) -> tuple[int, int]:
        """What all draws for the next call depend on: its request's number, and which call of that request it is."""

    def latency_ns(self, request: int, nth: int, route: int) -> int:
        """How long a call takes here if no fault hits it; `request` and `nth` are from `drawn_by`."""

    def queues(self, route: int) -> list[ConcurrencyLimit]:
        """The queues in which a call for a route waits for its turn, one after the other."""

    async def take(self, scope: Message, receive: Receive, arrived_ns: int, seq: int, load: LoadRecords) -> Call:
        """The call of the service with its healthy answer. No fault has been applied to it yet."""

    def speaks(self) -> str:
        """For people: what it answers."""

    def nearest(self, method: str, path: str) -> str:
        """The route that is most like a request without a route; empty where there are no routes."""


class FakeBackend:
    """A fake's provider, latency, faults and call counts. Raises ValueError if its settings are impossible."""

    def __init__(
        self,
        planned: PlannedUpstream,
        *,
        seed: int,
        in_flight: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = planned.name
        self.index = planned.index
        spec = planned.fake
        if spec is None:
            raise ValueError("it is no fake")
        self.provider = (Routed if spec.routes else provider_named(spec.provider))(planned.name, spec, seed)
        self.healthy = self.provider.respond(self.provider.health)
        if not self.healthy.matched:
            raise ValueError(f"the provider {spec.provider} has no answer to its own health request")
        self.empty = self.provider.empty
        routes = self.provider.routes if isinstance(self.provider, Routed) else ()
        self.standings = ActiveFaults(planned.name, seed, clock_ns, [route.name for route in routes])
        self._clock_ns = clock_ns
        self._slots = _limit(spec.capacity)
        self._route_slots = [_limit(route.capacity) for route in routes]
        profile = profile_of(spec)
        self._profiles = [as_planned(route.profile) if route.profile else profile for route in routes] or [profile]
        self._draws = Draws(seed, "latency", planned.name)
        self._calls = call_counter(in_flight)

    def drawn_by(self, seq: int, route: int) -> tuple[int, int]:
        """Calls without a number are counted for each route, so that routes do not disturb each other's draws."""
        request = seq if seq != NO_SEQ else NO_SEQ - route
        return request, self._calls.nth(request)

    def latency_ns(self, request: int, nth: int, route: int) -> int:
        return round(self._profiles[route].latency_ms(self._draws.uniform(request, nth)) * NS_PER_MS)

    def queues(self, route: int) -> list[ConcurrencyLimit]:
        of_route = self._route_slots[route] if self._route_slots else None
        return [slots for slots in (self._slots, of_route) if slots]

    async def take(self, scope: Message, receive: Receive, arrived_ns: int, seq: int, load: LoadRecords) -> Call:
        body = await _body(receive)
        sent_path = scope.get("raw_path") or b""
        raw_path = sent_path.decode("latin-1") if b"%" in sent_path else ""
        method, path = scope["method"], scope["path"]
        number = None if seq in (NO_SEQ, LOGIN_SEQ) else seq
        answer = self.provider.respond(
            IncomingRequest(method, path, scope["query_string"], scope["headers"], body, raw_path, number)
        )
        if not answer.matched:
            load.unmatched.note(self.name, method, path, answer.status)
        return Call(arrived_ns, answer, self._clock_ns)

    def speaks(self) -> str:
        if isinstance(self.provider, Routed):
            return f"its routes are {self.provider.speaks}"
        return f"a fake of the provider {self.provider.name} speaks {self.provider.speaks}"

    def nearest(self, method: str, path: str) -> str:
        return self.provider.nearest(method, path) if isinstance(self.provider, Routed) else ""


def call_counter(in_flight: int) -> CallCounter:
    """A service may work on more requests than the load has open, because the gateway gave up on some of them."""
    return CallCounter(limit=max(4096, 4 * in_flight))


def _limit(capacity: int | None) -> ConcurrencyLimit | None:
    return None if capacity is None else ConcurrencyLimit(capacity)


async def _body(receive: Receive) -> bytes:
    """The request's body, as far as it is read."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > BODY_BYTES_MAX:
            break
    return bytes(body)
