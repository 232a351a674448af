"""What `tailgate run` makes of scenarios and verdicts, without starting anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ScenarioError, UsageError
from harness.run.invocation import Judged, exit_code, load_all, refuse_missing_baseline, slug
from harness.rundir.results import MatrixResults, ScenarioRef, Tool, Verdict

LEAST = """\
name: least
service: {url: http://127.0.0.1:1}
gateway: {kind: none}
load: {request: GET /, rate: 40/s}
gates: [GATE]
tags: [nightly]
"""


def _judged(code: int, verdict: Verdict = "pass") -> Judged:
    reference = ScenarioRef(name="x", file="x.yaml", sha256="", seed=0)
    results = MatrixResults(tool=Tool(version="0"), verdict=verdict, exit_code=code, scenario=reference, cells=())
    return Judged("x", Path("x"), results)


@pytest.mark.parametrize(
    ("codes", "interrupted", "expected"),
    [
        ([0, 0], False, 0),
        ([0, 3], False, 3),
        ([3, 1], False, 1),
        ([1, 4, 0], False, 4),
        ([4, 1], True, 130),
        ([], True, 130),
        ([], False, 0),
    ],
)
def test_the_worst_code_wins(codes: list[int], interrupted: bool, expected: int) -> None:
    assert exit_code([_judged(code) for code in codes], interrupted=interrupted) == expected


def _write(folder: Path, name: str, gate: str = "p99 < 1s") -> str:
    path = folder / name
    path.write_text(LEAST.replace("GATE", gate), encoding="utf-8")
    return str(path)


def test_the_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    good = _write(tmp_path, "good.yaml")
    bad = _write(tmp_path, "bad.yaml", "p99 < 1")
    worse = str(tmp_path / "missing.yaml")
    with pytest.raises(ScenarioError) as caught:
        load_all([bad, good, worse], [], [])
    assert {problem.file for problem in caught.value.problems} == {bad, worse}


def test_tags_choose_and_an_unknown_one_is_told(tmp_path: Path) -> None:
    path = _write(tmp_path, "good.yaml")
    assert len(load_all([path], [], ["nightly", "other"])) == 1
    with pytest.raises(UsageError, match="no scenario has the tag weekly"):
        load_all([path], [], ["weekly"])


def test_main_needs_a_baseline_of_ours(tmp_path: Path) -> None:
    loaded = load_all([_write(tmp_path, "main.yaml", "p99 < 1.5x main")], [], [])
    with pytest.raises(UsageError, match="compares with main, and no --baseline"):
        refuse_missing_baseline(loaded, None)
    foreign = tmp_path / "foreign.json"
    foreign.write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="is not a baseline file"):
        refuse_missing_baseline(loaded, foreign)
    refuse_missing_baseline(load_all([_write(tmp_path, "plain.yaml")], [], []), None)


@pytest.mark.parametrize(
    ("text", "name"),
    [("azure slow 60 s", "azure-slow-60-s"), ("a/../b", "a-..-b"), ("..", "scenario"), ("Größe", "Größe")],
)
def test_folder_names(text: str, name: str) -> None:
    assert slug(text) == name
