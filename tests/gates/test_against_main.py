"""`errors < main + 0.5%` and `throughput > 0.8x main`: gates that compare with the file of --baseline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import verdict
from harness.errors import UsageError
from harness.evidence import Evidence
from harness.gates.parse import parse_gate
from harness.gates.reference.baseline_file import FailedShare, load_baseline
from harness.gates.shares.share_bounds import bounds_of
from harness.gates.throughput_limits import planned_rate
from harness.run.invocation import refuse_missing_baseline
from harness.rundir.results import GateResult
from harness.rundir.rows import Outcome
from harness.rundir.yardstick import Yardstick
from harness.units import format_share
from tests.rundir.recording import Recording, make_plan, record
from tests.scenario.world import GOOD, changed, load

LONG_MS = 300_000


def failing(one_in: int, *gates: str, rate_per_s: float = 40.0) -> Recording:
    """Of the requests one in so many failed, evenly; 0: none did."""
    made = record(make_plan(gates=gates or ("p99 < 2s",), duration_ms=LONG_MS, rate_per_s=rate_per_s))
    if one_in:
        made.samples["outcome"][made.samples["seq"] % one_in == 0] = Outcome.HTTP_ERROR
    return made


@pytest.fixture(scope="module")
def main_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The baseline.json of a run of main in which one request in so many failed, written once for each."""
    written: dict[int, Path] = {}

    def write(one_in: int) -> Path:
        if one_in not in written:
            folder = tmp_path_factory.mktemp(f"main-{one_in}")
            verdict.write(failing(one_in).write(folder))
            written[one_in] = folder / "baseline.json"
        return written[one_in]

    return write


def against(made: Recording, main: Path, folder: Path, change: Callable[[Any], None] = lambda _: None) -> GateResult:
    """The run's first gate, judged with this file of main."""
    document = json.loads(main.read_bytes())
    change(document)
    (made.write(folder) / "main.json").write_text(json.dumps(document))
    return verdict.judge(Evidence.load(folder)).gates[0]


@pytest.mark.parametrize(
    ("fails", "margin", "expected"),
    [
        ((0, 0), "0.50%", "pass"),
        ((100, 100), "1.00%", "pass"),
        ((100, 100), "0.50%", "inconclusive"),
        ((0, 100), "0.50%", "fail"),
        ((100, 25), "0.50%", "fail"),
        ((100, 80), "0.25%", "inconclusive"),
        ((0, 0), "0.05%", "inconclusive"),
    ],
)
def test_failures_are_compared_with_main_by_a_margin(
    fails: tuple[int, int], margin: str, expected: str, main_of: Callable[[int], Path], tmp_path: Path
) -> None:
    main_fails, head_fails = fails
    gate = against(failing(head_fails, f"errors < main + {margin}"), main_of(main_fails), tmp_path)
    assert gate.verdict == expected, gate.reason
    assert f"and the margin is {format_share(float(margin[:-1]) / 100)})" in gate.reason
    share = 1 / main_fails if main_fails else 0.0
    assert gate.limit == pytest.approx(share + float(margin[:-1]) / 100, rel=0.05)


def test_a_share_of_main_has_bounds_that_contain_it() -> None:
    share = FailedShare(
        metric="errors", request=None, phase="whole", n=10_000, exceeded=100, deflation=1.0, seconds=250.0
    )
    low, high = bounds_of(share, 0.025, 0.025, 0.0)
    assert 0.0080 < low < 0.01 < high < 0.0122  # Clopper and Pearson at 97.5 % each: 0.81 % to 1.21 %
    clumped = bounds_of(share, 0.025, 0.025, 1.0)
    assert clumped[0] == low  # the lower bound is by the spread that was seen
    assert clumped[1] > high  # the upper one by the clump as well


def test_throughput_is_compared_with_main(main_of: Callable[[int], Path], tmp_path: Path) -> None:
    same = against(failing(0, "throughput > 0.8x main"), main_of(0), tmp_path / "same")
    assert (same.verdict, same.unit) == ("pass", "per_s")
    assert same.limit == pytest.approx(32, abs=1)
    half = against(failing(2, "throughput > 0.8x main"), main_of(0), tmp_path / "half")
    assert half.verdict == "fail"


def test_throughput_of_another_planned_rate_is_not_compared(main_of: Callable[[int], Path], tmp_path: Path) -> None:
    gate = against(failing(0, "throughput > 0.8x main", rate_per_s=50.0), main_of(0), tmp_path)
    assert (gate.verdict, gate.kind) == ("inconclusive", "main_unlike")
    assert "the planned rate of the whole run is 50/s, and that of main 40/s" in gate.reason


def test_a_scenario_with_another_rate_is_refused_before_it_starts(
    main_of: Callable[[int], Path], tmp_path: Path
) -> None:
    text = changed(("rate: 40/s", "rate: 30/s")) + "  - throughput > 0.8x main\n"
    with pytest.raises(UsageError, match=r"planned rate of the whole run is 30/s, and that of main 40/s"):
        refuse_missing_baseline([load(tmp_path, text)], main_of(0))
    refuse_missing_baseline([load(tmp_path, GOOD + "  - throughput > 0.8x main\n")], main_of(0))


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        (lambda main: main.pop("machine"), "main_unlike", "main has no yardstick"),
        (
            lambda main: main["machine"]["yardstick"].update(before_ms=300),
            "main_unlike",
            "more than 10% apart",
        ),
        (lambda main: main.update(shares=[]), "no_main", "has no errors of the phase whole"),
    ],
)
def test_what_cannot_be_compared_is_undecided(
    change: Callable[[Any], None], kind: str, reason: str, main_of: Callable[[int], Path], tmp_path: Path
) -> None:
    gate = against(failing(0, "errors < main + 0.5%"), main_of(0), tmp_path, change)
    assert (gate.verdict, gate.kind) == ("inconclusive", kind)
    assert reason in gate.reason


def test_a_slower_machine_decides_nothing_about_latency_either(main_of: Callable[[int], Path], tmp_path: Path) -> None:
    made = failing(0, "p99 < 1.5x main")
    made.yardstick = Yardstick(before_ms=260.0, after_ms=264.0)
    gate = against(made, main_of(0), tmp_path)
    assert (gate.verdict, gate.kind) == ("inconclusive", "main_unlike")


def test_a_run_leaves_its_failures_and_throughput_of_every_phase(main_of: Callable[[int], Path]) -> None:
    own = load_baseline(main_of(100))
    assert {(share.metric, share.phase) for share in own.shares} >= {("errors", "whole"), ("timeouts", "whole")}
    assert {rate.phase for rate in own.rates} >= {"whole", "baseline"}
    errors = next(share for share in own.shares if (share.metric, share.phase) == ("errors", "whole"))
    assert errors.exceeded == pytest.approx(errors.n / 100, rel=0.02)
    assert own.machine.yardstick == Yardstick(before_ms=200.0, after_ms=204.0)


def test_the_planned_rate_of_a_request_is_its_share() -> None:
    assert planned_rate(make_plan(), None, "whole") == pytest.approx(40.0)
    assert planned_rate(make_plan(), "no-such", "whole") == 0.0


def test_how_much_a_margin_needs() -> None:
    gate = parse_gate("errors for a < main+0.5% during x")
    assert (gate.moments(0.95), gate.uses_main, gate.requests(), gate.phase) == (736, True, ("a",), "x")
