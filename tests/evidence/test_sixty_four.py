"""As many upstreams as a sample's `answered` has bits: the last one is told from the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import verdict
from harness.scenario.schema.scenario import Scenario
from tests.rundir.recording import make_plan, record

NAMES = tuple(f"backend-{number}" for number in range(64))


def scenario(upstreams: int) -> dict[str, object]:
    return {
        "name": "many",
        "service": {"command": "serve {port}"},
        "upstreams": {f"backend-{number}": {"p50": "100ms", "p99": "200ms"} for number in range(upstreams)},
        "load": {"rate": "10/s", "request": "GET /"},
    }


def test_the_last_of_64_upstreams_is_missed_in_the_answers(tmp_path: Path) -> None:
    plan = make_plan(upstreams=NAMES, rate_per_s=10, duration_ms=60_000, gates=("complete > 99%",))
    recording = record(plan)
    assert int(recording.samples["answered"].max()) == 2**64 - 1
    recording.lose(NAMES[-1], every=1)
    results = verdict.write(recording.write(tmp_path))
    assert results.verdict == "fail"
    whole = next(phase for phase in results.phases if phase.name == "whole")
    share = {each.upstream: each.share for each in whole.present}
    assert share.pop(NAMES[-1]) == 0
    assert set(share.values()) == {1.0}


@pytest.mark.parametrize("count", [64, 65])
def test_a_scenario_may_have_64_upstreams_and_no_more(count: int) -> None:
    if count == 64:
        assert len(Scenario.model_validate(scenario(count)).upstreams) == 64
        return
    with pytest.raises(ValueError, match="64"):
        Scenario.model_validate(scenario(count))
