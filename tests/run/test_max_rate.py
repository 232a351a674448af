from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RigError
from harness.run.calibration import max_rate_of
from harness.run.max_rate import MaxRate
from harness.units import NS_PER_S
from tests.rundir.recording import make_plan, record


def test_what_doctor_measured_is_kept_and_damage_is_as_if_it_never_had(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    assert MaxRate.read(env) is None
    MaxRate(cpu_ms=0.35, rate_per_s=2000).write(env)
    assert MaxRate.read(env) == MaxRate(cpu_ms=0.35, rate_per_s=2000)
    (tmp_path / "tailgate" / "ceiling.json").write_text("{}")
    assert MaxRate.read(env) is None


def test_a_run_beyond_it_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.run.run import _rate_warning

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = make_plan(rate_per_s=900)
    assert _rate_warning(plan) is None
    MaxRate(cpu_ms=1.0, rate_per_s=400).write()
    warning = _rate_warning(plan)
    assert warning
    assert "900/s is beyond the 400/s" in warning
    assert "--workers 3" in warning
    assert _rate_warning(make_plan(rate_per_s=900, workers=3)) is None


def test_the_workers_cost_is_its_cpu_time_between_its_readings_within_the_load(tmp_path: Path) -> None:
    made = record(make_plan(rate_per_s=100))
    assert made.manifest.t0_ns is not None
    for second, child, cpu_s in (
        (-1, "locust-0", 0.0),
        (5, "locust-0", 1.0),
        (6, "sut", 50.0),
        (7, "locust-0", None),
        (15, "locust-0", 1.5),
        (10_000, "locust-0", 99.0),
    ):
        made.resources.append(
            {"t_ns": made.manifest.t0_ns + second * NS_PER_S, "child": child, "threads": 1, "cpu_s": cpu_s}
        )
    run_dir = made.write(tmp_path)
    sent_ns = made.samples["sent_ns"] - made.manifest.t0_ns
    sent = int(((sent_ns >= 5 * NS_PER_S) & (sent_ns < 15 * NS_PER_S)).sum())
    assert 900 < sent < 1100
    assert max_rate_of(run_dir).cpu_ms == round(500 / sent, 3)
    made.resources = made.resources[:2]
    with pytest.raises(RigError, match="CPU time could not be read"):
        max_rate_of(made.write(tmp_path))
