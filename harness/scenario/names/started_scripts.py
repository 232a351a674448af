"""Checks what a command starts by way of another program: the script of an interpreter, the program of `env`.

It refuses only what cannot start for certain: a script whose name ends as one and that does not exist, and a program
that is not on PATH. Options before them, templates and variables are not looked into.
"""

from __future__ import annotations

import os
import re
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


def script_findings(
    command: Sequence[str], env: Mapping[str, str], cwd: str, of: TreePath = ("service",)
) -> Iterator[Diagnostic]:
    """`of`: the part of the scenario that has the command. `env`: its variables, above those of this process."""
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
