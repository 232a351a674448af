"""Routes of a fake as a plan has them: what it answers to which request, how fast, and where that was read from.

Routes that a scenario writes are in the plan. Those of a file (`har`, `openapi`, `wiremock`) are not, because recorded
bodies may hold secrets: the plan has the file's path and a digest, and the fakes read the file again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import unquote

from harness.model.frozen import Frozen

ANY_METHOD: Final = "*"
ANY_PATH: Final = "*"
BODILESS: Final = (204, 205, 304)
"""Statuses whose answers have no body."""

ConditionPlace = Literal["url", "path", "query", "header"]
ConditionTest = Literal["equals", "contains", "matches", "absent", "present"]
RouteKind = Literal["routes", "har", "openapi", "wiremock"]
"""Where the routes of a fake come from."""
BrokenAnswer = Literal["empty", "reset", "garbage", "garbage_after_head"]


class PlannedProfile(Frozen):
    """A latency, if p50 and p99 are not enough to describe it; `harness.upstreams.profiles` reads it."""

    kind: str
    numbers_ms: dict[str, float] = {}
    """The settings of the kind, under its own names: `{"least_ms": 50, "p99_ms": 2000}`."""
    points: tuple[tuple[float, float], ...] = ()
    """For a recording: (share of answers, milliseconds that these take at most), both rising."""


class PlannedAnswer(Frozen):
    """One answer of a route. Its body is one of `json_tree`, `text`, `data` and `file`, or is empty.

    Templates (`harness.upstreams.routes.templates`) are filled in in header values and in the strings of `json_tree`,
    and with `template` in `text` and in files.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    """Without Content-Length. Names as written; a Content-Type is added where the body has one."""
    has_json: bool = False
    json_tree: Any = None
    """The body's JSON document, if `has_json`."""
    text: str | None = None
    data: bytes | None = None
    file: str | None = None
    """The absolute path of a file. It may contain parameters of the route: `/data/airports/{code}.json`."""
    template: bool = False
    query: tuple[tuple[str, str], ...] | None = None
    """Of a recording: the query with which this answer was recorded. Among a route's answers, those with the nearest
    query are given in turn. None: the answer is for any query."""
    broken: BrokenAnswer | None = None
    """How the connection breaks in place of a sound answer: closed without a byte, reset, or after garbage."""


class PlannedCondition(Frozen):
    """What a request must have besides method and path. `name`: of the parameter or header, empty for url and path.

    `url` is the path with its query as sent, `path` without it. `value` is a regular expression for `matches` (whole
    string, bounded in time) and unused for `absent` and `present`. Names of headers do not depend on case.
    """

    place: ConditionPlace
    name: str = ""
    test: ConditionTest = "equals"
    value: str = ""
    ignores_case: bool = False


class PlannedRoute(Frozen):
    """One route: the requests that it answers, its answers in turn, and its own latency and capacity."""

    method: str
    """`GET`, or ANY_METHOD."""
    path: str
    """`/v2/airports/{code}`: a segment that is `{param}` as a whole matches any one segment. Other segments are literal
    and percent-decoded, except `%2F`; a brace in them is written twice. ANY_PATH: whatever the path."""
    answers: tuple[PlannedAnswer, ...]
    conditions: tuple[PlannedCondition, ...] = ()
    rank: tuple[int, int] | None = None
    """The route with the lowest rank answers where several match. None: the more specific path does."""
    profile: PlannedProfile | None = None
    """Its latency in health; None: the upstream's."""
    capacity: int | None = None
    """How many calls it works on at once, within the upstream's capacity."""
    recorded: int | None = None
    """The number of recorded exchanges that it was made from."""

    @property
    def name(self) -> str:
        """`GET /v2/airports/{code}`, `* /health`, or `*` for whatever comes."""
        return self.path if self.path == ANY_PATH and self.method == ANY_METHOD else f"{self.method} {self.path}"


def method_and_path(name: str) -> tuple[str, str]:
    """A route's name, `GET /items/{id}` or `*`, in its two parts."""
    method, _, path = name.partition(" ")
    return method, path or ANY_PATH


def decoded_segment(segment: str, errors: str = "replace") -> str:
    """Percent-decoded except for `%2F`, which is no separator. Raises UnicodeDecodeError if `errors` is `strict`."""
    if "%" not in segment:
        return segment
    return "%2F".join(unquote(part, errors=errors) for part in segment.replace("%2f", "%2F").split("%2F"))


class RouteSource(Frozen):
    """Where the routes of a fake come from. `sha256` is the digest of the routes as they were read, not of the file."""

    kind: RouteKind
    routes: tuple[PlannedRoute, ...] = ()
    """Of the kind `routes` only."""
    path: str = ""
    """The absolute path of the file, or the folder of stub mappings."""
    host: str = ""
    """Of a recording: the host whose exchanges are taken."""
    hosts: tuple[str, ...] = ()
    """All hosts that fakes of the run take from this recording, so that it is read once; empty: no further one."""
    sha256: str = ""
    names: tuple[str, ...] = ()
    """The routes' names; a call's row has its route's number in this list."""
    ignores_recorded_latencies: bool = False
    """The scenario says how long the upstream takes, so the file's latencies do not count."""

    def with_latencies(self, routes: Sequence[PlannedRoute]) -> tuple[PlannedRoute, ...]:
        """The routes that were read from the file, without their latencies if these do not count."""
        if not self.ignores_recorded_latencies:
            return tuple(routes)
        return tuple(route.model_copy(update={"profile": None}) for route in routes)
