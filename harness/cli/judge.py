"""`tailgate judge RUN_DIR…`: judges finished runs again, from their evidence alone."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("judge")
@click.argument(
    "run_dirs", nargs=-1, required=True, type=click.Path(file_okay=False, path_type=Path), metavar="RUN_DIR…"
)
@click.option("--json", "as_json", is_flag=True, help="The results as one JSON document on stdout.")
def judge_command(run_dirs: tuple[Path, ...], as_json: bool) -> int:
    """Judge finished runs again, from their evidence alone.

    One run directory: its results.json is written again, with the same bytes. Several runs of one
    scenario are pooled (counts add up), and nothing is written. A matrix directory: every cell, and the
    matrix as a whole.
    """
    from harness import verdict
    from harness.cli.display import summary
    from harness.cli.display.matrix_summary import matrix_lines
    from harness.errors import UsageError
    from harness.evidence import Evidence, Pool
    from harness.rundir.results import MatrixResults, Results, canonical_json
    from harness.text import escape_control

    folder = run_dirs[0]
    results: Results | MatrixResults
    if len(run_dirs) > 1:
        if matrices := [run_dir for run_dir in run_dirs if verdict.is_matrix(run_dir)]:
            raise UsageError(f"{matrices[0]} is a matrix; only single runs are pooled", "judge it by itself")
        results = verdict.judge(Pool.of(*(Evidence.load(run_dir) for run_dir in run_dirs)))
        folder = run_dirs[-1]
    elif verdict.is_matrix(folder):
        results = verdict.judge_matrix(folder)
    else:
        results = verdict.write_any(folder)
    if as_json:
        click.echo(canonical_json(results), nl=False)
    else:
        show = summary.painter()
        lines = (
            matrix_lines(results, folder, show)
            if isinstance(results, MatrixResults)
            else summary.run_lines(results, folder, show)
        )
        click.echo("\n".join(map(escape_control, lines)))
    return results.exit_code
