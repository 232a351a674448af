"""The command without a stack: what it refuses, before anything is started, and what its page and its schema show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from harness.cli.frontier import frontier_command
from harness.cli.plan import plan_command
from harness.errors import TailgateError, UsageError
from harness.rundir.results import canonical_json
from harness.rundir.searches.frontier import FrontierResults
from harness.scenario.schema.json_schema import frontier_schema
from harness.search.frontier import frontier_run
from harness.search.frontier.frontier_run import PlannedSearch
from reports.searches.frontier_page import page
from tests.search.frontier.scenarios import cell_of, curve, level_step, results

ONE = ("azure-slow", "--upstream", "azure", "--kind")


def refusal(*words: str) -> tuple[str, str]:
    """The refusal, and what was printed before it."""
    found = CliRunner().invoke(frontier_command, words, standalone_mode=False)
    assert found.exception is not None
    if isinstance(found.exception, TailgateError):
        assert found.exception.exit_code == 2
        return f"{found.exception.message}; fix: {found.exception.fix}", found.output
    return str(found.exception), found.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("azure-slow",), "--upstream is missing"),
        (("azure-slow", "--upstream", "azure"), "--kind is missing"),
        (("azure-slow", "--upstream", "azur", "--kind", "latency"), "no upstream azur; fix: upstreams: aws, azure"),
        (("azure-slow", "--all", "--kind", "latency"), "--all excludes"),
        ((*ONE, "slow"), "'slow' is not one of"),
        ((*ONE, "latency", "--from", "5%"), "--from 5%, for --kind latency"),
        ((*ONE, "errors", "--to", "150%"), "--to 150%"),
        ((*ONE, "latency", "--from", "5s", "--to", "1s"), "--from 5 s is above --to 1 s"),
        ((*ONE, "latency", "--within", "0.1%"), "`0.1%` is not from 1% to 400%; write a percentage, such as 25%"),
        ((*ONE, "latency", "--within", "401%"), "`401%` is not from 1% to 400%"),
        ((*ONE, "latency", "--within", "0.5"), "`0.5` is not from 1% to 400%"),
        ((*ONE, "latency", "--set", "load.rate=null", "--set", "load.users=5"), "has `users`"),
        (("ladder", "--upstream", "azure", "--kind", "latency"), "choose a cell with --only: sequential, parallel"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    assert says in refusal(*words, "--out", str(tmp_path / "runs"))[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "within"),
    [
        ((*ONE, "latency"), 0.25),
        ((*ONE, "latency", "--within", "1%"), 0.01),
        ((*ONE, "latency", "--within", "200 %"), 2.0),
        (("azure-slow", "--all", "--yes"), 1.0),
        (("azure-slow", "--all", "--yes", "--within", "400%"), 4.0),
    ],
)
def test_answers_may_be_further_apart_than_a_factor_of_two(
    words: tuple[str, ...], within: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[PlannedSearch] = []

    def search_frontier(_session: object, search: PlannedSearch, *_options: object) -> None:
        begun.append(search)
        raise UsageError("not here", "")

    monkeypatch.setattr(frontier_run, "search_frontier", search_frontier)
    assert refusal(*words, "--out", str(tmp_path / "runs"))[0].startswith("not here")
    assert [search.settings.within for search in begun] == [within]
    assert begun[0].curves[0].times.within == within


def test_all_says_its_time_first_and_needs_a_yes_beyond_half_an_hour(tmp_path: Path) -> None:
    said, printed = refusal("azure-slow", "--all", "--out", str(tmp_path / "runs"))
    assert "--all may take up to about" in said and "--yes" in said
    assert "azure latency; azure outage" in printed and "usually about" in printed and "at most" in printed
    assert not (tmp_path / "runs").exists()


def shown() -> FrontierResults:
    steps = (
        level_step(None, purpose="health"),
        level_step(500, p99_ms=700.0),
        level_step(1_500, "broke", p99_ms=None, reason="it <fell>"),
    )
    slow = curve(500, 1_500, steps=steps, broke="`p99 < 2s` failed", findings=("metastable",))
    gate = {"low": None, "high": None, "limit": 15_000, "unit": "ms", "breaks": False}
    outages = [
        level_step(length, outcome, gates=({**gate, "text": "recovery < 15s after gcp-outage", **back},))
        for length, outcome, back in (
            (10_000, "held", {"observed": 0.0, "verdict": "pass"}),
            (40_000, "broke", {"observed": None, "verdict": "fail"}),
        )
    ]
    gone = curve(10_000, 40_000, upstream="gcp", kind="outage", steps=tuple(outages), gates=("recovery < 15s",))
    part = curve(0.05, 0.1, kind="errors", unit="share", steps=(level_step(0.05), level_step(0.1, "broke")))
    return results(
        slow, part, gone, sentence="azure may be slow", not_judged={"max < 1s": "why"}, not_searched={"db": "no bytes"}
    )


def test_the_page_has_the_answers_the_charts_and_every_load() -> None:
    html = page(shown())
    for text in (
        "azure may be slow", "500 ms", "1.5 s", "5.00 %", "p99 by added latency", "p99 by share of calls answered 503",
        "Recovery by length of the outage", "no fault", "held up to 2.01 s", "metastable", "no bytes", "max &lt; 1s",
    ):  # fmt: skip
        assert text in html, text
    assert "it &lt;fell&gt;" in html and "<fell>" not in html
    embedded = html.partition('<script type="application/json" id="results">')[2].partition("</script>")[0]
    assert json.loads(embedded)["curves"][0]["certified"] == 500


def test_a_page_without_any_load_can_be_shown() -> None:
    assert "Answers" in page(results(curve(None, None, ended_by="interrupted")))


def test_the_document_is_as_its_schema_says_and_is_read_again() -> None:
    text = canonical_json(shown())
    Draft7Validator(frontier_schema()).validate(json.loads(text))
    assert canonical_json(FrontierResults.model_validate_json(text)) == text


def test_the_plan_of_a_scenario_says_how_long_a_search_of_all_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.search.around.around_load_s", lambda: 2.0)
    cell_of(tmp_path, "p99 < 2s", upstreams="{azure: {}}")
    said = CliRunner().invoke(plan_command, [str(tmp_path / "scenario.yaml")], standalone_mode=False)
    assert "`tailgate frontier --all` usually takes about" in said.output
    cell_of(tmp_path, "p99 < 2s", upstreams="{raw: 'tcp://127.0.0.1:1'}", faults="")
    said = CliRunner().invoke(plan_command, [str(tmp_path / "scenario.yaml")], standalone_mode=False)
    assert said.exception is None and "frontier" not in said.output
