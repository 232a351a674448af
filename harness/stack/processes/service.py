"""The service under test as a child: its command, its environment, and their record in the run directory.

A rung of the reference aggregator is a command like any other here; it is never imported. A service given by `url` has
no child. The service's limits stay as they are, and its environment gets only what the plan says, and TAILGATE_RUN.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import RigError
from harness.rundir.manifest import SERVICE, how_ended, part_of
from harness.rundir.plan import StackPlan
from harness.rundir.planned.ca_variables import CA_VARIABLES
from harness.rundir.planned.service import PlannedService
from harness.secrets.expand import Expander
from harness.secrets.names import is_named_like_a_secret
from harness.secrets.redact import REDACTED
from harness.secrets.syntax import REFERENCE
from harness.stack.process_spec import ProcessSpec
from harness.text import MESSAGE_MOST
from harness.units import duration_literal

if TYPE_CHECKING:
    from harness.stack.processes.process import ChildProcess

NAME: Final = SERVICE
ENV_FILE: Final = "sut.env"
GRACE_S: Final = 3.0
_REFERENCE: Final = re.compile(REFERENCE)


def spec(plan: StackPlan, run_dir: Path, environ: Mapping[str, str], expand: Expander) -> ProcessSpec | None:
    """How the service is started; None for a service that runs already. Raises UsageError and RigError."""
    service = plan.service
    if service.kind == "url" or not service.argv:
        return None
    env = {**environ, **{name: expand(value) for name, value in service.env.items()}, **_ca_variables(plan)}
    argv = tuple(expand(word) for word in service.argv)
    cwd = Path(service.cwd).absolute()
    check_command(argv[0], cwd, env)
    return ProcessSpec(NAME, argv, env, cwd, run_dir / "logs" / f"{NAME}.log", raise_limits=False)


def write_env(plan: StackPlan, run_dir: Path) -> None:
    """Write sut.env: the service's environment and its command in shell syntax. `${VAR}` is not expanded.

    Raises OSError.
    """
    service = plan.service
    lines = [f"# cd {shlex.quote(service.cwd)} && {_command(service)}"] if service.argv else []
    given = {**service.env, **_ca_variables(plan)}
    lines += [f"{name}={_assigned(value)}" for name, value in sorted(given.items())]
    (run_dir / ENV_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def never_ready(plan: StackPlan, child: ChildProcess | None, why: str) -> RigError:
    """The error for a service that did not become ready: the end of its log, and a command that starts it by hand."""
    service = plan.service
    asked = f"{service.ready_method} {service.ready_path}"
    if child is None:
        return RigError(
            f"the service at {service.url} was never ready: {asked}: {why}",
            "start it, or mend `service.url` or `service.ready`",
            part=part_of(NAME),
        )
    lines = "".join(f"\n  {line}" for line in child.log_excerpt())
    by_hand = command_by_hand(
        service.model_copy(update={"env": {**service.env, **_ca_variables(plan)}}), child.spec.log.parents[1] / ENV_FILE
    )
    if not child.alive:
        return RigError(
            f"the service {how_ended(child.code.result())} before it was ready" + (lines or "; its log is empty"),
            f"run it by hand; its log is {child.log_place}\n  {by_hand}",
            part=part_of(NAME),
        )
    within = duration_literal(service.ready_within_ms)
    return RigError(
        f"the service was not ready within {within}: {asked} on port {service.port}: {why}" + lines,
        f"see {child.log_place}; does it listen on {{port}}? `service.ready` sets what is asked and how long; "
        f"to start it by hand:\n  {by_hand}",
        part=part_of(NAME),
    )


def command_by_hand(service: PlannedService, env_file: Path) -> str:
    """The shell command that starts the service in its folder and with its environment.

    `${VAR}` stays a reference, which the shell expands. A literal value whose name looks like a secret becomes `***`.
    If the environment is too long for a message, the command reads it from sut.env.
    """
    folder, command = shlex.quote(service.cwd), _command(service)
    env = [f"{name}={_for_a_shell(_masked(name, value))}" for name, value in sorted(service.env.items())]
    if not env:
        return f"cd {folder} && {command}"
    whole = f"cd {folder} && env {' '.join(env)} {command}"
    if len(whole) < MESSAGE_MOST:
        return whole
    return f"(set -a && . {shlex.quote(str(env_file.absolute()))} && cd {folder} && {command})"


def _ca_variables(plan: StackPlan) -> dict[str, str]:
    """The variables by which the service finds the run's certificate authority.

    They take the place of what the scenario or the caller sets: the bundle has the certificates of those files too.
    """
    return dict.fromkeys(CA_VARIABLES, plan.ca_file) if plan.ca_file else {}


def _command(service: PlannedService) -> str:
    return " ".join(map(_for_a_shell, service.argv or ()))


def _assigned(value: str) -> str:
    """`value` for the right side of `NAME=`, where a shell splits no words: quoted only if necessary."""
    plain = _REFERENCE.sub("", value)
    return value if shlex.quote(plain) == plain or not plain else _for_a_shell(value)


def _masked(name: str, value: str) -> str:
    return REDACTED if is_named_like_a_secret(name) and not _REFERENCE.search(value) else value


def _for_a_shell(text: str) -> str:
    """`text` as one shell word. With a reference in it, in double quotes: a shell expands none in single quotes."""
    if not _REFERENCE.search(text):
        return shlex.quote(text)
    pieces = _REFERENCE.split(text)
    # the pattern has two groups, a name and a default: every third piece is plain text
    plain = iter(re.sub(r'([\\"`$])', r"\\\1", piece) for piece in pieces[::3])
    references = iter(match[0] for match in _REFERENCE.finditer(text))
    return f'"{next(plain)}{"".join(ref + rest for ref, rest in zip(references, plain, strict=True))}"'


def check_command(
    word: str,
    cwd: Path,
    env: Mapping[str, str],
    *,
    whose: str = "the service",
    at: str = "service",
    part: str = part_of(NAME),
) -> None:
    """Raises RigError if the command or its folder is missing, before anything is started. `at`: where the scenario has
    it. `part`: as of RigError."""
    if not cwd.is_dir():
        raise RigError(f"{whose}'s working folder {cwd} does not exist", f"mend `{at}.cwd` in the scenario", part=part)
    if os.sep in word:
        path = cwd / word
        if path.is_file() and os.access(path, os.X_OK):
            return
        what = "may not be executed" if path.is_file() else "does not exist"
        raise RigError(f"{whose}'s command {path} {what}", f"mend `{at}.command` in the scenario", part=part)
    if shutil.which(word, path=env.get("PATH", os.defpath)) is None:
        raise RigError(
            f"{whose}'s command `{word}` was not found on PATH",
            f"install it, activate its environment, or give its path in `{at}.command`",
            part=part,
        )
