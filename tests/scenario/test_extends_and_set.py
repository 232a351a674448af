"""`extends`, `--set` and matrix paths: what they change, and where their mistakes are shown."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.model.tree import plain
from harness.scenario import load_scenario
from harness.scenario.source.merge import read_scenario
from harness.scenario.source.overrides import OverrideError, parse_path
from tests.scenario.world import GOOD, LADDER, changed, load, only_problem, problems, write


def test_mappings_merge_lists_replace_and_null_takes_away(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "base.yaml")
    child = """\
extends: base.yaml
name: child
upstreams: {azure: {p50: 70ms}, oci: {}}
load: {request: null, requests: [{name: a, request: GET /a}]}
gates: [p99 < 1s during azure-latency]
"""
    scenario = load(tmp_path, child).scenario
    assert scenario.name == "child"
    assert list(scenario.upstreams) == ["azure", "gcp", "oci"]
    assert plain_p(scenario.upstreams["azure"]) == (70.0, 140.0)
    assert scenario.load.request is None
    assert [request.name for request in scenario.load.written_requests] == ["a"]
    assert scenario.load.rate_per_s == 40
    assert scenario.gates == ("p99 < 1s during azure-latency",)


def plain_p(upstream: object) -> tuple[float, float]:
    return upstream.p50_ms, upstream.p99_ms  # type: ignore[attr-defined]


def test_a_problem_of_the_base_is_shown_in_the_base(tmp_path: Path) -> None:
    base = write(tmp_path, changed(("rate: 40/s", "rate: 40")), "base.yaml")
    problem = only_problem(tmp_path, "extends: base.yaml\nname: child\n")
    assert problem.file == str(base)
    assert (problem.line, problem.source) == (9, "  rate: 40")


def test_extends_in_a_circle_and_too_deep(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\nname: a\n", "a.yaml")
    write(tmp_path, "extends: a.yaml\nname: b\n", "b.yaml")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "a.yaml")
    assert any("this file extends itself" in problem.message for problem in caught.value.problems)
    write(tmp_path, GOOD, "l0.yaml")
    for depth in range(1, 7):
        write(tmp_path, f"extends: l{depth - 1}.yaml\n", f"l{depth}.yaml")
    assert load_scenario(tmp_path / "l5.yaml").scenario.name == "good"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "l6.yaml")
    assert [problem.message for problem in caught.value.problems] == ["more than 5 files extend each other"]


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", "0\n" * 3 + "200\n" * 6000, "times.txt")
    write(tmp_path / "below", changed(("rate: 40/s", "replay: times.txt\n  warmup: 0s")), "base.yaml")
    found = problems(tmp_path, "extends: below/base.yaml\n")
    assert not [problem for problem in found if "does not exist" in problem.message], found


def test_set_changes_values_by_path(tmp_path: Path) -> None:
    scenario = load(
        tmp_path, GOOD, "load.rate=50/s", "faults[0].for=2m", "verdict.clump=50ms", "service={rung: pushdown}"
    ).scenario
    assert scenario.load.rate_per_s == 50
    assert scenario.faults[0].for_ms == 120_000
    assert scenario.verdict.clump_ms == 50
    assert scenario.service.rung == "pushdown"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("load.rate=50", "50 has no unit"),
        ("load.rte=50/s", "unknown key `rte`"),
        ("load", "a setting is PATH=VALUE"),
        ("a..b=1", "`a..b` is not a path"),
        ("faults[3].for=1s", "there is no `faults[3]`: entries are counted from 0, and it has 1"),
        ("faults.for=1s", "`faults` is a list; write faults[0].for"),
        ("name.x=1", "`name` is not a mapping, so it has no `x`"),
        ("load.rate={", "the value is not YAML"),
    ],
)
def test_a_bad_setting_is_shown_as_the_setting(tmp_path: Path, setting: str, message: str) -> None:
    problem = only_problem(tmp_path, GOOD, setting)
    assert problem.file == f"--set {setting}"
    assert message in problem.message
    assert problem.fix
    assert problem.line == 0


def test_the_digest_covers_settings_and_bases(tmp_path: Path) -> None:
    digests = {load(tmp_path).sha256, load(tmp_path, GOOD, "seed=1").sha256, load(tmp_path, f"{GOOD}# x\n").sha256}
    assert len(digests) == 3
    write(tmp_path, GOOD, "base.yaml")
    before = load(tmp_path, "extends: base.yaml\n").sha256
    write(tmp_path, f"{GOOD}# x\n", "base.yaml")
    assert load(tmp_path, "extends: base.yaml\n").sha256 != before


def test_paths() -> None:
    assert parse_path("faults[0].for") == ("faults", 0, "for")
    assert parse_path("a[1][2]") == ("a", 1, 2)
    for bad in ("", "a.", "[0]", "a[x]", "a[0]b", " a"):
        with pytest.raises(OverrideError):
            parse_path(bad)


def test_cells_in_order_with_their_expectations(tmp_path: Path) -> None:
    cells = load(tmp_path, LADDER).cells
    assert [(cell.name, cell.expected) for cell in cells] == [
        ("sequential", ("fail",)),
        ("parallel", ("fail",)),
        ("timeout", ("pass",)),
        ("pushdown", ("pass",)),
    ]
    assert [cell.loaded.scenario.service.rung for cell in cells] == ["sequential", "parallel", "timeout", "pushdown"]
    assert cells[0].values == {"service.rung": "sequential"}
    assert cells[0].loaded.scenario.matrix is None


def test_two_paths_make_every_combination(tmp_path: Path) -> None:
    text = f"{GOOD}matrix: {{vary: {{service.rung: [timeout, pushdown], verdict.runs: [1, 2]}}}}\n"
    assert [cell.name for cell in load(tmp_path, text).cells] == ["timeout/1", "timeout/2", "pushdown/1", "pushdown/2"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("{vary: {service.rung: [timeout, nope]}}", "`nope` is not a rung of the aggregator (in cell nope)"),
        ("{vary: {service.rung: timeout}}", "expected a list of values"),
        ("{vary: {service.rung: [timeout, timeout]}}", "a value is listed twice"),
        ("{vary: {service.rung: [[a]]}}", "a value of a matrix is a text"),
        ("{vary: {}}", "this mapping is empty"),
        ("{vary: {service.rung: [timeout]}, expect: {tiemout: [fail]}}", "there is no cell `tiemout`"),
        ("{vary: {service.rung: [timeout]}, expect: {timeout: fail}}", "expected a list of verdicts"),
        ("{vary: {service.rung: [timeout]}, expect: {timeout: [failed]}}", "is not a verdict"),
        ('{vary: {"faults[7].for": [90s]}}', "there is no `faults[7]`"),
        ("{vary: {seed: " + str(list(range(101))) + "}}", "101 cells are more than 100"),
    ],
)
def test_a_bad_matrix(tmp_path: Path, matrix: str, message: str) -> None:
    problem = only_problem(tmp_path, f"{GOOD}matrix: {matrix}\n")
    assert message in problem.message
    assert problem.line == 15


def test_set_to_null_removes_a_key_as_in_a_file(tmp_path: Path) -> None:
    text = changed(("rate: 40/s", "rate: 40/s\n  abort_if: [errors > 20% for 10s]"))
    assert load(tmp_path, text).scenario.load.abort_if
    assert not load(tmp_path, text, "load.abort_if=null").scenario.load.abort_if
    assert load(tmp_path, text, "load.nothing=null").scenario.load.rate_per_s == 40


@pytest.mark.parametrize(
    ("value", "fix", "gates"),
    [
        ('[p90 for "/q?s=[s]" < 1s]', "each text of the list", ('p90 for "/q?s=[s]" < 1s',)),
        ("[it's: a: b]", "each text of the list", ("it's: a: b",)),
        ("a: b: c", "the text", "a: b: c"),
    ],
)
def test_what_is_no_yaml_is_shown_in_quotes(value: str, fix: str, gates: object, tmp_path: Path) -> None:
    """The setting that is proposed has the text as it was meant."""
    merged = read_scenario(write(tmp_path, GOOD), [f"gates={value}"])
    (problem,) = merged.problems
    assert problem.fix.startswith(f"put {fix} in quotes: --set ")
    (setting,) = shlex.split(problem.fix.partition("--set ")[2])
    again = read_scenario(write(tmp_path, GOOD), [setting])
    assert not again.problems and again.tree is not None
    assert plain(again.tree.entries["gates"]) == gates
