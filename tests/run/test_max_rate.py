from __future__ import annotations

from pathlib import Path

import pytest

from harness.run.max_rate import MaxRate
from tests.rundir.recording import make_plan


def test_what_doctor_measured_is_kept_and_damage_is_as_if_it_never_had(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    assert MaxRate.read(env) is None
    MaxRate(cpu_ms=0.35, rate_per_s=2000).write(env)
    assert MaxRate.read(env) == MaxRate(cpu_ms=0.35, rate_per_s=2000)
    (tmp_path / "tailgate" / "ceiling.json").write_text("{}")
    assert MaxRate.read(env) is None


def test_a_run_beyond_it_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.run.run import _beyond_ceiling

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = make_plan(rate_per_s=900)
    assert _beyond_ceiling(plan) is None
    MaxRate(cpu_ms=1.0, rate_per_s=400).write()
    warning = _beyond_ceiling(plan)
    assert warning
    assert "900/s is beyond the 400/s" in warning
    assert "--workers 3" in warning
    assert _beyond_ceiling(make_plan(rate_per_s=900, workers=3)) is None
