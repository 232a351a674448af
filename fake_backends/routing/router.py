"""Which route answers a request. Compiled once: a literal path costs one lookup, however many routes there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final
from urllib.parse import unquote

from fake_backends.providers.exchange import IncomingRequest
from fake_backends.routing.conditions import Condition
from harness.rundir.planned.routes import ANY_METHOD, ANY_PATH, PlannedRoute, decoded_segment
from harness.upstreams.routes.templates import PARAMETER, params_of

SEGMENTS_MOST: Final = 100
"""A path with more segments matches no route but one for any path."""
_COMPARED_MOST: Final = 8
"""Routes that share most segments with an unmatched path, among which the most similar text is searched."""


@dataclass(frozen=True, slots=True)
class Found:
    """The route's number in the table, and the decoded value of each parameter of its path."""

    route: int
    params: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node:
    """One segment of the paths. `ends`: the routes that end here."""

    literals: dict[str, _Node] = field(default_factory=dict)
    param: _Node | None = None
    ends: list[_Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One route. The one with the lowest `order` answers where several match."""

    order: int
    number: int
    method: str
    conditions: tuple[Condition, ...]
    segments: tuple[str | None, ...]
    """None for a parameter."""

    def accepts(self, request: IncomingRequest, method: str) -> bool:
        return self.method in (method, ANY_METHOD) and all(each.holds(request) for each in self.conditions)


class Router:
    """`find` gives the route of a request. Raises ValueError if a condition is not valid."""

    def __init__(self, routes: Sequence[PlannedRoute]) -> None:
        self._names = [route.name for route in routes]
        self._root = _Node()
        self._of_any_path: list[_Entry] = []
        for order, number in enumerate(sorted(range(len(routes)), key=lambda each: _precedence(routes[each]))):
            self._add(routes[number], order, number)
        self._direct = dict(self._certain(routes))

    def find(self, request: IncomingRequest) -> Found | None:
        """None if no route matches. A HEAD request is answered by the route for GET if there is none for HEAD."""
        if (direct := self._direct.get((request.method, request.path))) is not None:
            return direct
        found = self._best(request, request.method)
        return self._best(request, "GET") if found is None and request.method == "HEAD" else found

    def nearest(self, method: str, path: str) -> str:
        """The name of the route that is most like a request that matches none; empty if there is no route."""
        asked = _segments(path)
        named = [name for name in self._names if name != ANY_PATH]
        ranked = sorted(named, key=lambda name: -_shared(asked, name.partition(" ")[2]))[:_COMPARED_MOST]
        target = f"{method} {path}"[:500]
        return max(ranked, key=lambda name: SequenceMatcher(None, name[:500], target).ratio(), default="")

    def _add(self, route: PlannedRoute, order: int, number: int) -> None:
        parts = () if route.path == ANY_PATH else _template_segments(route.path)
        conditions = tuple(Condition.of(each) for each in route.conditions)
        entry = _Entry(order, number, route.method, conditions, parts)
        if route.path == ANY_PATH:
            self._of_any_path.append(entry)
            return
        node = self._root
        for part in parts:
            if part is None:
                node.param = node.param or _Node()
                node = node.param
            else:
                node = node.literals.setdefault(part, _Node())
        node.ends.append(entry)

    def _certain(self, routes: Sequence[PlannedRoute]) -> Iterator[tuple[tuple[str, str], Found]]:
        """The requests by method and path whose route depends on nothing else."""
        for route in routes:
            if route.path == ANY_PATH or params_of(route.path) or route.method == ANY_METHOD:
                continue
            path = "/".join(segment or "" for segment in _template_segments(route.path))
            matching = sorted(self._matching(_segments(path)), key=lambda entry: entry.order)
            first = next((entry for entry in matching if entry.method in (route.method, ANY_METHOD)), None)
            if first and not first.conditions and "%" not in path:
                yield (route.method, path), Found(first.number)

    def _best(self, request: IncomingRequest, method: str) -> Found | None:
        segments = _segments(request.raw_path or request.path)
        best: _Entry | None = None
        for entry in self._matching(segments):
            if (best is None or entry.order < best.order) and entry.accepts(request, method):
                best = entry
        if best is None:
            return None
        values = zip(segments, best.segments, strict=False)
        return Found(best.number, tuple(unquote(value) for value, part in values if part is None))

    def _matching(self, segments: Sequence[str]) -> Iterator[_Entry]:
        """Every route whose path matches, whatever its method and conditions."""
        yield from self._of_any_path
        if len(segments) > SEGMENTS_MOST:
            return
        nodes = [self._root]
        for segment in segments:
            decoded = decoded_segment(segment)
            nodes = [
                each for node in nodes for each in (node.literals.get(decoded), node.param if segment else None) if each
            ]
        for node in nodes:
            yield from node.ends


def _precedence(route: PlannedRoute) -> tuple[object, ...]:
    """Sorts routes: by rank where they have one; otherwise a literal segment comes before a parameter."""
    if route.rank is not None:
        return (0, *route.rank)
    kinds = tuple(part is None for part in _template_segments(route.path))
    return (1, route.path == ANY_PATH, kinds, route.method == ANY_METHOD)


def _template_segments(path: str) -> tuple[str | None, ...]:
    return tuple(
        None if PARAMETER.fullmatch(segment) else segment.replace("{{", "{").replace("}}", "}")
        for segment in path.split("/")
    )


def _segments(raw_path: str) -> list[str]:
    return raw_path.split("/")


def _shared(asked: Sequence[str], template: str) -> int:
    parts = template.split("/")
    equal = sum(mine == theirs or theirs.startswith("{") for mine, theirs in zip(asked, parts, strict=False))
    return 2 * equal - abs(len(asked) - len(parts))
