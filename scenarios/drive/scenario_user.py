"""The user class for `request` and `requests` of a scenario. Its one task sends the request of its arrival.

The request and the row of data depend only on the seed and on the arrival's stream and number in it, so that the judge
can compute them. The class keeps no cookies, since arrivals are independent of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locust import FastHttpUser, task

from harness.errors import RigError
from harness.rundir.plan import Plan, PlannedRequest
from scenarios.drive.instrumentation import context_of
from scenarios.drive.template import compile_template, read_rows

Fill = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with its templates compiled."""

    name: str
    method: str
    path: Fill
    headers: tuple[tuple[str, Fill], ...]
    body: Fill | None


class ScenarioUser(FastHttpUser):
    """Abstract until `scenario_user` has given it the requests of a plan."""

    abstract = True
    concurrency = 1
    prepared: tuple[Prepared, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ({},)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.client.client.cookiejar = None

    @task
    def ask(self) -> None:
        arrival = context_of(self).arrival
        if arrival is None:
            raise RuntimeError("a request of the scenario needs an arrival, and there is none")
        request = self.prepared[arrival.request]
        row = self.rows[arrival.turn % len(self.rows)]
        self.client.request(
            request.method,
            request.path(row),
            name=request.name,
            headers={name: fill(row) for name, fill in request.headers},
            data=None if request.body is None else request.body(row),
        )


def scenario_user(plan: Plan, expand: Callable[[str], str]) -> type[ScenarioUser]:
    """The class for one plan. `expand` fills in `${VAR}`. Raises RigError if the data file cannot be used."""
    columns: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ({},)
    try:
        if plan.load.data is not None:
            columns, rows = read_rows(Path(plan.load.data))
        prepared = tuple(_prepared(request, columns, expand) for request in plan.load.requests)
    except (OSError, ValueError) as exc:
        raise RigError(f"load.data: {exc}") from exc
    return type("PlannedUser", (ScenarioUser,), {"abstract": False, "prepared": prepared, "rows": rows})


def _prepared(request: PlannedRequest, columns: tuple[str, ...], expand: Callable[[str], str]) -> Prepared:
    def template(text: str) -> Fill:
        expanded = expand(text)
        return compile_template(expanded, columns) if columns else lambda _row: expanded

    return Prepared(
        name=request.name,
        method=request.method,
        path=template(request.path),
        headers=tuple((name, template(value)) for name, value in request.headers.items()),
        body=None if request.body is None else template(request.body),
    )
