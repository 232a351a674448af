"""Stub mappings of WireMock as routes. What is not understood is refused by name, never ignored.

Of stubs with the same priority WireMock lets the most recently added one answer, and it adds them as it reads its
files. Here files are read in the order of their names, folder by folder, and the stub that is read last answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from harness.rundir.planned.routes import PlannedCondition, PlannedRoute
from harness.units import format_things
from harness.upstreams.routes.routes_read import ROUTES_MOST, RoutesRead, UnreadableRoutes
from harness.upstreams.routes.wiremock.nodes import StubPlace, StubReading, kind_of_json, members, whole_number_of
from harness.upstreams.routes.wiremock.requests import read_request
from harness.upstreams.routes.wiremock.responses import FRAMING, STATUS_MESSAGE, TEMPLATE, read_response
from harness.upstreams.routes.wiremock.stub_folder import StubFolder

PRIORITY: Final = 5
"""Of a stub that says nothing; the lowest number answers."""
_PRIORITY_MOST: Final = 2**31 - 1
_IGNORED: Final = ("id", "uuid", "name", "persistent", "metadata", "insertionIndex")
"""They change no answer. WireMock writes `insertionIndex` when it saves a stub, and counts anew when it reads it."""
_NOT_SUPPORTED: Final = {
    "newScenarioState": "scenarios are",
    "postServeActions": "actions after an answer are",
    "requiredScenarioState": "scenarios are",
    "scenarioName": "scenarios are",
    "serveEventListeners": "actions after an answer are",
}
_NOTES: Final = {
    STATUS_MESSAGE: "`statusMessage` is not sent",
    FRAMING: "headers that frame an answer, such as `Content-Length`, are left out because the fake sets its own",
    TEMPLATE: "`{{` is sent as it is written because response templates are not filled in",
}


def read_wiremock(path: Path) -> RoutesRead:
    """The stubs of a folder that holds `mappings/` and `__files/`, of a folder of .json files, or of one file.

    Raises UnreadableRoutes if there is none, if there are too many, or with the first of all things that are not
    understood.
    """
    reading = StubReading()
    folder = StubFolder.open(path, reading)
    routes: list[PlannedRoute] = []
    number = 0
    for file, document in folder.documents():
        for place, stub in _stubs(document, file):
            if number >= ROUTES_MOST:
                raise UnreadableRoutes(
                    f"{folder.given} has more than {ROUTES_MOST:,} stub mappings", "keep those that the service calls"
                )
            routes.append(_route(stub, place, folder, number))
            number += 1
    reading.check()
    if not routes:
        raise UnreadableRoutes(
            f"{folder.given} has no stub mappings",
            "name the folder that holds `mappings/`, or a .json file with a stub or `mappings`",
        )
    return RoutesRead(tuple(routes), tuple(_notes(reading, routes)))


def _stubs(document: Any, place: StubPlace) -> Iterator[tuple[StubPlace, Any]]:
    if not isinstance(document, dict) or "mappings" not in document:
        yield place, document
        return
    found = members(document, place, ("mappings", "meta")).get("mappings", [])
    here = place.at("mappings")
    if not isinstance(found, list):
        here.refuse(f"expected a list, not {kind_of_json(found)}")
        return
    for number, stub in enumerate(found):
        yield here.at(number), stub


def _route(stub: Any, place: StubPlace, folder: StubFolder, number: int) -> PlannedRoute:
    """What was refused has a harmless default in the route, which is not used then."""
    given = members(stub, place, ("priority", "request", "response", *_IGNORED), _NOT_SUPPORTED)
    if isinstance(stub, dict):
        for key in ("request", "response"):
            if key not in given:
                place.refuse(f"a stub mapping has a `{key}`, if only {{}}")
    priority = whole_number_of(given.get("priority", PRIORITY), place.at("priority"), -_PRIORITY_MOST, _PRIORITY_MOST)
    request = read_request(given.get("request", {}), place.at("request"))
    response = read_response(given.get("response", {}), place.at("response"), folder)
    return PlannedRoute(
        method=request.method,
        path=request.path,
        answers=(response.answer,),
        conditions=request.conditions,
        rank=(priority or 0, -number),
        profile=response.profile,
    )


def _notes(reading: StubReading, routes: list[PlannedRoute]) -> Iterator[str]:
    for name, sentence in _NOTES.items():
        if reading.seen[name]:
            yield f"{sentence} ({format_things(reading.seen[name], 'stub')})"
    hidden = sum(count - 1 for count in Counter(map(_asked, routes)).values())
    if hidden:
        yield (
            f"{format_things(hidden, 'stub')} cannot answer, because a later one has the same request and priority; "
            "files are read in the order of their names"
        )


def _asked(route: PlannedRoute) -> tuple[int, str, str, frozenset[PlannedCondition]]:
    priority, _ = route.rank or (0, 0)
    return priority, route.method, route.path, frozenset(route.conditions)
