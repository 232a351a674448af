"""Which calls a fault with a `route` may hit: by the number of a fake's route, or by METHOD PATH where there are
none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fake_backends.providers.exchange import IncomingRequest
from fake_backends.routing.router import Router
from harness.rundir.planned.routes import ANY_PATH, PlannedRoute, method_and_path


@dataclass(frozen=True, slots=True)
class AskedRoute:
    """What a call asks for. `number`: of the route that answers it; None if no route does."""

    method: str
    path: str
    raw_path: str = ""
    number: int | None = None


RouteTest = Callable[[AskedRoute], bool]


def route_test(route: str, names: Sequence[str]) -> RouteTest:
    """`names`: of a fake's routes, by their number. Without any, `route` is a pattern for method and path."""
    if names:
        numbers = frozenset(number for number, name in enumerate(names) if name == route)
        # where a route for any path answers with an error, the call counts as one without a route
        is_for_the_rest = method_and_path(route)[1] == ANY_PATH
        return lambda asked: asked.number in numbers or (is_for_the_rest and asked.number is None)
    method, path = method_and_path(route)
    router = Router([PlannedRoute(method=method, path=path, answers=())])
    return lambda asked: router.find(IncomingRequest(asked.method, asked.path, raw_path=asked.raw_path)) is not None
