"""What every command prints the same way: errors for people on stderr, or as one JSON document on stdout.

Whatever names, texts and log lines are in it, nothing printed here acts on a terminal or begins a line of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from harness.errors import Problem, ScenarioError, TailgateError, UsageError
from harness.text import MESSAGE_MOST, escape_control, json_text, one_line, paragraph

if TYPE_CHECKING:
    from harness.run.invocation import Judged
    from harness.rundir.results import MatrixResults, Results


PROBLEMS_MOST: Final = 50
"""For people; programs get all."""
_PATH_MOST: Final = 4_096
_LINES_MOST: Final = 10_000
_EXCERPT: Final = 160
"""Characters of a scenario's line that are shown around the place of a problem."""


def document(value: Any) -> None:
    """The one JSON document of `--json`."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(json_text(value, ascii_only=not unicode) + "\n")


def say(text: str, *, err: bool = False) -> None:
    """Lines for people around texts of others, which may hold anything."""
    click.echo(paragraph(text, lines=_LINES_MOST), err=err)


def error(exc: TailgateError, *, as_json: bool) -> None:
    if as_json:
        if isinstance(exc, ScenarioError):
            problems = [_problem(problem) for problem in exc.problems]
        else:
            problems = [_problem(Problem("", 0, 0, "", exc.message, exc.fix))]
        document({"schema_version": 1, "kind": "error", "exit_code": exc.exit_code, "problems": problems})
        return
    if isinstance(exc, ScenarioError):
        for problem in exc.problems[:PROBLEMS_MOST]:
            click.echo(spell(problem), err=True)
        if len(exc.problems) > PROBLEMS_MOST:
            click.echo(f"… and {len(exc.problems) - PROBLEMS_MOST:,} more, which --json lists", err=True)
        click.echo(exc.message, err=True)
        return
    click.echo(paragraph(f"error: {exc.message}"), err=True)
    if exc.fix:
        say(f"fix: {exc.fix}", err=True)


def usage_error(exc: click.ClickException, *, as_json: bool) -> None:
    hint = f"see {exc.ctx.command_path} --help" if isinstance(exc, click.UsageError) and exc.ctx else ""
    error(UsageError(exc.format_message(), hint), as_json=as_json)


def spell(problem: Problem, kind: str = "error") -> str:
    """`file:line:col: error: …`, the line with a caret under the place, and the fix."""
    file = one_line(problem.file, _PATH_MOST)
    where = f"{file}:{problem.line}:{problem.col}" if problem.line else file
    lines = [f"{where}: {kind}: {one_line(problem.message, MESSAGE_MOST)}"]
    if problem.source:
        margin = f"{problem.line:>5} | "
        text, column = _excerpt(problem.source, problem.col - 1)
        lines.append(f"{margin}{text}")
        lines.append(f"{' ' * (len(margin) - 2)}| {' ' * column}^")
    if problem.fix:
        lines.append(f"  fix: {one_line(problem.fix, MESSAGE_MOST)}")
    return "\n".join(lines)


def _excerpt(source: str, at: int) -> tuple[str, int]:
    """What is shown of a line, and the column of the caret in it: hidden characters are wider when spelled out."""
    start = max(0, min(at - _EXCERPT // 2, len(source) - _EXCERPT))
    before = ("…" if start else "") + one_line(source[start : max(at, 0)])
    after = one_line(source[max(at, start) : start + _EXCERPT]) + ("…" if start + _EXCERPT < len(source) else "")
    return before + after, len(before)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "col": problem.col,
        "path": problem.path,
        "message": problem.message,
        "fix": problem.fix,
    }


def outcomes(judged: Sequence[Judged], code: int, *, as_json: bool, quiet: bool) -> None:
    """What `run` says when all is over: one document, or one line a scenario, or their summaries."""
    from harness.cli.display import summary
    from harness.cli.display.matrix_summary import matrix_lines
    from harness.rundir.results import MatrixResults, canonical_json

    finished = [(one, one.results) for one in judged if one.results]
    if as_json and len(judged) == len(finished) == 1:
        click.echo(canonical_json(finished[0][1]), nl=False)
        return
    if as_json:
        document(_suite([results for _, results in finished], code))
        return
    paint = summary.painter()
    for one, results in finished:
        if quiet:
            lines = [summary.verdict_line(results, one.folder)]
        elif isinstance(results, MatrixResults):
            lines = matrix_lines(results, one.folder, paint)
        else:
            lines = summary.run_lines(results, one.folder, paint)
        click.echo("\n".join(map(escape_control, lines)))
    for one in judged:
        if one.results is None:
            say(f"not judged: {one.folder}; `tailgate judge {one.folder}` does it", err=True)


def _suite(results: Sequence[Results | MatrixResults], code: int) -> dict[str, Any]:
    """Several scenarios in one call, or none that was judged."""
    from harness.rundir.results import canonical_json

    runs = [json.loads(canonical_json(one)) for one in results]
    return {"schema_version": 1, "kind": "suite", "exit_code": code, "runs": runs}
