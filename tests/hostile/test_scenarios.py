"""Whatever a scenario, its files and its settings hold: it is valid, or has problems with their places.

Never a traceback, a hang, or an output that acts on the terminal it is shown on.

`bench/fuzz_scenarios.py` does the same ten thousand times.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.fuzz_scenarios import Seeds, run_cases
from bench.hostile_scenarios import MONSTERS, SOUND
from bench.scenario_mutations import Beside, Case
from bench.validate_case import examine, laid_out
from harness.cli import main
from harness.cli.display.output import spell
from harness.errors import Problem, ScenarioError
from harness.scenario import load_scenario
from tests.scenario.world import GOOD, changed, only_problem, problems, write

VALID = {"a-hundred-cells", "carriage-returns-alone"}
"""Odd, and no mistake."""
ALIKE = {
    "a-hundred-cells-of-a-hundred-problems",  # a-hundred-cells, and five-thousand-faults
    "five-thousand-stages", "five-thousand-unknown-keys", "five-thousand-upstreams", "five-thousand-gates",
    "five-thousand-requests",  # five-thousand-faults
    "half-a-megabyte-of-lists",  # half-a-megabyte-of-keys
    "quotes-that-never-close", "braces-that-never-close",  # variables-that-never-close
    "a-key-of-200-kilobytes", "a-gate-word-of-200-kilobytes",  # a-gate-of-200-kilobytes
}  # fmt: skip
"""Each is as long or as many as the one named beside it, which `make test` runs."""


def ended(text: str | bytes, folder: Path) -> tuple[str, str]:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with laid_out(Case(text=raw), folder) as words:
        return examine(words)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nightly) if name in ALIKE else name for name in MONSTERS]
)
def test_a_monster_is_refused_in_time_and_in_words(name: str, tmp_path: Path) -> None:
    assert ended(MONSTERS[name], tmp_path) == ("valid" if name in VALID else "refused", "")


@pytest.mark.parametrize("name", SOUND)
def test_what_mutation_starts_from_is_right(name: str, tmp_path: Path) -> None:
    assert ended(SOUND[name], tmp_path) == ("valid", "")


def test_some_of_the_ten_thousand() -> None:
    """`make nightly` does all of them, with three seeds."""
    seed = 1
    ends: Counter[str] = Counter()
    for number, end, reason in run_cases(Seeds.read(), seed, range(120)):
        assert not reason, f"python bench/fuzz_scenarios.py --seed {seed} --case {number}: {reason}"
        ends[end] += 1
    # a fuzzer whose cases all fail at the first letter would see nothing of what comes after
    assert ends["valid"] > 6
    assert ends["refused"] > 60


# ---------------------------------------------------------------- the fuzzer sees what it looks for


def _hangs(*_: object) -> None:
    while True:
        pass


def _raises(*_: object) -> None:
    raise ZeroDivisionError("x")


@pytest.mark.parametrize(("defect", "seen"), [(_hangs, "hangs"), (_raises, "code: 4")])
def test_a_defect_is_noticed(
    defect: Callable[..., None], seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.scenario.load_scenario", defect)
    monkeypatch.setattr("bench.validate_case.CPU_S", 1.0)
    assert ended(GOOD, tmp_path)[1].startswith(seen)


@pytest.mark.parametrize(
    ("text", "seen"), [("\x9b2J", "hidden: U+009B"), ("a\nPASS x y", "line"), ("\u202e", "hidden: U+202E")]
)
def test_a_hole_in_the_output_is_noticed(text: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ScenarioError((Problem("x.yaml", 0, 0, "", text),))

    monkeypatch.setattr("harness.scenario.load_scenario", refused)
    assert ended(GOOD, tmp_path) == ("refused", "")
    monkeypatch.setattr("harness.cli.display.output.one_line", lambda text, most=0: text)
    assert ended(GOOD, tmp_path)[1].startswith(seen)


# ---------------------------------------------------------------- files that are none


def test_a_fifo_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "pipe.yaml")
    assert caught.value.problems[0].message == "this is not a regular file"
    found = only_problem(tmp_path, "extends: pipe.yaml\nname: x")
    assert (found.line, found.message.rpartition(": ")[2]) == (1, "this is not a regular file")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_is_no_scenario(path: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert caught.value.problems[0].fix


@pytest.mark.parametrize(
    "beside",
    [
        Beside("base.yaml", "file", b"extends: scenario.yaml\nname: below"),
        Beside("base.yaml", "link", b"base.yaml"),
        Beside("base.yaml", "folder"),
        Beside("base.yaml", "file", b"\xff\xfe"),
        Beside("base.yaml", "file", b"x" * 2_000_000),
    ],
    ids=["a cycle", "a link to itself", "a folder", "another encoding", "two megabytes"],
)
def test_what_is_extended_and_cannot_be(beside: Beside, tmp_path: Path) -> None:
    with laid_out(Case(text=b"extends: base.yaml\nname: above\n", beside=(beside,)), tmp_path) as words:
        assert examine(words) == ("refused", "")
        with pytest.raises(ScenarioError) as caught:
            load_scenario(words[0])
    assert {problem.path for problem in caught.value.problems} == {"extends"}


@pytest.mark.parametrize(
    "name", ["a\nb.yaml", "\x1b[31m.yaml", "\udcff.yaml", "\u202elmay.x", "-x.yaml", " ", "[red]x"]
)
@pytest.mark.parametrize("text", [GOOD, "name: 1"])
def test_a_file_with_an_odd_name(name: str, text: str, tmp_path: Path) -> None:
    with laid_out(Case(name=name, text=text.encode()), tmp_path) as words:
        assert examine(words)[1] == ""


def test_a_name_too_long_for_any_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a" * 300, f"{tmp_path}/{'a' * 5_000}"):
        with pytest.raises(SystemExit) as caught:
            main(["validate", name])
        assert caught.value.code == 2
    assert "cannot be read" in capsys.readouterr().err


# ---------------------------------------------------------------- named after what was once found


def test_a_line_that_is_too_long_is_shown_around_its_mistake(tmp_path: Path) -> None:
    text = changed(("rate: 40/s", f"max_in_flight: {'9' * 400} # {'x' * 100_000}\n  rate: 40"))
    for problem in problems(tmp_path, text):
        assert all(len(line) < 1_200 for line in spell(problem).split("\n"))
    far = only_problem(tmp_path, changed(("rate: 40/s", f"ok: 200-399,{' ' * 5_000}rate: 40/s")))
    shown = spell(far).split("\n")
    assert shown[2].index("^") < len(shown[1])


def test_the_caret_stands_under_the_mistake_after_a_hidden_character(tmp_path: Path) -> None:
    found = only_problem(tmp_path, changed(("name: good", 'name: "go\u202ed"')))
    _, line, caret, fix = spell(found).split("\n")
    assert line.endswith('| name: "go\\u202ed"')
    assert caret.index("^") == line.index('"go')
    assert fix == "  fix: remove the others from `go\\u202ed`"


def test_a_hundred_problems_are_not_a_thousand_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, GOOD + "".join(f"  - nothing-{n} < 1%\n" for n in range(150)))
    with pytest.raises(SystemExit):
        main(["validate", str(path)])
    err = capsys.readouterr().err
    assert err.count("error:") == 50
    assert "… and 100 more, which --json lists" in err
    assert err.endswith("150 problems; nothing was started\n")
    with pytest.raises(SystemExit):
        main(["validate", str(path), "--json"])
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 150


def test_json_keeps_what_it_may_not_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, changed(("rate: 40/s", '"\\u009b31m\\u202e\\x7f\U000e0041": 1\n  rate: 40/s')))
    with pytest.raises(SystemExit):
        main(["validate", str(path), "--json"])
    out = capsys.readouterr().out
    assert "\\u009b31m\\u202e\\u007f\\udb40\\udc41" in out
    assert json.loads(out)["problems"][0]["path"] == "load.\x9b31m\u202e\x7f\U000e0041"


@pytest.mark.parametrize("steps", [65, 5_000])
def test_a_setting_may_not_be_deeper_than_a_file(steps: int, tmp_path: Path) -> None:
    found = only_problem(tmp_path, GOOD, f"{'a.' * (steps - 1)}a=1")
    assert "more than 64 steps" in found.message


def test_a_setting_that_is_not_utf_8(tmp_path: Path) -> None:
    assert only_problem(tmp_path, GOOD, "name=\udcff").message == "a setting must be UTF-8"


def test_a_fault_named_after_an_upstream_that_is_none(tmp_path: Path) -> None:
    text = changed(("upstream: azure,", 'upstream: "a > b",'))
    text = text[: text.index("gates:")]
    assert [problem.message for problem in problems(tmp_path, text)] == ["there is no upstream `a > b`"]


def test_aliases_cost_what_they_stand_for(tmp_path: Path) -> None:
    laughs = "a: &a [x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join(['*a'] * 2_000)}]\n" for n in range(3))
    assert "aliases written out" in only_problem(tmp_path, laughs).message


def test_the_folders_of_two_cells_are_two(tmp_path: Path) -> None:
    text = changed(("gates:", "matrix: {vary: {load.request: [GET /a?b, GET /a!b]}}\ngates:"))
    found = only_problem(tmp_path, text)
    assert "would share a folder" in found.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('GET /v1/offers', 'GET /ünï?x=日'), "HTTP sends ASCII only"),
        (("{rung: timeout}", '{rung: timeout, headers: {"A B": c}}'), "is not a header name"),
        (("{rung: timeout}", '{rung: timeout, headers: {A: "b\\r\\nC: d"}}'), "a header cannot contain"),
        (("{rung: timeout}", '{rung: timeout, headers: {A: "日"}}'), "a header cannot contain"),
        (("{rung: timeout}", '{rung: timeout, env: {"A=B": c}}'), "is not a name of an environment variable"),
        (("{rung: timeout}", '{url: "http://a b:80"}'), "is not an http"),
    ],
)  # fmt: skip
def test_what_would_only_fail_at_every_request(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    assert message in only_problem(tmp_path, changed(change)).message


def test_a_path_in_other_letters_is_told_how_to_be_written(tmp_path: Path) -> None:
    found = only_problem(tmp_path, changed(("GET /v1/offers", "GET /ü?x={gpu}&y=%20")))
    assert found.fix == "write GET /%C3%BC?x={gpu}&y=%20"


@pytest.mark.parametrize(
    "request_part",
    ["GET /x?token=${TAILGATE_NOT_SET}", "{request: POST /x, body: '${TAILGATE_NOT_SET}'}",
     "{request: POST /x, json: {a: ['${TAILGATE_NOT_SET}']}}",
     "{request: GET /x, headers: {A: '${TAILGATE_NOT_SET}'}}"],
)  # fmt: skip
def test_a_variable_that_is_not_set_is_found_wherever_it_is_filled_in(request_part: str, tmp_path: Path) -> None:
    found = only_problem(tmp_path, changed(("request: GET /v1/offers", f"request: {request_part}")))
    assert (found.line, found.message) == (8, "the environment has no `TAILGATE_NOT_SET`")


def test_a_secret_too_short_to_be_found_again_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASS", "abc")
    text = changed(("{rung: timeout}", "{rung: timeout, env: {P: 'x${DB_PASS}'}}"))
    (warning,) = [each for each in load_scenario(write(tmp_path, text)).warnings if "DB_PASS" in each.message]
    assert (warning.line, warning.col) == (2, 37)
    monkeypatch.setenv("DB_PASS", "abcd")
    assert not [each for each in load_scenario(write(tmp_path, text)).warnings if "DB_PASS" in each.message]
