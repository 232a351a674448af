"""A real HTTP origin as a backend of the fakes' process: its calls go through the forwarder."""

from __future__ import annotations

import time
from collections.abc import Callable

from fake_backends.active_faults import ActiveFaults
from fake_backends.backend import call_counter
from fake_backends.breaking import target_of
from fake_backends.call import Call
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.forwarding.forwarded_call import ForwardedCall
from fake_backends.forwarding.forwarder import Forwarder
from fake_backends.load_records import LoadRecords
from fake_backends.providers import Response
from fake_backends.response_writer import Message, Receive
from harness.rundir.planned.upstream import PlannedUpstream


class ForwardedBackend:
    """The forwarder of one upstream, its faults and its count of calls. `run`: the hash of the run.

    `remembers`: a fault of the plan answers in the origin's place. Raises ValueError if it is not forwarded, and
    RigError if its certificate authorities cannot be read.
    """

    def __init__(
        self,
        planned: PlannedUpstream,
        *,
        seed: int,
        in_flight: int,
        run: str,
        remembers: bool = False,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if planned.forward is None:
            raise ValueError("it is not forwarded")
        self.name = planned.name
        self.index = planned.index
        self.forwarder = Forwarder(planned.name, planned.forward, run, remembers=remembers)
        self.healthy = self.forwarder.health
        self.empty: Response | None = None
        self.standings = ActiveFaults(planned.name, seed, clock_ns)
        self._clock_ns = clock_ns
        self._calls = call_counter(in_flight)

    def drawn_by(self, seq: int, route: int) -> tuple[int, int]:
        return seq, self._calls.nth(seq)

    def latency_ns(self, request: int, nth: int, route: int) -> int:
        """The origin has a latency of its own."""
        return 0

    def queues(self, route: int) -> list[ConcurrencyLimit]:
        return []

    async def take(self, scope: Message, receive: Receive, arrived_ns: int, seq: int, load: LoadRecords) -> Call:
        method, path = scope["method"], scope["path"]
        refused = _refused(scope)
        if refused:
            load.unmatched.note(self.name, method, path, refused.status)
            return Call(arrived_ns, refused, self._clock_ns)
        return ForwardedCall(
            arrived_ns,
            self.forwarder.last_answer(method, path),
            self._clock_ns,
            forwarder=self.forwarder,
            noticed=load.noticed,
            upstream=self.name,
        )

    def speaks(self) -> str:
        return f"the forwarder to {self.forwarder.spec.address} passes plain HTTP/1.1 requests on, and no upgrades"

    def nearest(self, method: str, path: str) -> str:
        return ""


def _refused(scope: Message) -> Response | None:
    """The answer to what is no request to this origin: an upgrade, a tunnel, or a request for whatever host."""
    if any(name == b"upgrade" for name, _ in scope["headers"]) and _wants_upgrade(scope):
        return Response.of_error(501, "tailgate's forwarder passes on no upgrades, such as WebSocket")
    if scope["method"] == "CONNECT" or ((target := target_of(scope)) and not target.startswith((b"/", b"*"))):
        return Response.of_error(501, "tailgate's forwarder is no proxy for other hosts")
    return None


def _wants_upgrade(scope: Message) -> bool:
    tokens = (token for name, value in scope["headers"] if name == b"connection" for token in value.split(b","))
    return any(token.strip().lower() == b"upgrade" for token in tokens)
