"""Whole runs under faults that the fakes do themselves: proven, told in the report, and the same when run again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fake_backends.draws import Draws
from harness.evidence import Evidence
from harness.rundir.journal import read_journal
from tests.run.real_runs import assert_nothing_left, run

pytestmark = [pytest.mark.stack, pytest.mark.alone]

SCENARIO = """\
name: faked
service: {rung: timeout}
upstreams:
  azure: {p50: 20ms, p99: 40ms, rows: 20}
  gcp: {p50: 20ms, p99: 40ms, rows: 20}
  aws: {p50: 20ms, p99: 40ms, rows: 20}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 40/s, warmup: 1s, duration: 14s, recovery: 1s}
faults:
  - {name: some-503, upstream: azure, status: 503, share: 30%, at: 3s, for: 8s}
  - {name: some-429, upstream: azure, status: 429, retry_after: 1s, share: 10%, at: 3s, for: 8s}
  - {name: all-late, upstream: azure, latency: 300ms, at: 3s, for: 8s}
  - {name: crowded, upstream: gcp, capacity: 1, at: 3s, for: 8s}
  - {name: flapping, upstream: aws, malformed: true, at: 4s, for: 1500ms, every: 3s}
gates: [errors < 5%, complete > 90%]
"""


def test_faults_of_the_fakes_in_a_whole_run(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    ran = run(tmp_path, SCENARIO, "--seed", "5", env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir)
    faults = ran.results["faults"]
    proofs = {fault["name"]: fault["proof"] for fault in faults}
    assert all(fault["landed"] for fault in faults)
    assert proofs["some-503"]["seen"] == "met status 503"
    assert proofs["some-429"]["seen"] == "met status 429"
    assert proofs["crowded"]["witness"] == "calls"
    assert proofs["all-late"]["calls_hit"] is None, "Toxiproxy keeps no record of calls"
    flapping = next(fault for fault in faults if fault["name"] == "flapping")
    assert [window["verified"] for window in flapping["windows"]] == [True] * 3
    for name, share in (("some-503", 0.3), ("some-429", 0.1)):
        assert proofs[name]["calls_hit"] / proofs[name]["calls_during"] == pytest.approx(share, abs=0.08)
    assert {entry.event for entry in read_journal(ran.run_dir / "faults.ndjson")} >= {"observed", "verified"}
    _the_draws_are_those_of_the_seed(Evidence.load(ran.run_dir))
    page = (ran.run_dir / "report.html").read_text(encoding="utf-8")
    assert "canaries met status 503" in page
    assert "calls of the service had to wait in the queue" in page


def _the_draws_are_those_of_the_seed(evidence: Evidence) -> None:
    """Which calls were hit follows from seed, backend and request number alone: a run replays."""
    calls = evidence.calls[evidence.calls["upstream"] == 0]
    stood = [i for i in evidence.journalled if i.fault == "some-503" and i.applied_ns and i.removing_ns]
    (window,) = stood
    assert window.applied_ns is not None and window.removing_ns is not None
    margin_ns = 500_000_000
    inside = calls[
        (calls["arrived_ns"] > window.applied_ns + margin_ns) & (calls["arrived_ns"] < window.removing_ns - margin_ns)
    ]
    draws = Draws(evidence.plan.seed, "answers", "azure")
    drawn = np.array([draws.uniform(int(seq), 0) for seq in inside["seq"]])
    assert np.array_equal(drawn < 0.3, inside["faults"] & 1 == 1)
    assert np.array_equal((drawn >= 0.3) & (drawn < 0.4), inside["faults"] >> 1 & 1 == 1)
    assert set(inside["status"][inside["faults"] & 1 == 1]) <= {0, 503}
