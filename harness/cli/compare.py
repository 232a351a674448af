"""`tailgate compare BASE HEAD`: is HEAD slower than BASE, surely?"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.display import output


@click.command("compare")
@click.argument("base", type=click.Path(file_okay=False, path_type=Path))
@click.argument("head", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--max-ratio",
    type=click.FloatRange(min=0, min_open=True),
    default=1.1,
    show_default=True,
    help="How many times slower HEAD may be.",
)
@click.option("--allow-unlike", is_flag=True, help="Compare runs that differ in more than the service.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def compare_command(base: Path, head: Path, max_ratio: float, allow_unlike: bool, as_json: bool) -> int:
    """Compare two runs: is HEAD slower than BASE?

    The runs may differ in the service only: same scenario, load, upstreams, faults, gateway and seed. The machine must
    have been as fast for both.

    Exit codes: 0 every quantile is surely within the ratio, 1 one is surely beyond it, 2 the runs are unlike, 3 it is
    undecided, or the machine was faster for one run than for the other.
    """
    from harness.evidence import Evidence
    from harness.rundir.results import canonical_json
    from harness.verdict.comparison import compare

    found = compare(Evidence.load(base), Evidence.load(head), max_ratio, allow_unlike=allow_unlike)
    if as_json:
        click.echo(canonical_json(found), nl=False)
        return found.exit_code
    from harness.units import format_duration

    def latency(ms: float | None) -> str:
        return "∞" if ms is None else format_duration(ms)

    for difference in found.differences:
        output.say(f"unlike: {difference.text}")
    width = max(len(row.phase) for row in found.rows)
    labels = [f"{row.metric} for {row.request}" if row.request else row.metric for row in found.rows]
    label_width = max(map(len, labels))
    for label, row in zip(labels, found.rows, strict=True):
        ratio = "?" if row.ratio is None else f"{row.ratio:.2f}"
        figures = f"{latency(row.base_ms):>9} → {latency(row.head_ms):>9}   × {ratio:<5}"
        low, high = ("?" if bound is None else f"{bound:.2f}" for bound in (row.low, row.high))
        figures += "" if row.verdict == "shown" else f" [{low}, {high}]"
        output.say(f"{row.phase:<{width}}  {label:<{label_width}}  {figures:<46} {row.verdict}")
    if found.reason:
        output.say(f"\n{found.reason}; figures of such runs decide nothing\nfix: run both again on a quiet machine")
    words = {"worse": "WORSE", "fine": "FINE", "unknown": "INCONCLUSIVE"}
    output.say(f"\n{words[found.verdict]} {base} {head} (at most × {max_ratio:g})")
    return found.exit_code
