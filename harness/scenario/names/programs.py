"""Checks that the program of a command exists, and what it starts in turn: the script of an interpreter, the program of
`env`.

It refuses only what cannot start for certain: a script whose name ends as one and that does not exist, and a program
that is not on PATH. Options before them, templates and variables are not looked into.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

from harness.scenario.source.diagnostics import Diagnostic
from harness.scenario.source.diagnostics import Path as TreePath

_INTERPRETER: Final = re.compile(r"(?:python|pypy)[0-9.]*|(?:ba|da|z|k)?sh|node|nodejs")
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh")
_SCRIPT: Final = re.compile(r".*\.(?:py|sh|js|mjs|cjs)", re.DOTALL)
_FOUND_AS: Final = ("", ".js", ".json", ".node")
"""What Node.js appends to the name of a script that does not exist."""
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=", re.DOTALL)


def program_findings(
    command: Sequence[str], env: Mapping[str, str], cwd: str, of: TreePath = ("service",)
) -> Iterator[Diagnostic]:
    """Checks that the program of a command exists and is executable, unless a template or variable names it. `of`: the
    part of the scenario that has the command. `env`: its variables, above those of this process."""
    at = (*of, "command")
    program = command[0]
    path = env.get("PATH", os.environ.get("PATH", os.defpath))
    if not program or "{" in program or (os.sep not in program and "{" in path):
        return
    if os.sep not in program:
        if shutil.which(program, path=path) is not None:
            yield from _script_findings(command, env, cwd, of)
        else:
            fix = "install it, activate its environment, or give its path, such as ./app"
            if (Path(cwd) / program).is_file():
                fix = f"write ./{program}: a program without / in its name is searched on PATH only"
            yield Diagnostic(at, f"the program `{program}` was not found on PATH", fix)
        return
    found = Path(cwd) / program
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        fix = "the path is relative to `cwd`, by default this file's folder"
        yield Diagnostic(at, f"the program {found} {what}", fix)
    elif not os.access(found, os.X_OK):
        fix = f"chmod +x {shlex.quote(str(found))}, or name its interpreter first"
        yield Diagnostic(at, f"the program {found} is not executable", fix)
    else:
        yield from _script_findings(command, env, cwd, of)


def _script_findings(command: Sequence[str], env: Mapping[str, str], cwd: str, of: TreePath) -> Iterator[Diagnostic]:
    path = env.get("PATH", os.environ.get("PATH", os.defpath))
    started = _after_env(command)
    if not started or "{" in path:
        return
    program = started[0]
    if len(started) < len(command) and not _is_unknown(program) and _is_missing(program, path, cwd):
        fix = "install it, activate its environment, or give its path, such as ./app"
        yield Diagnostic((*of, "command"), f"`env` cannot find the program `{program}`", fix)
        return
    name = PurePath(program).name
    script = started[1] if len(started) > 1 and _INTERPRETER.fullmatch(name) else ""
    if not script or script.startswith("-") or _is_unknown(script) or not _SCRIPT.fullmatch(script):
        return
    found = Path(cwd) / script
    on_path = (
        name in _SHELLS and os.sep not in script and any((Path(each) / script).exists() for each in _folders(path))
    )
    if not on_path and not any(Path(f"{found}{more}").exists() for more in _FOUND_AS):
        fix = "the path is relative to `cwd`, by default this file's folder"
        yield Diagnostic((*of, "command"), f"the script {found} does not exist, so `{name}` cannot start it", fix)


def _after_env(command: Sequence[str]) -> Sequence[str]:
    """The command that `env NAME=VALUE … COMMAND` starts, or the whole command; empty where that cannot be known."""
    if not command or PurePath(command[0]).name != "env":
        return command
    for index, word in enumerate(command[1:], start=1):
        assigned = _ASSIGNMENT.match(word)
        if assigned is None:
            return () if word.startswith("-") else command[index:]
        if assigned[1] == "PATH":
            return ()
    return ()


def _is_unknown(word: str) -> bool:
    """Whether a template or a variable stands in it."""
    return "{" in word or "$" in word


def _is_missing(program: str, path: str, cwd: str) -> bool:
    if os.sep in program:
        return not (Path(cwd) / program).exists()
    return shutil.which(program, path=path) is None


def _folders(path: str) -> list[str]:
    return [folder for folder in path.split(os.pathsep) if folder]
