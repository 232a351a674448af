"""The programs that a run of a scenario starts, and the service that runs already. Nothing is started here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import TailgateError
from harness.run.reach.reached import Reached, failed
from harness.rundir.plan import StackPlan
from harness.rundir.planned.upstream import PlannedUpstream
from harness.secrets.expand import Expander
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import probe, service, upstream_command

ANSWER_S: Final = 5.0
"""For a service that runs already: how long it is given, or less if `service.ready` says less."""
_NO_RUN: Final = Path()
"""Where the logs would be."""


async def service_reach(plan: StackPlan, environ: Mapping[str, str]) -> Reached:
    """Whether the program of the service is there; a service by `url` is asked whether it is ready."""
    what, planned = "service", plan.service
    expand = Expander(environ)
    try:
        if (spec := service.spec(plan, _NO_RUN, environ, expand)) is not None:
            return Reached(what, "ok", _found(spec))
        url = f"{expand(planned.url)}{planned.ready_path}"
        headers = {name: expand(value) for name, value in planned.ready_headers.items()}
        within_s = min(ANSWER_S, planned.ready_within_ms / 1000)
        try:
            await probe.until_answered(url, within_s=within_s, method=planned.ready_method, headers=headers)
        except probe.NotReady as exc:
            raise service.never_ready(plan, None, str(exc)) from exc
    except TailgateError as exc:
        return failed(what, exc)
    return Reached(what, "ok", f"{planned.url} answers {planned.ready_method} {planned.ready_path}")


def command_reach(upstream: PlannedUpstream, environ: Mapping[str, str]) -> Reached:
    """Whether the program of an upstream with `command` is there."""
    what = f"upstream {upstream.name}"
    try:
        return Reached(what, "ok", _found(upstream_command.spec(upstream, _NO_RUN, environ, Expander(environ))))
    except TailgateError as exc:
        return failed(what, exc)


def _found(spec: ProcessSpec) -> str:
    return f"a run starts `{spec.argv[0]}` in {spec.cwd}"
