"""Sends the same requests by libcurl and by Locust's FastHttpUser, in a process of its own that Locust may patch.

`python -m tests.drive.both_clients`: reads jobs as JSON from stdin, writes their rows as JSON to stdout. AT_ONCE jobs
run side by side; the requests of one job come in turn.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from locust import events
from locust.env import Environment

from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from scenarios.drive.arrival import Arrival
from scenarios.drive.command import WorkerId
from scenarios.drive.curl.sender import CurlSender
from scenarios.drive.incomplete import IncompleteAnswers
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.models.open_model import Sender
from scenarios.drive.models.task_sender import TaskSender
from scenarios.drive.planned_requests import PlannedRequests
from scenarios.drive.scenario_user import scenario_user
from tests.drive.drive_world import a_plan, fake, get

AT_ONCE = 20
FIELDS = ("seq", "intended", "sent", "first", "done", "answered", "bytes", "status", "request", "waited", "outcome")


class _Rows:
    """In place of a Recorder."""

    def __init__(self) -> None:
        self.rows: list[dict[str, int]] = []

    def add(self, row: tuple[int, ...]) -> None:
        self.rows.append(dict(zip(FIELDS, row, strict=False)))


def plan_of(job: dict[str, Any]) -> Plan:
    request = get(
        job["path"],
        method=job["method"],
        headers=dict(job["headers"]),
        body=job["body"],
        expect_contains=job["contains"],
        asks=(),
    )
    return a_plan(
        job["url"],
        requests=(request,),
        upstreams=(fake("azure", 0), fake("gcp", 1)),
        complete="auto",
        client_cap_ms=job["deadline_ms"],
    )


def run(job: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    plan, rows = plan_of(job), _Rows()
    place = WorkerId(folder, 0)
    instrumentation = Instrumentation(plan, rows, IncompleteAnswers(plan, place))  # type: ignore[arg-type]
    planned = PlannedRequests(plan, str)
    sender: Sender
    if job["client"] == "libcurl":
        sender = CurlSender(plan, planned, instrumentation)
    else:
        fired = type(events)()
        fired.request.add_listener(instrumentation.on_request)  # type: ignore[no-untyped-call]
        environment = Environment(host=job["url"], events=fired)
        sender = TaskSender(
            plan, place, (scenario_user(planned),), environment=environment, instrumentation=instrumentation
        )
    for turn in range(job["times"]):
        arrival = Arrival(turn, 1, 0, turn)
        instrumentation.open(arrival)
        sender.send(arrival)
        while instrumentation.in_flight:
            gevent.sleep(0.002)
        gevent.sleep(job["pause_s"])
    sender.stop()
    return [_told(row) for row in rows.rows]


def _told(row: dict[str, int]) -> dict[str, Any]:
    return {
        "outcome": Outcome(row["outcome"]).name.lower(),
        "status": row["status"],
        "bytes": row["bytes"],
        "answered": row["answered"],
        "first_ms": (row["first"] - row["sent"]) / 1e6 if row["first"] else None,
        "done_ms": (row["done"] - row["sent"]) / 1e6,
    }


def main() -> None:
    jobs = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(AT_ONCE)
        running = [pool.spawn(run, job, Path(folder)) for job in jobs]
        gevent.joinall(running, raise_error=True)
    json.dump([each.value for each in running], sys.stdout)


if __name__ == "__main__":
    main()
