"""What a worker checks of the plan that it was given, before it does anything with it."""

from __future__ import annotations

import re
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import UsageError
from harness.remote.messages import Welcome
from harness.remote.roster import digest_of
from harness.rundir.plan import Plan
from harness.scenario.schema.locust_options import refused_word
from harness.secrets.expand import Expander, references_of, refuse_unsendable_requests
from harness.target_allowlist import refuse_foreign_targets
from harness.units import format_count
from scenarios.drive.command import own_share

if TYPE_CHECKING:
    from harness.worker.agent import WorkerOptions

_TARGET: Final = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?(/[^\s@\\]*)?")
"""With it and a path that begins with a slash, no client can take another host for the one that was allowed."""

_OTHER_FILES: Final = 64
"""Open files of the Locust process beside one for each open request."""


def accepted_plan(message: Welcome, options: WorkerOptions, environ: Mapping[str, str]) -> Plan:
    """The plan with this machine's own files in it. Raises UsageError for one that the worker does not accept."""
    try:
        plan = Plan.model_validate_json(message.plan)
    except ValueError as exc:
        raise UsageError("the plan of the run cannot be read here", "use the same version everywhere") from exc
    if not _TARGET.fullmatch(plan.gateway.target):
        raise UsageError(f"{plan.gateway.target} is no plain address of a service", "see `service.url` of the scenario")
    refuse_foreign_targets([plan.gateway.target], options.allowed)
    if refused := refused_word(plan.load.locust_options):
        raise UsageError(f"{refused} is no option of a locustfile", "see load.locust_options of the scenario")
    own = {
        "locustfile": _own(plan.load.locustfile, options.locustfile, message.locustfile_sha256, "--locustfile"),
        "allowed_targets": options.allowed,
        "data": _own(plan.load.data, options.data, message.data_sha256, "--data"),
    }
    plan = plan.model_copy(update={"load": plan.load.model_copy(update=own)})
    expand = Expander(environ)
    for text in references_of(plan):
        expand(text)
    paths = [request.path for request in plan.load.requests if plan.load.locustfile is None]
    for path in (*paths, *((plan.load.login.path,) if plan.load.login else ())):
        if not expand(path).startswith("/"):
            raise UsageError(f"{path} is no path on {plan.gateway.target}", "begin it with a slash")
    refuse_unsendable_requests(plan, environ)
    _refuse_too_few_files(own_share(plan.load.max_in_flight, plan.load.workers, message.index))
    return plan


def _refuse_too_few_files(sockets: int) -> None:
    """Raises UsageError if this machine does not allow as many open files as the worker's share of the slots needs."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and sockets + _OTHER_FILES > most:
        raise UsageError(
            f"this worker may need {format_count(sockets + _OTHER_FILES)} open files, and its limit is "
            f"{format_count(most)}",
            "raise the limit (ulimit -Hn), or lower load.max_in_flight",
        )


def _own(planned: str | None, own: Path | None, sha256: str | None, option: str) -> str | None:
    """The absolute path of this machine's copy of a file that the plan names; None if it names none."""
    if planned is None:
        return None
    name = Path(planned).name
    if own is None:
        raise UsageError(f"the load uses {name}, of which this worker was given no copy", f"add {option} FILE")
    try:
        digest = digest_of(str(own))
    except OSError as exc:
        raise UsageError(f"{own} cannot be read: {exc.strerror}", f"name a copy of {name} with {option}") from exc
    if digest != sha256:
        raise UsageError(f"{own} is not the {name} of the run: their digests differ", f"copy {name} to this machine")
    return str(own.absolute())
