"""What a scenario says that a fake answers: routes that it writes, or that are read from a recording, a description of
an API or stub mappings.

Answers of a route are given in turn, so unlike those of the catalogs they depend on which call it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import ClassVar, Final

import orjson

from fake_backends.catalog import marker
from fake_backends.providers.exchange import IncomingRequest, Response
from fake_backends.routing.rendering import Render, RequestValues, renderer
from fake_backends.routing.router import Router
from harness.rundir.planned.routes import ANY_PATH, PlannedRoute
from harness.rundir.planned.upstream import FakeSpec
from harness.text import listed
from harness.upstreams.routes.answer_sizes import canary_bytes
from harness.upstreams.routes.read import read_routes
from harness.upstreams.routes.templates import params_of

HEALTH_PATH: Final = "/-/healthy"
NAMED_MOST: Final = 5
"""Routes that are listed for people."""
REPLIES_KEPT: Final = 200
"""Replies to unmatched requests that are kept by method and path, since finding the nearest route takes a while."""


Query = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Answers:
    """The answers of one route with the same recorded query (None: for any), and whose turn it is."""

    renders: list[Render] = field(default_factory=list)
    turn: int = 0

    def next(self) -> Render:
        render = self.renders[self.turn]
        self.turn = (self.turn + 1) % len(self.renders)
        return render


class Routed:
    name: ClassVar = "routes"
    health: ClassVar = IncomingRequest("GET", HEALTH_PATH)
    empty: ClassVar[Response | None] = None

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None:
        """Raises ValueError if the routes cannot be read or made, or are others than those of the plan."""
        if spec.routes is None:
            raise ValueError("a fake with routes needs them in its plan")
        self.routes: Sequence[PlannedRoute] = read_routes(spec.routes, seed).routes
        self._router = Router(self.routes)
        mark = marker(upstream)
        try:
            self._answers = [_answers_of(route, number, mark) for number, route in enumerate(self.routes)]
        except OSError as exc:
            raise ValueError(f"{exc.filename}: {exc.strerror}") from exc
        self._params = [params_of(route.path) for route in self.routes]
        self._healthy = _healthy(mark, canary_bytes(self.routes))
        self._numbers = count()
        self._unmatched: dict[tuple[str, str], Response] = {}
        self.speaks = listed([route.name for route in self.routes], NAMED_MOST)

    def respond(self, request: IncomingRequest) -> Response:
        if request is self.health:
            return self._healthy
        found = self._router.find(request)
        if found is None:
            return self._no_route(request)
        by_query = self._answers[found.route]
        answers = (
            by_query.get(None) or by_query[_nearest(request.pairs, [query for query in by_query if query is not None])]
        )
        params = dict(zip(self._params[found.route], found.params, strict=False))
        answer = answers.next()(RequestValues(request, params, next(self._numbers)))
        if answer is None:
            return Response.of_error(404, f"{self.routes[found.route].name} has no file for {request.path}")
        if self.routes[found.route].path == ANY_PATH and answer.status >= 400:
            return replace(answer, matched=False)
        return answer

    def nearest(self, method: str, path: str) -> str:
        """The name of the route that is most like a request without a route; empty if there is none."""
        return self._router.nearest(method, path)

    def _no_route(self, request: IncomingRequest) -> Response:
        key = request.method, request.path
        if key not in self._unmatched:
            if len(self._unmatched) >= REPLIES_KEPT:
                self._unmatched.clear()
            nearest = self.nearest(*key)
            hint = f"; the nearest is {nearest}" if nearest else ""
            self._unmatched[key] = Response.of_error(404, f"no route for {key[0]} {key[1][:500]}{hint}")
        return self._unmatched[key]


def _answers_of(route: PlannedRoute, number: int, mark: str) -> dict[Query | None, _Answers]:
    """The route's answers by the query that they were recorded with. Raises ValueError and OSError."""
    by_query: dict[Query | None, _Answers] = {}
    for answer in route.answers:
        by_query.setdefault(answer.query, _Answers()).renders.append(renderer(answer, route, number, mark))
    return by_query


def _nearest(sent: Sequence[tuple[str, str]], recorded: Sequence[Query]) -> Query:
    """The recorded query that shares the most pairs with `sent`; among those the one with the most names in common and
    the fewest pairs beyond it, then the earliest. `recorded` is not empty."""

    def likeness(query: Query) -> tuple[int, int, int]:
        pairs = (Counter(sent) & Counter(query)).total()
        names = (Counter(name for name, _ in sent) & Counter(name for name, _ in query)).total()
        return pairs, names, -abs(len(sent) - len(query))

    return max(recorded, key=likeness)


def _healthy(mark: str, size: int) -> Response:
    """The answer to a canary: it holds the mark, and has as many bytes as the largest answer of a route."""
    body = orjson.dumps({"routes": [{"id": f"canary{mark}"}], "filling": ""})
    return Response.of_json(200, body[:-2] + b"." * max(0, size - len(body)) + body[-2:])
