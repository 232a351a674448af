"""The command without a stack: what it refuses, before anything is started, and what its page shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.capacity import capacity_command, tell
from harness.errors import TailgateError
from harness.rundir.results import canonical_json
from harness.rundir.searches.capacity import CapacityResults, Limiter, RateCurve
from reports.searches.capacity_page import page
from tests.search.made_up_search import made_up
from tests.search.steps import step
from tests.search.test_conclusion import curve, results


def refusal(*words: str) -> str:
    found = CliRunner().invoke(capacity_command, words, standalone_mode=False)
    assert found.exception is not None
    if isinstance(found.exception, TailgateError):
        assert found.exception.exit_code == 2
        return f"{found.exception.message}; fix: {found.exception.fix}"
    return str(found.exception)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("no-fault", "--from", "50/s", "--to", "20/s"), "--to 20/s is below --from 50/s"),
        (("no-fault", "--from", "50"), "40/s"),
        (("no-fault", "--within", "0.1%"), "is not from 1% to 100%"),
        (("azure-slow", "--fault", "azur"), "the scenario has no fault azur; fix: faults: azure-slow"),
        (("azure-slow", "--fault", "azure-slow", "--no-faults"), "exclude each other"),
        (("ladder",), "choose a cell with --only: sequential, parallel"),
        (("ladder", "--only", "paralel"), "no cell is called paralel"),
        (("no-fault", "--baseline", __file__), "is not a capacity.json"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    assert says in refusal(*words, "--out", str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def shown() -> CapacityResults:
    steps: tuple[Any, ...] = (step(20), step(36, p99_ms=410.0), step(64.8, "broke", p99_ms=None, reason="it <fell>"))
    limiter = Limiter(kind="threads", witness="threads: 64 at 65/s")
    health: RateCurve = curve(36, 64.8, limiter=limiter).model_copy(
        update={"steps": steps, "findings": ("no_core_left",)}
    )
    slow = curve(20, 36, "azure-slow").model_copy(update={"steps": steps[:2]})
    return results(health, slow).model_copy(update={"sentence": "carries 36/s", "not_judged": {"max < 1s": "why"}})


def test_the_page_has_the_answer_the_curves_and_every_load() -> None:
    html = page(shown())
    for text in ("carries 36/s", "threads: 64 at 65/s", "azure-slow", "p99 by rate", "Little", "64.8/s", "failed"):
        assert text in html, text
    assert "it &lt;fell&gt;" in html and "<fell>" not in html
    assert "no core was left idle" in html
    embedded = html.partition('<script type="application/json" id="results">')[2].partition("</script>")[0]
    assert json.loads(embedded)["curves"][0]["certified_per_s"] == 36


def test_the_page_draws_intervals_littles_line_both_processors_and_what_certifies() -> None:
    html = page(made_up())
    plots = html.split('<div class="plot rates"')[1:]
    latency, in_flight, cores = (plot.partition("</svg>")[0] for plot in plots)
    assert latency.count('class="bar ') == 3 * 4, "of the loads that are long enough for an interval"
    assert latency.count("certified") == 3 * 2
    assert [plot.count(" dashed") for plot in (latency, in_flight, cores)] == [0, 3, 3]
    assert "limit 1 s" in html and "2 cores" in html
    for name in ("health", "azure-slow", "gcp-is-gone-for-good"):
        assert sum(f">{name}</span>" in plot for plot in plots) == 3
    assert "500/s with one replica gone: 4 replicas" in html
    assert "azure-slow</span>" not in page(made_up(faults=False))


def test_the_page_says_what_would_decide_a_rate_that_is_unknown() -> None:
    open_ = curve(None, None, ended_by="undecided").model_copy(update={"would_decide": "--soak 5m would decide it"})
    html = page(results(open_))
    assert "--soak 5m would decide it" in html
    assert "Replicas" not in html, "no target was asked for"


def test_the_table_has_each_curve_its_limiter_what_is_missing_and_the_replicas(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = curve(None, None, "gcp-slow", ended_by="undecided").model_copy(update={"would_decide": "--soak 5m would"})
    made = made_up()
    tell(made.model_copy(update={"curves": (*made.curves, missing)}), Path("runs/s/1"), as_json=False, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["with", "carries", "fails", "at", "what", "stops", "it"]
    assert lines[1].split()[:3] == ["health", "175/s", "189/s"]
    assert any(line.strip() == "--soak 5m would" for line in lines)
    assert lines[-2].startswith("500/s with one replica gone: 4 replicas (3 × 175/s)")
    assert "if each replica carries what this one did" in lines[-2]
    assert lines[-1] == "PASS s runs/s/1"
    tell(made, Path("runs/s/1"), as_json=False, quiet=True)
    assert capsys.readouterr().out == "PASS s runs/s/1\n"


def test_a_page_without_any_load_can_be_shown() -> None:
    assert "Answers" in page(results(curve(None, None, ended_by="interrupted")))


def test_the_document_is_read_again() -> None:
    text = canonical_json(shown())
    assert canonical_json(CapacityResults.model_validate_json(text)) == text
