"""Checks the `route` of a fault: does each of its upstreams have such a route, or can it be one? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import PydanticCustomError

from harness.faults import Fault
from harness.model.value_types import did_you_mean
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs


def route_findings(
    scenario: Scenario, inputs: Mapping[str, UpstreamInputs], fault: Fault, index: int
) -> Iterator[Diagnostic]:
    """A fake with routes has the one that is named; for every other upstream it is METHOD PATH with `{param}`."""
    if fault.route is None:
        return
    from harness.upstreams.routes.written import check_request_pattern  # a late import, since most faults have no route

    path, route = ("faults", index, "route"), fault.route.strip()
    try:
        spelled = check_request_pattern(route)
    except PydanticCustomError as exc:
        context = exc.context or {}
        yield Diagnostic(path, str(context.get("message", exc)), str(context.get("fix", "")))
        return
    if spelled != route:
        yield Diagnostic(path, f"`{route}` is not spelled as a route", f"write {spelled}")
        return
    for name in fault.hits(scenario.upstreams):
        names = list(dict.fromkeys(each.name for each in inputs.get(name, NO_INPUTS).routes))
        if names and route not in names:
            yield Diagnostic(path, f"{name} has no route `{route}`", did_you_mean(route, names))
