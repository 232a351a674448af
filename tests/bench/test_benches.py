"""Every bench runs: no figure of the documents is without a command that works."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from bench import isolation, ladder_table, many_runs, overhead
from bench.bare_start import beside_bare_starts
from bench.command_line import BenchOptions
from bench.tailgate_command import run_codes, run_command
from harness.scenario import load_scenario
from harness.scenario.planning.gateway_choice import resolve_gateway
from tests.bench.short_forms import ROOT, SHORT_FORMS, ShortForm, play, row, wrong
from tests.rundir.recording import T0_NS, make_plan, record

AT_NIGHT: Final = {
    "busy_machine", "capacity_truth", "healthy_example", "isolation", "kill_matrix", "ladder_table", "many_runs",
    "plan_times", "truth",
}  # fmt: skip
"""They need whole runs, or Locust to start within four seconds. By day `overhead` shows that a bench can start a run,
tests/run plays cells of `kill_matrix` and `ladder_table`, tests/examples runs the example, tests/search a search and
computes what `plan` says, and tests/verdict and tests/stack/test_resources.py show what `busy_machine` shows."""
STARTED_BY_OTHERS: Final = {"busy_machine_service", "kill_partner", "kill_service", "limited_service", "stub_server"}
"""Programs under `bench/` that measure nothing: benches start them."""
COMMAND: Final = re.compile(r"python (?:-m bench\.(\w+)|bench/(\w+)\.py)")
PAGES: Final = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile")


# ---------------------------------------------------------------- each of them


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of two minutes that was looked at."""
    made = record(make_plan(rate_per_s=2, duration_ms=120_000))
    made.resources = [
        {"t_ns": T0_NS + at_s * 10**9, "child": "sut", "rss_bytes": 54_000_000, "threads": 5, "sockets": states}
        for at_s, states in ((1, {"ESTABLISHED": 7}), (61, {"ESTABLISHED": 8}))
    ]
    return made.write(tmp_path)


def _marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.nightly if name in AT_NIGHT else pytest.mark.beside)


@pytest.mark.stack
@pytest.mark.parametrize("name", [_marked(name) for name in SHORT_FORMS])
def test_its_short_form_prints_its_figures(name: str, run_dir: Path, request: pytest.FixtureRequest) -> None:
    """A short form judges no figure, so others may run beside it."""
    if SHORT_FORMS[name].whole_runs:
        request.getfixturevalue("toxiproxy_binary")
        _require_nginx()
    done = play(name, run_dir)
    assert not list(wrong(SHORT_FORMS[name], done)), f"{done.args}\n{done.stdout}\n{done.stderr}"


def _require_nginx() -> None:
    if resolve_gateway("auto").kind != "nginx":
        reason = "no nginx (Debian: apt-get install nginx-light)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


# ---------------------------------------------------------------- none is left out


def test_every_bench_that_a_page_names_has_a_short_form() -> None:
    named = {
        name: page.relative_to(ROOT)
        for page in PAGES
        for found in COMMAND.finditer(page.read_text(encoding="utf-8"))
        for name in found.groups()
        if name
    }
    assert {name: page for name, page in named.items() if name not in SHORT_FORMS} == {}
    assert len(named) > 10, "the pages are not read any more"


def test_every_bench_that_can_be_called_has_a_short_form() -> None:
    programs = {path.stem for path in (ROOT / "bench").glob("*.py") if "\nif __name__ == " in path.read_text("utf-8")}
    assert programs - STARTED_BY_OTHERS == set(SHORT_FORMS)


# ---------------------------------------------------------------- the test itself can see what is wrong

