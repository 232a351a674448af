"""The signs of life between `tailgate worker` and its Locust process."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir import handshake
from harness.rundir.handshake import Handshake, Lease


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_ns = 10**12
        patch.setattr("harness.rundir.handshake.time.monotonic_ns", lambda: self.now_ns)

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    handshake.prepare(tmp_path)
    return Clock(monkeypatch)


def test_a_lease_that_was_never_begun_is_never_over(tmp_path: Path, clock: Clock) -> None:
    lease = Lease.of_parent(tmp_path)
    lease.renew()
    clock.pass_s(1e6)
    assert not lease.is_over(10)
    assert not Handshake(tmp_path, 0).is_orphan()  # a worker of this machine has none


def test_a_lease_is_over_when_it_was_not_renewed_for_so_long(tmp_path: Path, clock: Clock) -> None:
    Lease.of_parent(tmp_path).begin()
    worker = Handshake(tmp_path, 0)
    clock.pass_s(9.9)
    assert not worker.is_orphan()
    clock.pass_s(0.2)
    assert worker.is_orphan()
    Lease.of_parent(tmp_path).renew()
    assert not worker.is_orphan()


def test_a_worker_shows_that_it_lives(tmp_path: Path, clock: Clock) -> None:
    lease = Lease.of_worker(tmp_path)
    lease.begin()
    clock.pass_s(8)
    Handshake(tmp_path, 0).show_life()
    clock.pass_s(8)
    assert not lease.is_over(10)
    clock.pass_s(3)
    assert lease.is_over(10)
