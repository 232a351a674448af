"""What fakes are asked for and do not have: told by method and path, bounded, and never in the way of the run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fake_backends.providers import PROVIDERS, Provider
from fake_backends.unmatched import UnmatchedCalls
from harness.rundir.planned.behaviours import Status
from harness.rundir.unmatched import FILE, KINDS_MOST, PATH_MOST, Unmatched, read_unmatched
from tests.fake_backends.fakes import MakeFakes, fault
from tests.fake_backends.plans import plan, upstream
from tests.fake_backends.test_fakes_process import PATIENCE_S, get, planned, ports, started
from tests.fake_backends.wire_clients import ask, provided
from tests.virtual_time import run

__all__ = ["ports"]


def told(folder: Path) -> list[tuple[str | None, str | None, int | None, int]]:
    return [(line.method, line.path, line.status, line.calls) for line in read_unmatched(folder)]


def test_calls_for_what_is_not_there_are_counted_by_method_and_path(make_fakes: MakeFakes, tmp_path: Path) -> None:
    fakes = make_fakes()

    async def scene() -> None:
        for seq in range(3):
            await fakes.call(seq, path=f"/v2/offers?page={seq}&key=abc")
        await fakes.call(3, path="/offers", method="POST")
        await fakes.call(4, path="/offers?cursor=never-given-out")
        await fakes.call(5, path="/offers")
        await fakes.call(None, path="/elsewhere", canary=True)
        await fakes.call(None, path="/-/ready")

    run(scene())
    fakes.app.load.unmatched.write()
    assert told(tmp_path) == [
        ("GET", "/v2/offers", 404, 3),
        ("POST", "/offers", 405, 1),
        ("GET", "/offers", 400, 1),
    ]
    assert {line.speaks for line in read_unmatched(tmp_path)} == {
        "a fake of the provider generic speaks GET /offers?cursor="
    }


def test_a_fault_makes_no_call_unmatched(make_fakes: MakeFakes, tmp_path: Path) -> None:
    fakes = make_fakes(fault(Status(status=404)))

    async def scene() -> None:
        await fakes.apply()
        assert (await fakes.call(0)).status == 404

    run(scene())
    fakes.app.load.unmatched.write()
    assert not (tmp_path / FILE).exists()


def test_paths_without_end_are_one_number_and_one_length(tmp_path: Path) -> None:
    calls = UnmatchedCalls(tmp_path, {}, ("hunter2-hunter2",))
    for number in range(KINDS_MOST + 30):
        calls.note("azure", "GET", f"/{number}", 404)
    calls.note("gcp", "GET", "/hunter2-hunter2/" + "x" * 100_000, 404)
    calls.note("gcp", "G\x1b[31mET", "/a\nb\u202e", 404)
    calls.write()
    lines = read_unmatched(tmp_path)
    azure = [line for line in lines if line.upstream == "azure"]
    assert len(azure) == KINDS_MOST + 1
    assert azure[-1] == Unmatched(upstream="azure", method=None, path=None, status=None, calls=30)
    long, odd = [line for line in lines if line.upstream == "gcp"]
    assert long.path is not None and long.path.startswith("/***/xxx") and len(long.path) < PATH_MOST + 40
    assert (odd.method, odd.path) == ("G\\x1b[31mET", "/a\\nb\\u202e")


def test_it_is_written_when_something_came_and_then_whole(tmp_path: Path) -> None:
    calls = UnmatchedCalls(tmp_path, {})
    calls.write()
    assert not (tmp_path / FILE).exists()
    calls.note("azure", "GET", "/x", 404)
    calls.write()
    assert told(tmp_path) == [("GET", "/x", 404, 1)]
    calls.note("azure", "GET", "/x", 404)
    calls.write()
    assert told(tmp_path) == [("GET", "/x", 404, 2)]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_disk_that_takes_none_is_no_trouble(tmp_path: Path) -> None:
    calls = UnmatchedCalls(tmp_path / "nowhere", {})
    calls.note("azure", "GET", "/x", 404)
    calls.write()
    assert read_unmatched(tmp_path) == ()


@pytest.mark.parametrize("each", PROVIDERS, ids=lambda each: each.name)
def test_what_a_provider_says_it_speaks_it_has(each: type[Provider]) -> None:
    _, provider = provided(each.name, rows=4)
    calls = provider.speaks.replace(" and ", ", ").split(", ")
    for call in calls:
        method, _, path = call.partition(" ")
        assert ask(provider, method, path.partition("?")[0]).matched, call
    assert not ask(provider, "GET", "/v9/nowhere").matched


@pytest.mark.stack
def test_a_killed_process_leaves_what_it_had_seen(tmp_path: Path, ports: list[int]) -> None:
    with started(tmp_path, plan(*planned(ports[:1], p50_ms=1.0, p99_ms=1.0))) as process:
        assert get(ports[0], "/v2/offers")[0] == 404
        until = time.monotonic() + PATIENCE_S
        while not (tmp_path / FILE).exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert told(tmp_path) == [("GET", "/v2/offers", 404, 1)]
    assert read_unmatched(tmp_path)[0].speaks == "a fake of the provider generic speaks GET /offers?cursor="


@pytest.mark.stack
def test_the_end_writes_the_last_counts(tmp_path: Path, ports: list[int]) -> None:
    with started(tmp_path, plan(upstream("azure", 0, port=ports[0], p50_ms=1.0, p99_ms=1.0))) as process:
        for _ in range(7):
            get(ports[0], "/v2/offers")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert told(tmp_path) == [("GET", "/v2/offers", 404, 7)]
