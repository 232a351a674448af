"""The recorded exchanges of one host, gathered into routes with the latencies that were recorded. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.model.value_types import shortened
from harness.rundir.planned.routes import PlannedAnswer, PlannedProfile, PlannedRoute
from harness.text import listed
from harness.upstreams.recording import points_of
from harness.upstreams.routes.har.answers import ExchangeLeftOut, Seen, answer_of, path_of
from harness.upstreams.routes.har.exchanges import RecordedExchange
from harness.upstreams.routes.routes_read import ROUTES_MOST

ANSWERS_MOST: Final = 200
"""How many answers of one route are kept."""
DISTRIBUTION_LEAST: Final = 20
"""With at least so many recorded latencies a route has their distribution. Fewer say nothing about its tail, so the
route then has their median as a constant latency."""
_LISTED: Final = 5
_DIGITS: Final = 4

LEFT_OUT: Final = {
    "connect": "CONNECT is a request to a proxy, not to this host",
    "websocket": "fakes do not speak WebSocket",
    "aborted": "they have no answer (status 0)",
    "bad_status": "their status is not that of a final answer (200 to 599)",
    "no_body": "the recording has no body for them",
    "large_body": "their bodies have more than 5 MB",
    "bad_body": "their bodies cannot be decoded",
    "bad_query": "their queries have more than 1,000 parts",
}
"""Why exchanges are not answered, in the order of the notes."""


@dataclass(slots=True)
class _Gathered:
    """One route: the first answers, and the latencies (ms) of all `exchanges`."""

    answers: list[PlannedAnswer] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    exchanges: int = 0


@dataclass(slots=True)
class HostRecording:
    """`left_out`: how many exchanges were left out, by the reason in LEFT_OUT. `bodies`: how many answers had a
    text."""

    left_out: Counter[str] = field(default_factory=Counter)
    bodies: int = 0
    has_too_many: bool = False
    """Whether there were more than ROUTES_MOST routes. Those beyond are not kept."""
    _seen: Seen = field(default_factory=Seen)
    _routes: dict[tuple[str, str], _Gathered] = field(default_factory=dict)

    def add(self, exchange: RecordedExchange) -> None:
        """Takes an answered exchange into its route."""
        self.bodies += bool(exchange.text)
        key = (exchange.method, path_of(exchange.path, self._seen))
        route = self._routes.get(key) or _Gathered()
        if len(route.answers) < ANSWERS_MOST:
            try:
                answer = answer_of(exchange, self._seen)
            except ExchangeLeftOut as exc:
                self.left_out[exc.reason] += 1
                return
            if key not in self._routes and len(self._routes) >= ROUTES_MOST:
                self.has_too_many = True
                return
            self._routes[key] = route
            route.answers.append(answer)
        route.exchanges += 1
        if exchange.latency_ms is not None:
            route.latencies_ms.append(exchange.latency_ms)

    def routes(self) -> tuple[PlannedRoute, ...]:
        """In the order in which they were first recorded."""
        return tuple(
            PlannedRoute(
                method=method,
                path=path,
                answers=tuple(route.answers),
                profile=_profile(route.latencies_ms),
                recorded=route.exchanges,
            )
            for (method, path), route in self._routes.items()
        )

    def notes(self) -> Iterator[str]:
        """What a user should know, as sentences."""
        for reason, why in LEFT_OUT.items():
            if count := self.left_out[reason]:
                yield f"{exchanges(count)} left out: {why}"
        named = {f"{method} {path}": route for (method, path), route in self._routes.items()}
        cut = [name for name, route in named.items() if route.exchanges > len(route.answers)]
        if cut:
            yield f"of {_quoted(cut)} only the first {ANSWERS_MOST} answers are kept; latencies come from all exchanges"
        untimed = [name for name, route in named.items() if not route.latencies_ms]
        if untimed:
            yield f"the recording has no latency for {_quoted(untimed)}, so the latency of the upstream is used there"
        unchanged = sum(answer.status == 304 for route in named.values() for answer in route.answers)
        if unchanged:
            yield (
                f"{unchanged} {'answer has' if unchanged == 1 else 'answers have'} status 304 and no body, because the "
                "browser had the body in its cache; if your service has no cache, record again with an empty one"
            )
        yield from self._notes_of_changes()

    def _notes_of_changes(self) -> Iterator[str]:
        if self._seen.secrets:
            names = _quoted(sorted(self._seen.secrets))
            yield f"values were removed because their names say that they are secrets: {names}"
        if count := self._seen.unsendable_headers:
            left_out, them = ("header was", "it") if count == 1 else ("headers were", "them")
            yield f"{count} {left_out} left out because HTTP/1.1 cannot carry {them}"
        if count := self._seen.linking_answers:
            yield (
                f"the {'body of an answer links' if count == 1 else f'bodies of {count} answers link'} to the recorded "
                "host: a service that follows such a link calls that host, and not the fake"
            )


def exchanges(count: int) -> str:
    """`1 exchange is`, `2 exchanges are`."""
    return f"{count:,} {'exchange is' if count == 1 else 'exchanges are'}"


def _quoted(names: Sequence[str]) -> str:
    return listed([f"`{shortened(name)}`" for name in names], _LISTED)


def _profile(latencies_ms: Sequence[float]) -> PlannedProfile | None:
    if not latencies_ms:
        return None
    if len(latencies_ms) >= DISTRIBUTION_LEAST:
        return PlannedProfile(kind="empirical", points=points_of(latencies_ms))
    median_ms = round(statistics.median(latencies_ms), _DIGITS)
    return PlannedProfile(kind="constant", numbers_ms={"constant_ms": median_ms})