FORM: Final = ShortForm(("--short",), (row("8", r"\d+\.\d"), "done"))


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "says"),
    [
        (0, "| n |\n| 8 | 1.5 |\n\ndone\n", "", []),
        (0, "", "", ["no line like"]),
        (0, "| 8 | nan |\ndone\n", "", ["no line like"]),
        (0, "done\n| 8 | 1.5 |\n", "", ["no line like"]),
        (1, "| 8 | 1.5 |\ndone\n", "", ["exit code 1"]),
        (2, "", "error: `tailgate run` exited with 2", ["exit code 2", "no line like"]),
        (0, "| 8 | 1.5 |\ndone\n", "Traceback (most recent call last):\n", ["a traceback"]),
    ],
)
def test_what_is_wrong_is_seen(code: int, stdout: str, stderr: str, says: list[str]) -> None:
    found = list(wrong(FORM, subprocess.CompletedProcess([], code, stdout, stderr)))
    assert [text for text, said in zip(found, says, strict=True) if said not in text] == []


# ---------------------------------------------------------------- what benches share


@pytest.mark.parametrize("text", [overhead.SCENARIO, many_runs.SCENARIO])
def test_a_bench_has_a_scenario_that_is_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
    loaded = load_scenario(tmp_path / "scenario.yaml", ())
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("name", "sets"), [("hung-minute", isolation.SHORT_SETS), ("calm", ladder_table.SHORT_SETS)], ids=str
)
def test_a_catalog_scenario_made_short_is_valid(name: str, sets: tuple[str, ...]) -> None:
    assert load_scenario(name, sets).warnings == ()


def test_the_overhead_is_measured_with_eight_backends(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(overhead.SCENARIO, encoding="utf-8")
    assert len(load_scenario(tmp_path / "scenario.yaml", ()).scenario.upstreams) == 8


def test_the_load_of_a_run_that_was_stopped_ends_there(tmp_path: Path) -> None:
    made = record(make_plan(rate_per_s=5, warmup_ms=2_000, duration_ms=60_000))
    whole = made.write(tmp_path / "whole")
    assert made.manifest.ended
    ended = made.manifest.ended.model_copy(update={"reason": "warmup_failed", "stop_at_ns": T0_NS + 2 * 10**9})
    made.manifest = made.manifest.model_copy(update={"ended": ended})
    made.samples = made.samples[made.samples["intended_ns"] < T0_NS + 10**9]
    stopped = made.write(tmp_path / "stopped")
    assert overhead.load_s(whole) == pytest.approx(62, abs=2)
    assert overhead.load_s(stopped) == pytest.approx(4, abs=0.5)


def test_a_command_that_fails_ends_the_bench_with_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print('scenario.yaml:3: error: no such key', file=sys.stderr); sys.exit(2)"
    with pytest.raises(SystemExit) as ended:
        run_command(["python3", "-c", program])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "exited with 2" in said
    assert "scenario.yaml:3: error: no such key" in said


def test_a_quiet_run_that_fails_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text('{"reason": "the load generator was late"}', encoding="utf-8")
    with pytest.raises(SystemExit):
        run_command(["python3", "-c", f"print('RIG_FAILURE x {tmp_path}'); exit(4)"], codes=run_codes(short=False))
    assert "the load generator was late" in capsys.readouterr().err
    assert run_command(["python3", "-c", "print('RIG_FAILURE x'); exit(4)"], codes=run_codes(short=True))


def test_a_code_that_is_expected_is_no_failure() -> None:
    assert run_command(["python3", "-c", "print('FAIL x'); exit(1)"], codes=(0, 1)) == "FAIL x\n"


def test_a_time_is_quoted_in_bare_starts() -> None:
    value_s, starts = beside_bare_starts(lambda: 60.0)
    assert value_s == 60.0
    assert 6 < starts < 60_000, "a bare start takes between 1 ms and 10 s"


@pytest.mark.parametrize(("short", "holds", "code"), [(False, True, 0), (False, False, 1), (True, False, 0)])
def test_the_short_form_judges_nothing(short: bool, holds: bool, code: int) -> None:
    assert BenchOptions(rounds=1, short=short).exit_code(holds=holds) == code
