"""Upstreams as a scenario spells them: latency profiles, recordings, provider shapes, capacity."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from harness.rundir.planned.routes import PlannedProfile
from harness.rundir.planned.upstream import FakeSpec, PlannedUpstream
from harness.scenario.schema.json_schema import scenario_schema
from harness.upstreams import number_files
from tests.scenario.world import changed, load, only_problem, plan_of, problems, write

SERVICE = ("{rung: timeout}", "{command: [serve, '{port}']}")


def of(spelled: str, *more: tuple[str, str]) -> str:
    """The good scenario with gcp spelled so."""
    return changed(("gcp: {}", f"gcp: {spelled}"), *more)


def fake_of(planned: PlannedUpstream) -> FakeSpec:
    assert planned.fake is not None
    return planned.fake


def gcp(folder: Path, text: str, *sets: str) -> FakeSpec:
    return fake_of(plan_of(load(folder, text, *sets)).upstream("gcp"))


RIGHT = [
    ("{constant: 200ms}", "constant", {"constant_ms": 200.0}, (200, 200)),
    ("{uniform: {low: 100ms, high: 300ms}}", "uniform", {"low_ms": 100.0, "high_ms": 300.0}, (200, 298)),
    ("{normal: {mean: 200ms, deviation: 40ms}}", "normal", {"mean_ms": 200.0, "deviation_ms": 40.0}, (200, 293.05)),
    ("{lognormal: {p50: 60ms, p99: 140ms}}", "lognormal", {"p50_ms": 60.0, "p99_ms": 140.0}, (60, 140)),
    ("{pareto: {least: 50ms, p99: 2s}}", "pareto", {"least_ms": 50.0, "p99_ms": 2000.0}, (87.12, 2000)),
]


@pytest.mark.parametrize(("spelled", "kind", "numbers", "percentiles"), RIGHT, ids=[right[1] for right in RIGHT])
def test_a_profile_is_planned(
    tmp_path: Path, spelled: str, kind: str, numbers: dict[str, float], percentiles: tuple[float, float]
) -> None:
    text = of(f"{{profile: {spelled}}}")
    planned = gcp(tmp_path, text)
    assert planned.profile == PlannedProfile(kind=kind, numbers_ms=numbers)
    assert (planned.p50_ms, planned.p99_ms) == pytest.approx(percentiles, abs=0.01)
    document = YAML(typ="safe", pure=True).load(text)
    assert [error.message for error in Draft7Validator(scenario_schema()).iter_errors(document)] == []


def test_without_a_profile_p50_and_p99_are_all_there_is(tmp_path: Path) -> None:
    planned = gcp(tmp_path, of("{p50: 20ms, p99: 30ms, capacity: 5}"))
    assert planned.profile is None
    assert (planned.p50_ms, planned.p99_ms, planned.capacity) == (20, 30, 5)
    assert gcp(tmp_path, of("{}")).capacity is None


# (how gcp is spelled, column, part of the message, part of the fix); each is the only problem of its scenario
WRONG = [
    ("{p50: 60ms, profile: {constant: 3ms}}", 20, "`profile` and `p50`, `p99` both say", "keep one of them"),
    ("{profile: {constant: 3ms, pareto: {least: 1ms, p99: 2ms}}}", 34, "exclude each other", "keep one of them"),
    ("{profile: {}}", 9, "one of `constant`, `uniform`, `normal`", "add constant"),
    ("{profile: {paretto: {least: 1ms, p99: 2ms}}}", 19, "unknown key `paretto`", "did you mean `pareto`?"),
    ("{profile: {constant: 300}}", 29, "300 has no unit", "write 300s or 300ms"),
    ("{profile: constant}", 18, "expected a mapping, not the text `constant`", "its keys: constant, uniform"),
    ("{profile: {uniform: {low: 3ms, high: 2ms}}}", 45, "`high` (2ms) is below `low` (3ms)", "at least 3ms"),
    ("{profile: {uniform: {low: 3ms}}}", 19, "`high` is missing", "add high"),
    ("{profile: {normal: {mean: 3ms, deviatoin: 1ms}}}", 39, "unknown key `deviatoin`", "did you mean `deviation`?"),
    ("{profile: {lognormal: {p50: 3ms, p99: 2ms}}}", 46, "`p99` (2ms) is below `p50` (3ms)", "at least 3ms"),
    ("{profile: {pareto: {least: 3ms, p99: 2ms}}}", 45, "`p99` (2ms) is below `least` (3ms)", "at least 3ms"),
    ("{profile: {pareto: {least: 0ms, p99: 2ms}}}", 35, "`0ms` is too small here", "at least 1ms"),
    ("{profile: {empirical: nowhere.csv}}", 30, "nowhere.csv does not exist", "relative to this file"),
    ("{profile: {empirical: 3}}", 30, "expected text, not the number 3", 'in quotes: "3"'),
    ("{capacity: 0}", 19, "0 is too small here", "at least 1"),
    ("{capacity: 20000}", 19, "20000 is too large here", "at most 10000"),
    ("{provider: vultur}", 19, "not the text `vultur`", "did you mean `vultr`?"),
    ("{provider: vultr}", 19, "the reference aggregator speaks the generic shape only", "`command` or `url`"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_wrong_upstream_is_told(tmp_path: Path, wrong: tuple[str, int, str, str]) -> None:
    spelled, col, message, fix = wrong
    problem = only_problem(tmp_path, of(spelled))
    assert message in problem.message
    assert fix in problem.fix
    assert (problem.line, problem.col) == (5, col)


def test_a_broken_profile_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    text = of(
        "{profile: {paretto: {least: 1ms, p99: 2ms}}}", ("p99: 140ms", "p99: 140"), ("errors < 1%", "p99 of gpc < 1s")
    )
    found = [problem.message for problem in problems(tmp_path, text)]
    assert [message.partition("`")[0] for message in found] == [
        "140 has no unit",
        "unknown key ",
        "there is no upstream ",
    ], found
    # what a rung cannot ask is looked at when all of it can be read
    text = of("{profile: {pareto: {least: 1ms, p99: 2ms}}}", ("{p50: 60ms, p99: 140ms}", "{provider: vultr}"))
    assert "speaks the generic shape only" in only_problem(tmp_path, text).message


# ---------------------------------------------------------------- providers


@pytest.mark.parametrize("provider", ["generic", "vastai", "lambda", "vultr"])
def test_a_service_of_ones_own_may_ask_any_provider(tmp_path: Path, provider: str) -> None:
    assert gcp(tmp_path, of(f"{{provider: {provider}}}", SERVICE)).provider == provider


@pytest.mark.parametrize("provider", ["vastai", "lambda"])
def test_a_provider_without_pages_takes_no_page(tmp_path: Path, provider: str) -> None:
    problem = only_problem(tmp_path, of(f"{{provider: {provider}, page: 10}}", SERVICE))
    assert problem.message == f"{provider} has no pages: it answers with all rows at once"
    assert problem.fix == "remove `page`"


# ---------------------------------------------------------------- recordings

RECORDED = of("{profile: {empirical: recorded.csv}}")


@pytest.mark.parametrize(
    "content",
    [
        "10\n20\n30\n",
        "latency_ms\n30\n10\n20\n",
        "\ufeffLatency (ms)\r\n30\r\n10\r\n20.0\r\n",
        "# a tuesday\nms\n\n10 # cached\n2e1\n 30 ",
        '"latency"\n10\n20\n30',
    ],
)
def test_a_recording_comes_into_the_plan(tmp_path: Path, content: str) -> None:
    write(tmp_path, content, "recorded.csv")
    loaded = load(tmp_path, RECORDED)
    (tmp_path / "recorded.csv").unlink()
    planned = fake_of(plan_of(loaded).upstream("gcp"))
    assert planned.profile == PlannedProfile(kind="empirical", points=((0, 10), (0.5, 20), (1, 30)))
    assert (planned.p50_ms, planned.p99_ms) == pytest.approx((20, 29.8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "recorded.csv has no latency"),
        ("latency_ms\n", "recorded.csv has no latency"),
        ("# nothing\n\n", "recorded.csv has no latency"),
        ("latency_ms\n12\nx\n", "line 3 of recorded.csv is not a number: `x`"),
        ("12\nlatency_ms\n", "line 2 of recorded.csv is not a number: `latency_ms`"),
        ("12\n13ms\n", "line 2 of recorded.csv is not a number: `13ms`"),
        ("time,latency\n1,2\n", "line 1 of recorded.csv is not a number: `time,latency`"),
        ("12\n-3\n", "line 2 of recorded.csv: -3 is outside 0 to a day"),
        ("nan\n", "line 1 of recorded.csv: nan is outside 0 to a day"),
        ("1e9\n", "line 1 of recorded.csv: 1e9 is outside 0 to a day"),
        ("latency_seconds\n0.2\n", "recorded.csv is not in milliseconds: its column is called `latency_seconds`"),
        ("Latency (s)\n0.2\n", "recorded.csv is not in milliseconds: its column is called `Latency (s)`"),
    ],
)
def test_a_recording_that_is_none_is_told(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, content, "recorded.csv")
    problem = only_problem(tmp_path, RECORDED)
    assert problem.message == message
    assert "in milliseconds" in problem.fix
    assert (problem.line, problem.col) == (5, 30)


def test_a_recording_larger_than_needed_is_told(tmp_path: Path) -> None:
    (tmp_path / "recorded.csv").write_bytes(b"1\n" * (number_files.LATENCIES_BYTES_MAX // 2 + 1))
    problem = only_problem(tmp_path, RECORDED)
    assert problem.message == "recorded.csv is larger than 5 MB"
    assert "every tenth line" in problem.fix


def test_a_recordings_path_is_relative_to_the_file_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", "7\n", "recorded.csv")
    write(tmp_path / "below", RECORDED, "base.yaml")
    assert gcp(tmp_path, "extends: below/base.yaml\n").p50_ms == 7
    monkeypatch.chdir(tmp_path / "below")
    assert gcp(tmp_path, of("{}"), "upstreams.gcp={profile: {empirical: recorded.csv}}").p50_ms == 7


def test_a_recording_that_changed_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "7\n", "recorded.csv")
    assert gcp(tmp_path, RECORDED).p50_ms == 7
    write(tmp_path, "11\n", "recorded.csv")
    assert gcp(tmp_path, RECORDED).p50_ms == 11


# ---------------------------------------------------------------- other spellings


def test_added_spellings_are_planned(tmp_path: Path) -> None:
    planned = plan_of(load(tmp_path, of("{known_as: [BackendType.GCP, Google]}"))).upstream("gcp")
    assert planned.known_as == ("BackendType.GCP", "Google")


@pytest.mark.parametrize(
    ("spellings", "message"),
    [
        ('[""]', "cannot be found in a log"),
        ('[" google "]', "cannot be found in a log"),
        ("['--']", "cannot be found in a log"),
        ("[3]", "expected a spelling, not"),
        ("[azure]", "`azure` is already a name of the upstream `azure`"),
        ("[AZURE]", "`AZURE` is already a name of the upstream `azure`"),
    ],
)
def test_a_spelling_that_means_nobody_or_two_is_refused(tmp_path: Path, spellings: str, message: str) -> None:
    assert message in only_problem(tmp_path, of(f"{{known_as: {spellings}}}")).message
