"""What every command prints the same way: errors for people on stderr, or as one JSON document on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.errors import Problem, ScenarioError, TailgateError, UsageError

if TYPE_CHECKING:
    from harness.results import MatrixResults, Results
    from harness.suite import Judged


def document(value: Any) -> None:
    """The one JSON document of `--json`."""
    sys.stdout.write(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def error(exc: TailgateError, *, as_json: bool) -> None:
    if as_json:
        if isinstance(exc, ScenarioError):
            problems = [_problem(problem) for problem in exc.problems]
        else:
            problems = [_problem(Problem("", 0, 0, "", exc.message, exc.fix))]
        document({"schema_version": 1, "kind": "error", "exit_code": exc.exit_code, "problems": problems})
        return
    if isinstance(exc, ScenarioError):
        for problem in exc.problems:
            click.echo(spell(problem), err=True)
        click.echo(exc.message, err=True)
        return
    click.echo(f"error: {exc.message}", err=True)
    if exc.fix:
        click.echo(f"fix: {exc.fix}", err=True)


def usage_error(exc: click.ClickException, *, as_json: bool) -> None:
    hint = f"see {exc.ctx.command_path} --help" if isinstance(exc, click.UsageError) and exc.ctx else ""
    error(UsageError(exc.format_message(), hint), as_json=as_json)


def spell(problem: Problem, kind: str = "error") -> str:
    """`file:line:col: error: …`, the line with a caret under the place, and the fix."""
    where = f"{problem.file}:{problem.line}:{problem.col}" if problem.line else problem.file
    lines = [f"{where}: {kind}: {problem.message}"]
    if problem.source:
        margin = f"{problem.line:>5} | "
        lines.append(f"{margin}{problem.source}")
        lines.append(f"{' ' * (len(margin) - 2)}| {' ' * max(problem.col - 1, 0)}^")
    if problem.fix:
        lines.append(f"  fix: {problem.fix}")
    return "\n".join(lines)


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
    from harness.cli import summary
    from harness.cli.matrix_summary import matrix_lines
    from harness.results import MatrixResults, canonical_json

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
            click.echo(summary.verdict_line(results, one.folder))
        elif isinstance(results, MatrixResults):
            click.echo("\n".join(matrix_lines(results, one.folder, paint)))
        else:
            click.echo("\n".join(summary.run_lines(results, one.folder, paint)))
    for one in judged:
        if one.results is None:
            click.echo(f"not judged: {one.folder}; `tailgate judge {one.folder}` does it", err=True)


def _suite(results: Sequence[Results | MatrixResults], code: int) -> dict[str, Any]:
    """Several scenarios in one call, or none that was judged."""
    from harness.results import canonical_json

    runs = [json.loads(canonical_json(one)) for one in results]
    return {"schema_version": 1, "kind": "suite", "exit_code": code, "runs": runs}
