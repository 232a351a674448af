"""The upstreams that tailgate starts, as children: their commands, their readiness, and what to say if they fail.

Each is ready before the service starts. What it says about itself goes to its own log, redacted like the service's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir.manifest import UPSTREAM_PREFIX, how_ended, part_of
from harness.rundir.plan import StackPlan
from harness.rundir.planned.upstream import PlannedUpstream
from harness.secrets.expand import Expander
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import probe
from harness.stack.processes.process import ChildProcess
from harness.stack.processes.service import check_command
from harness.units import duration_literal

GRACE_S: Final = 2.0
HOST: Final = "127.0.0.1"


def specs(plan: StackPlan, run_dir: Path, environ: Mapping[str, str], expand: Expander) -> dict[str, ProcessSpec]:
    """How each command is started, by the upstream's name. Raises UsageError and RigError."""
    return {upstream.name: spec(upstream, run_dir, environ, expand) for upstream in plan.upstreams if upstream.command}


def spec(upstream: PlannedUpstream, run_dir: Path, environ: Mapping[str, str], expand: Expander) -> ProcessSpec:
    """How the command of one upstream is started. Raises UsageError and RigError."""
    command = upstream.command
    assert command is not None
    env = {**environ, **{name: expand(value) for name, value in command.env.items()}}
    argv = tuple(expand(word) for word in command.argv)
    cwd = Path(command.cwd).absolute()
    name = f"{UPSTREAM_PREFIX}{upstream.name}"
    whose, at = f"the upstream `{upstream.name}`", f"upstreams.{upstream.name}"
    check_command(argv[0], cwd, env, whose=whose, at=at, part=part_of(name))
    return ProcessSpec(name, argv, env, cwd, run_dir / "logs" / f"{name}.log")


async def ready(upstream: PlannedUpstream, child: ChildProcess, within_ms: float | None = None) -> float:
    """Milliseconds until it was ready. `within_ms`: None for the plan's own limit. Raises RigError, which has the end
    of its log, if it is not ready in time."""
    command = upstream.command
    assert command is not None
    within_s = (within_ms or command.ready_within_ms) / 1000
    try:
        if command.ready_path is None:
            return await probe.until_connected(HOST, command.port, within_s, child)
        url = f"http://{HOST}:{command.port}{command.ready_path}"
        return await probe.until_answered(url, within_s=within_s, child=child, method=command.ready_method)
    except probe.NotReady as exc:
        raise _never_ready(upstream, child, str(exc)) from exc


def _never_ready(upstream: PlannedUpstream, child: ChildProcess, why: str) -> RigError:
    command = upstream.command
    assert command is not None
    lines = "".join(f"\n  {line}" for line in child.log_excerpt())
    if not child.alive:
        return RigError(
            f"the command of the upstream `{upstream.name}` {how_ended(child.code.result())} before it was ready"
            + (lines or "; its log is empty"),
            f"run it by hand; its log is {child.log_place}",
            part=part_of(child.name),
        )
    asked = f"{command.ready_method} {command.ready_path}" if command.ready_path else "a TCP connection"
    return RigError(
        f"the upstream `{upstream.name}` was not ready within {duration_literal(command.ready_within_ms)}: {asked} on "
        f"port {command.port}: {why}" + lines,
        f"see {child.log_place}; does it listen on {{port}}? `ready` sets what is asked and how long",
        part=part_of(child.name),
    )
