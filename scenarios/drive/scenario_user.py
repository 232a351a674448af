"""The user class for `request` and `requests` of a scenario: for the closed model, and where pycurl is missing.

Its one task sends the request of its arrival. The class keeps no cookies, since arrivals are independent of one
another.
"""

from __future__ import annotations

from typing import Any

from locust import FastHttpUser, task

from scenarios.drive.instrumentation import context_of
from scenarios.drive.planned_requests import PlannedRequests


class ScenarioUser(FastHttpUser):
    """Abstract until `scenario_user` has given it the requests of a plan."""

    abstract = True
    concurrency = 1
    planned: PlannedRequests

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.client.client.cookiejar = None

    @task
    def ask(self) -> None:
        arrival = context_of(self).arrival
        if arrival is None:
            raise RuntimeError("a request of the scenario needs an arrival, and there is none")
        request = self.planned.of(arrival)
        self.client.request(
            request.method, request.path, name=request.name, headers=dict(request.headers), data=request.body
        )


def scenario_user(planned: PlannedRequests) -> type[ScenarioUser]:
    """The class for the requests of one plan."""
    return type("PlannedUser", (ScenarioUser,), {"abstract": False, "planned": planned})
