"""What the load sends, and what must come back, as the plan has it: its requests and its login. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.rundir.planned.load import PlannedRequest
from harness.rundir.planned.login import PlannedLogin
from harness.scenario.planning.timeline import Timeline, own_schedule
from harness.scenario.schema.requests import Expect, Request, SentRequest
from harness.scenario.schema.scenario import Scenario
from harness.scenario.schema.templates import fill, names_in


def planned_requests(scenario: Scenario, timeline: Timeline, values: dict[str, str]) -> tuple[PlannedRequest, ...]:
    """The planned requests. A locustfile counts as one, because its requests are the user's code; that asks whatever
    any of them asks, and has the headers of all."""
    asks = scenario.load.asks
    if scenario.load.locustfile is not None:
        asked = {name for names in asks.values() for name in names} if asks is not None else set(scenario.upstreams)
        headers = {**scenario.service.headers, **scenario.load.headers}
        return (
            PlannedRequest(
                name="locustfile",
                method="GET",
                path="/",
                headers={name: fill(value, values) for name, value in headers.items()},
                asks=tuple(name for name in scenario.upstreams if name in asked),
            ),
        )
    return tuple(_request(scenario, timeline, request, values) for request in scenario.load.written_requests)


def _request(scenario: Scenario, timeline: Timeline, request: Request, values: dict[str, str]) -> PlannedRequest:
    return PlannedRequest(
        name=request.name,
        **_sent(scenario, request, values, scenario.load.headers, filled=scenario.load.login is not None),
        weight=request.weight,
        schedule=own_schedule(request, scenario.load, timeline),
        asks=request.asks if request.asks is not None else tuple(scenario.upstreams),
    )


def _sent(
    scenario: Scenario, request: SentRequest, values: dict[str, str], shared: Mapping[str, str], *, filled: bool
) -> dict[str, Any]:
    """What is sent, and what must come back, as fields of a PlannedRequest or a PlannedLogin.

    `shared`: headers of the load. `filled`: something else than a data file is filled in as well, when it is sent.
    """
    method, path = request.request.split(" ", 1)
    headers = {**scenario.service.headers, **shared, **request.headers}
    body = request.body
    if request.json_body is not None:
        body = json.dumps(request.json_body, ensure_ascii=False)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    keep = filled or scenario.load.data is not None
    expect = request.expect or Expect()
    return {
        "method": method,
        "path": path,
        "headers": {name: fill(value, values, keep_unknown=keep) for name, value in headers.items()},
        "body": body,
        "expect_status": expect.status,
        "expect_contains": expect.contains,
        "expect_lacks": expect.lacks,
    }


def planned_login(scenario: Scenario, columns: Sequence[str], values: dict[str, str]) -> PlannedLogin | None:
    """The planned login. Of the headers of the load it has those that need nothing of what it saves."""
    login = scenario.load.login
    if login is None:
        return None
    shared = {name: text for name, text in scenario.load.headers.items() if not names_in(text) & login.save.keys()}
    sent = _sent(scenario, login.request, values, shared, filled=False)
    texts = (sent["path"], sent["body"] or "", *sent["headers"].values())
    return PlannedLogin(
        **sent,
        save=login.save,
        users=login.users,
        every_ms=login.every_ms,
        by_row=any(names_in(text) & set(columns) for text in texts),
    )
