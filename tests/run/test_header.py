"""The line on the run that begins."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from harness.run.run import header
from harness.rundir.plan import Plan
from harness.toxiproxy.find import NONE
from scenarios.drive import command
from tests.rundir.recording import make_plan


@pytest.mark.parametrize(
    ("installed", "changes", "says"),
    [
        (True, {}, False),
        (False, {}, True),
        (False, {"locustfile": "/x/locustfile.py"}, False),
        (False, {"model": "closed", "schedule": None, "users": 3}, False),
    ],
)
def test_a_client_that_costs_more_is_named(
    monkeypatch: pytest.MonkeyPatch, installed: bool, changes: dict[str, object], says: bool
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: ModuleSpec(name, None) if installed else None)
    plan = make_plan()
    plan = Plan.model_validate({**plan.model_dump(), "load": {**plan.load.model_dump(), **changes}})
    assert ("sent by FastHttpUser, since pycurl is not installed" in header(plan, NONE)) is says
    ours = plan.load.locustfile is None and plan.load.model == "open"
    assert command.sends_by_libcurl(plan.load) is (installed and ours)
