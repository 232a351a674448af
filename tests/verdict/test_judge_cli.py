"""`judge` and `compare` as a person and as CI meet them: text, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import verdict
from harness.cli import main
from tests.rundir.recording import Recording, make_plan, record, slow_fault

INCIDENT = ("p99 < gateway.timeout during azure-slow", "complete > 99% during azure-slow")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def incident(policy: str) -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=INCIDENT)
    return record(plan, policy="parallel" if policy == "parallel" else "timeout")


FAILED = """\
gate                                     observed  bounds         limit     n      withstands  verdict
p99 < gateway.timeout during azure-slow  ≥ 2.00 s                 < 2.00 s  2,431              ✗ FAIL
complete > 99% during azure-slow         0 %       [0 %, 0.61 %]  > 99.0 %  2,431              ✗ FAIL
service-alive                            –                                  1                  ✓ pass

       ✗ p99 < gateway.timeout during azure-slow: 2,431 of 2,431 requests (100 %) took 2.00 s or longer or
       failed (2,431 got a 504); it must be fewer than 1.00 %
       ✗ complete > 99% during azure-slow: 2,431 of 2,431 requests (100 %) were not complete (none of them was
       ok, and an error holds no rows); it must be fewer than 1.00 %

trust  ✓ every check of the rig held (send lag p99 0.20 ms, 0 seconds above 20 ms; proven: azure-slow)
calls  azure 1.00 · gcp 1.00 · aws 1.00 for each arrival, over the whole run

what   During azure-slow (azure: latency 60s), p99 reached the 2.00 s gateway timeout: all 2,431 requests got
       a 504. `complete > 99% during azure-slow` failed as well.
why    azure was the slowest upstream in 100 % of the slow requests, and kept them waiting 1.92 s beyond the
       next one. The gateway gave up after 2.00 s on 100 % of this phase's requests.
next   Give azure a deadline of its own well before the gateway's 2.00 s and answer with what the others
       returned; then check that the calls given up on hold no thread and no socket.
again  tailgate run made-up.yaml --seed 7

