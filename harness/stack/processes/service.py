"""The service under test as a child: its command, its environment, and what is kept of them.

A rung of the reference aggregator is a command like any other here; it is never imported. A service
given by `url` has no child. Nothing here changes the service's limits or adds to its environment
beyond what the plan says, except TAILGATE_RUN.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir.manifest import SERVICE
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander
from harness.stack.processes.process import ChildProcess, ProcessSpec
from harness.units import duration_literal

NAME: Final = SERVICE
GRACE_S: Final = 3.0


def spec(plan: Plan, run_dir: Path, environ: Mapping[str, str], expand: Expander) -> ProcessSpec | None:
    """How the service is started; None for a service that runs already. Raises UsageError, RigError."""
    service = plan.service
    if service.kind == "url" or not service.argv:
        return None
    env = {**environ, **{name: expand(value) for name, value in service.env.items()}}
    argv = tuple(expand(word) for word in service.argv)
    cwd = Path(service.cwd).absolute()
    _check_command(argv[0], cwd, env)
    return ProcessSpec(NAME, argv, env, cwd, run_dir / "logs" / f"{NAME}.log", raise_limits=False)


def write_env(plan: Plan, run_dir: Path) -> None:
    """sut.env: what the service was told and how it was started; `${VAR}` stands for its value. May raise OSError."""
    service = plan.service
    lines = [f"# cd {shlex.quote(service.cwd)} && {shlex.join(service.argv)}"] if service.argv else []
    lines += [f"{name}={_quoted(value)}" for name, value in sorted(service.env.items())]
    (run_dir / "sut.env").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def never_ready(plan: Plan, child: ChildProcess | None, why: str) -> RigError:
    """What to tell of a service that did not get ready: the last lines of its log are what a person looks for."""
    service = plan.service
    asked = f"{service.ready_method} {service.ready_path}"
    if child is None:
        return RigError(
            f"the service at {service.url} was never ready: {asked}: {why}",
            "start it, or mend `service.url` or `service.ready`",
        )
    lines = "".join(f"\n  {line}" for line in child.log_tail())
    if not child.alive:
        code = child.code.result()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return RigError(
            f"the service ended with {how} before it was ready" + (lines or "; its log is empty"),
            f"run it by hand: {shlex.join(service.argv or ())}; its log is {child.log_place}",
        )
    within = duration_literal(service.ready_within_ms)
    return RigError(
        f"the service was not ready within {within}: {asked} on port {service.port}: {why}" + lines,
        f"see {child.log_place}; does it listen on {{port}}? `service.ready` sets what is asked and how long",
    )


def _quoted(value: str) -> str:
    return value if value.isprintable() and not set(value) & set(" \"'#\\") else shlex.quote(value)


def _check_command(word: str, cwd: Path, env: Mapping[str, str]) -> None:
    """Say that a command is not there before anything is started."""
    if not cwd.is_dir():
        raise RigError(f"the service's working folder {cwd} does not exist", "mend `service.cwd` in the scenario")
    if os.sep in word:
        path = cwd / word
        if path.is_file() and os.access(path, os.X_OK):
            return
        what = "may not be executed" if path.is_file() else "does not exist"
        raise RigError(f"the service's command {path} {what}", "mend `service.command` in the scenario")
    if shutil.which(word, path=env.get("PATH", os.defpath)) is None:
        raise RigError(
            f"the service's command `{word}` was not found on PATH",
            "install it, activate its environment, or give its path in `service.command`",
        )
