"""A service over mocked backends in virtual time: what each test needs to say in one line."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import respx

from aggregator.antipatterns import NO_ANTIPATTERNS, Antipatterns
from aggregator.app import App
from aggregator.backends.backend import Backend
from aggregator.monitoring import FaultLog, Metrics
from aggregator.rungs import policies_of
from aggregator.service import Service
from tests.virtual_time import now_s, run

DEADLINE_S = 1.0
GATEWAY_S = 2.0


def offer(name: str, price: float = 1.0, **fields: Any) -> dict[str, Any]:
    return {
        "provider": name,
        "instance_name": f"{name}-{price:g}",
        "location": "eu-north-1",
        "price": price,
        "gpu_name": "A100",
        "spot": False,
        **fields,
    }


def page(offers: Sequence[dict[str, Any]], next_cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"offers": offers, "next_cursor": next_cursor})


@dataclass
class Mock:
    """One backend: it takes `takes_s` for each page, then answers `pages`, or `fails` with a response
    or an exception.
    """

    takes_s: float = 0.0
    pages: Sequence[Sequence[dict[str, Any]]] | None = None
    fails: httpx.Response | Exception | None = None
    well_from_s: float | None = None
    """From this second on it answers at once, whatever it did before."""
    well_until_s: float = 0.0
    """Until this second it answers at once, whatever it does after."""
    then_fails: tuple[float, httpx.Response] | None = None
    """From this second on it fails that way."""


@dataclass
class World:
    """`calls` lists (backend, virtual second since the start) in the order the calls came."""

    mocks: Mapping[str, Mock]
    rung: str = "timeout"
    without: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    habits: Antipatterns = NO_ANTIPATTERNS
    deadline_s: float = DEADLINE_S
    gateway_s: float = GATEWAY_S
    calls: list[tuple[str, float]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    """Backends whose call was ended from outside while it waited."""
    metrics: Metrics = field(init=False)
    last_s: float = 0.0

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.mocks)

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.calls]

    def ask(self, *queries: str, headers: Mapping[str, str] | None = None) -> list[Reply]:
        """Send all queries at the same moment; their replies in this order."""
        return run(self._ask([(0.0, query) for query in queries], headers or {}))

    def play(self, *queries: tuple[float, str]) -> list[Reply]:
        """Send each query at its second, all to one service; their replies in this order."""
        return run(self._ask(queries, {}))

    async def _ask(self, queries: Sequence[tuple[float, str]], headers: Mapping[str, str]) -> list[Reply]:
        began_s = now_s()
        router = respx.Router(assert_all_called=False)
        for name, mock in self.mocks.items():
            router.get(f"http://{name}.test/offers").mock(side_effect=self._handler(name, mock, began_s))
        fault_log = FaultLog(self._clock)
        async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
            service = Service(
                [Backend(name, f"http://{name}.test", client) for name in self.mocks],
                policies_of(self.rung, self.without, self.also),
                deadline_s=self.deadline_s,
                gateway_timeout_s=self.gateway_s,
                metrics=self.metrics,
                fault_log=fault_log,
                habits=self.habits,
                clock=self._clock,
            )
            app = App(service, list(self.mocks), self.metrics, fault_log)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sut") as user:

                async def one(at_s: float, query: str) -> Reply:
                    await asyncio.sleep(at_s)
                    response = await user.get(query, headers=headers)
                    return Reply(response, round(now_s() - began_s - at_s, 6))

                return await asyncio.gather(*(one(at_s, query) for at_s, query in queries))

    def _clock(self) -> float:
        """Stands still once the loop has ended, for who looks at the metrics then."""
        with contextlib.suppress(RuntimeError):
            self.last_s = now_s()
        return self.last_s

    def _handler(self, name: str, mock: Mock, began_s: float) -> Callable[[httpx.Request], Any]:
        async def handle(request: httpx.Request) -> httpx.Response:
            self.calls.append((name, round(now_s() - began_s, 6)))
            self.headers.append(request.headers)
            at_s = now_s() - began_s
            well = at_s < mock.well_until_s or (mock.well_from_s is not None and at_s >= mock.well_from_s)
            try:
                await asyncio.sleep(0 if well else mock.takes_s)
            except asyncio.CancelledError:
                self.ended.append(name)
                raise
            if not well:
                fails = mock.then_fails[1] if mock.then_fails and at_s >= mock.then_fails[0] else mock.fails
                if isinstance(fails, Exception):
                    raise fails
                if fails is not None:
                    return fails
            pages = mock.pages if mock.pages is not None else [[offer(name)]]
            number = int(request.url.params.get("cursor", "0"))
            return page(pages[number], str(number + 1) if number + 1 < len(pages) else None)

        return handle


@dataclass
class Reply:
    response: httpx.Response
    after_s: float

    @property
    def body(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.response.content)
        return document

    @property
    def names(self) -> list[str]:
        """The backends whose offers are in it, in their order."""
        return [row["provider"] for row in self.body["offers"]]

    @property
    def missing(self) -> dict[str, str]:
        return {entry["backend"]: entry["reason"] for entry in self.body["missing"]}

    @property
    def sources(self) -> dict[str, str]:
        return {name: entry["source"] for name, entry in self.body["backends"].items()}