FAIL made-up RUN_DIR
"""


def test_a_summary_says_what_why_and_what_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = incident("parallel").write(tmp_path / "run")
    code, out = run(capsys, "judge", str(run_dir))
    assert code == 1
    assert out.replace(str(run_dir), "RUN_DIR") == FAILED


def test_json_is_the_results_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = incident("timeout").write(tmp_path / "run")
    code, out = run(capsys, "judge", str(run_dir), "--json")
    assert code == 0
    assert out == (run_dir / "results.json").read_text()
    assert json.loads(out)["verdict"] == "pass"


def one_of_several(number: int) -> Recording:
    """Undecided alone, decided with another."""
    plan = make_plan(duration_ms=20_000, gates=["p99 < 1s"], run_id=f"20250102-030405-000{number}")
    return record(plan, seed=number)


@pytest.mark.parametrize("again", [".", "copy"])
def test_a_run_counts_once_however_often_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], again: str
) -> None:
    first = one_of_several(1).write(tmp_path / "run-1")
    second = first / again if again == "." else one_of_several(1).write(tmp_path / again)
    code, _ = run(capsys, "judge", str(first), str(second))
    assert code == 2


def test_several_runs_are_pooled_and_left_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [one_of_several(seed).write(tmp_path / f"run-{seed}") for seed in (1, 2)]
    code, out = run(capsys, "judge", *map(str, runs))
    assert code == 0
    assert out.splitlines()[-1] == f"PASS made-up {runs[-1]}"
    assert not (runs[0] / "results.json").exists()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_directory_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    code, out = run(capsys, "judge", str(tmp_path), *(["--json"] if as_json else []))
    assert code == 2
    assert ("plan.json is missing" in out) == as_json


# ---------------------------------------------------------------- matrix


def matrix(tmp_path: Path, expected: dict[str, list[str]], cells: dict[str, Recording]) -> Path:
    entries = []
    for name, made in cells.items():
        made.write(tmp_path / name)
        entries.append({"cell": name, "values": {"service.rung": name}, "expected": expected[name], "dir": name})
    scenario = {"name": "ladder", "file": "ladder.yaml", "sha256": "0" * 64, "seed": 7}
    (tmp_path / "matrix.json").write_text(json.dumps({"scenario": scenario, "cells": entries}))
    return tmp_path


def test_a_ladder_that_ends_as_expected_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = matrix(
        tmp_path,
        {"parallel": ["fail"], "timeout": ["pass"]},
        {"parallel": incident("parallel"), "timeout": incident("timeout")},
    )
    code, out = run(capsys, "judge", str(folder))
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split()[:4] == ["parallel", "FAIL", "yes", "azure-slow"]
    assert "All 2 cells ended as expected." in lines
    assert lines[-1] == f"PASS ladder {folder}"
    results = json.loads((folder / "results.json").read_bytes())
    assert [cell["as_expected"] for cell in results["cells"]] == [True, True]
    assert [cell["results"] for cell in results["cells"]] == ["parallel/results.json", "timeout/results.json"]
    before = (folder / "results.json").read_bytes()
    run(capsys, "judge", str(folder))
    assert (folder / "results.json").read_bytes() == before


def undecided() -> Recording:
    return record(make_plan(gates=["p99.9 < 1s"]))


def broken() -> Recording:
    made = incident("timeout")
    made.samples = made.samples[:-1]
    return made


@pytest.mark.parametrize(
    ("made", "expected", "word", "code"),
    [
        (undecided, ["pass"], "INCONCLUSIVE", 3),
        (undecided, ["pass", "inconclusive"], "PASS", 0),
        (broken, ["pass"], "RIG_FAILURE", 4),
        (lambda: incident("parallel"), ["pass"], "FAIL", 1),
        (lambda: incident("timeout"), ["fail"], "FAIL", 1),
    ],
)
def test_a_cell_that_does_not_end_as_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, made: object, expected: list[str], word: str, code: int
) -> None:
    assert callable(made)
    folder = matrix(tmp_path, {"good": ["pass"], "other": expected}, {"good": incident("timeout"), "other": made()})
    got, out = run(capsys, "judge", str(folder))
    assert got == code
    assert out.splitlines()[-1] == f"{word} ladder {folder}"


# ---------------------------------------------------------------- compare


def steady(tmp_path: Path, name: str, *, more_ms: int = 0, seed: int = 1) -> Path:
    made = record(make_plan(gates=["p99 < 1s"], duration_ms=300_000), seed=seed)
    made.samples["done_ns"] += more_ms * 1_000_000
    return made.write(tmp_path / name)


@pytest.mark.parametrize(
    ("more_ms", "ratio", "word", "code"),
    [(0, "1.3", "FINE", 0), (80, "1.3", "WORSE", 1), (6, "1.1", "INCONCLUSIVE", 3)],
)
def test_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, more_ms: int, ratio: str, word: str, code: int
) -> None:
    base, head = steady(tmp_path, "base"), steady(tmp_path, "head", more_ms=more_ms, seed=2)
    got, out = run(capsys, "compare", str(base), str(head), "--max-ratio", ratio)
    assert (got, out.splitlines()[-1].split()[0]) == (code, word)
    got, out = run(capsys, "compare", str(base), str(head), "--max-ratio", ratio, "--json")
    assert got == code
    assert json.loads(out)["exit_code"] == code


def test_a_head_that_only_fails_is_surely_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = incident("timeout").write(tmp_path / "base"), incident("parallel").write(tmp_path / "head")
    code, out = run(capsys, "compare", str(base), str(head), "--max-ratio", "2")
    assert code == 1
    assert "azure-slow        p99      1.00 s →         ∞" in out


def test_a_rig_failure_is_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = incident("timeout").write(tmp_path / "base"), broken().write(tmp_path / "head")
    code, out = run(capsys, "compare", str(base), str(head), "--json")
    assert code == 4
    assert "is a rig failure" in json.loads(out)["problems"][0]["message"]


def test_a_pool_of_runs_is_judged_by_its_folder(tmp_path: Path) -> None:
    for seed in (1, 2):
        one_of_several(seed).write(tmp_path / f"run-{seed}")
    assert verdict.write_any(tmp_path).verdict == "pass"
