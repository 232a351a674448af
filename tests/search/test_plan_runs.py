"""How long `tailgate plan` says that a run lasts, beside runs. By day test_scenario_needs.py computes it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from bench.tailgate_command import JUDGED, run_command

pytestmark = [pytest.mark.stack, pytest.mark.alone, pytest.mark.nightly]
TAILGATE = (sys.executable, "-c", "from harness.cli.group import main; main()")


@pytest.mark.parametrize("scenario", ["calm", "cold-cache", "retry-storm"])
def test_a_run_lasts_as_long_as_was_said_within_15_percent(scenario: str, tmp_path: Path) -> None:
    (planned,) = json.loads(run_command([*TAILGATE, "plan", scenario, "--json"]))["scenarios"]
    begun_s = time.monotonic()
    run_command([*TAILGATE, "run", scenario, "--quiet", "--out", str(tmp_path)], codes=JUDGED, timeout_s=300)
    assert time.monotonic() - begun_s == pytest.approx(planned["wall_s"], rel=0.15)
