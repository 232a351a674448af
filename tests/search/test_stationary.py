"""Queues of simulated servers: one that keeps up is stationary, one that does not is not, at any length."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.search.stationary import Queue, mean_in_flight, not_stationary

S = 1_000_000_000


def served(
    rate_per_s: float, seconds: float, servers: int, work_s: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Poisson arrivals at a queue of `servers` that each take `work_s`: when each arrived and when each was done."""
    draw = np.random.default_rng(seed)
    arrived = np.cumsum(draw.exponential(1 / rate_per_s, int(rate_per_s * seconds * 1.3) + 50))
    arrived = arrived[arrived < seconds]
    free = [0.0] * servers
    done = []
    for at in arrived:
        begin = max(at, heapq.heappop(free))
        done.append(begin + work_s)
        heapq.heappush(free, begin + work_s)
    return (arrived * S).astype(np.int64), (np.array(done) * S).astype(np.int64)


def judged(load: float, seed: int, seconds: float = 12, settle: float = 4) -> str | None:
    """Of a pool of 20 servers of 100 ms, which carries 200 a second, at `load` times that."""
    intended, done = served(200 * load, settle + seconds, 20, 0.1, seed)
    queue = not_stationary(intended, done, round(settle * S), round((settle + seconds) * S), unfinished=0)
    return queue.reason if queue else None


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_a_server_that_keeps_up_is_stationary(load: float) -> None:
    refused = [seed for seed in range(40) if judged(load, seed)]
    assert len(refused) <= 2, refused


@pytest.mark.parametrize("load", [1.1, 1.25, 1.5, 3.0])
def test_one_that_does_not_is_not(load: float) -> None:
    missed = [seed for seed in range(40) if not judged(load, seed)]
    assert len(missed) <= (3 if load == 1.1 else 0), missed


def in_clumps(seed: int, seconds: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """40 requests a second to an upstream that hangs for 1 s now and then. There are four things to ask it for, and who
    asks for the same one shares the call that is open. So the numbers in flight vary by more than Poisson counts."""
    draw = np.random.default_rng(seed)
    arrived = np.cumsum(draw.exponential(1 / 40, int(seconds * 60)))
    arrived = arrived[arrived < seconds]
    things = draw.integers(0, 4, len(arrived))
    until = np.zeros(4)
    done = []
    for at, thing in zip(arrived, things, strict=True):
        if at >= until[thing]:
            until[thing] = at + (1.0 if draw.uniform() < 0.15 else 0.07)
        done.append(max(until[thing], at + 0.01))
    return (arrived * S).astype(np.int64), (np.array(done) * S).astype(np.int64)


def test_requests_that_wait_together_are_no_queue() -> None:
    refused = []
    for seed in range(200):
        intended, done = in_clumps(seed, 17)
        if reason := not_stationary(intended, done, 5 * S, 17 * S, unfinished=0):
            refused.append(reason)
    assert len(refused) <= 4, refused


def test_the_reason_has_figures() -> None:
    assert "requests in flight still rose at the end, from" in (judged(1.5, 1) or "")


def test_requests_that_never_ended_are_a_reason() -> None:
    empty = np.empty(0, np.int64)
    assert not_stationary(empty, empty, 0, S, unfinished=3) == Queue(
        "3 requests were still open when the drain ended", True
    )
    assert not_stationary(empty, empty, 0, S, unfinished=0) is None


def test_a_service_whose_every_request_takes_long_is_stationary_after_it_has_settled() -> None:
    intended, done = served(50, 40, 10_000, 5.0, 3)
    assert not_stationary(intended, done, 10 * S, 40 * S, unfinished=0) is None


def test_requests_that_are_open_for_a_quarter_of_the_load_are_no_queue() -> None:
    refused = []
    for seed in range(200):
        intended, done = served(30, 17, 10_000, 3.0, seed)
        if reason := not_stationary(intended, done, 5 * S, 17 * S, unfinished=0):
            refused.append(reason)
    assert len(refused) <= 5, refused


def test_littles_law() -> None:
    intended, done = served(100, 60, 1_000, 0.25, 5)
    assert mean_in_flight(intended, done, 10 * S, 60 * S) == pytest.approx(25, rel=0.1)
    assert mean_in_flight(intended, done, S, S) == 0
