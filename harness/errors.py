"""Every error that tailgate raises on purpose, with its exit code and a fix.

    TailgateError (never raised itself)
     ├── UsageError 2 the command line or a file it names cannot be used ├── ScenarioError 2 the scenario has problems:
     all of them at once, each with its position ├── ServiceGone 1 the service under test ended after it had been ready
     ├── RigError 4 the rig, not the service, is at fault: no verdict can be trusted └── Interrupted 130 the user or the
     system ended the run

The adapter that calls foreign code translates its exceptions into these.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.text import paragraph


class TailgateError(Exception):
    """An error for the user: what happened (`message`) and how to fix it (`fix`)."""

    exit_code = 4

    def __init__(self, message: str, fix: str = "") -> None:
        message, fix = paragraph(message), paragraph(fix)  # they may quote a log or a server's answer
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\nfix: {self.fix}" if self.fix else self.message


class UsageError(TailgateError):
    exit_code = 2


class ServiceGone(TailgateError):
    exit_code = 1


class RigError(TailgateError):
    """`part`: what failed, for people: `upstream cache`, `gateway`; empty: the message says it."""

    exit_code = 4

    def __init__(self, message: str, fix: str = "", *, part: str = "") -> None:
        super().__init__(message, fix)
        self.part = part


class Interrupted(TailgateError):
    exit_code = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a scenario. `line` and `col` count from 1; 0 means the file as a whole.

    `path` is the dotted path in the document (`faults[0].for`), `source` the text of the line.
    """

    file: str
    line: int
    col: int
    path: str
    message: str
    fix: str = ""
    source: str = ""


class ScenarioError(TailgateError):
    """All problems of one or several scenario files, or of files that a scenario is made from.

    `undone`: what did not happen because of them.
    """

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...], undone: str = "nothing was started") -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}; {undone}")
        self.problems = problems
