"""The process on real sockets: many backends, rows with their footer, and every way it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from harness.rundir.plan import Plan
from harness.rundir.planned.routes import BrokenAnswer, PlannedAnswer, PlannedProfile, PlannedRoute, RouteSource
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import CALLS, read_rows
from harness.stack.processes.ports import PortLease
from tests.fake_backends.plans import plan, upstream

pytestmark = pytest.mark.stack

PATIENCE_S = 20.0


@pytest.fixture
def ports() -> Iterator[list[int]]:
    with PortLease() as lease:
        yield [lease.take() for _ in range(8)]


def planned(ports: list[int], **fields: float) -> tuple[PlannedUpstream, ...]:
    return tuple(upstream(f"cloud-{index}", index, port=port, **fields) for index, port in enumerate(ports))


@contextlib.contextmanager
def started(run_dir: Path, of: Plan) -> Iterator[subprocess.Popen[bytes]]:
    of.write(run_dir)
    command = [sys.executable, "-P", "-m", "fake_backends", str(run_dir)]
    with (run_dir / "backends.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until_healthy([each.origin.port for each in of.upstreams])
            yield process
        finally:
            process.kill()


def until_healthy(ports: list[int]) -> None:
    until = time.monotonic() + PATIENCE_S
    for port in ports:
        while True:
            with contextlib.suppress(OSError):
                if get(port, "/-/ready")[0] == 200:
                    break
            assert time.monotonic() < until, f"port {port} never answered"
            time.sleep(0.01)


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_each_backend_answers_with_its_own_rows_and_sigterm_closes_the_records(
    tmp_path: Path, ports: list[int]
) -> None:
    upstreams = planned(ports, p50_ms=5.0, p99_ms=9.0)
    with started(tmp_path, plan(*upstreams)) as process:
        for each in upstreams:
            status, body = get(each.origin.port, "/offers", x_tailgate_seq="40")
            assert status == 200
            assert {row["provider"] for row in json.loads(body)["offers"]} == {each.name}
        get(ports[0], "/offers", x_tailgate_canary="1")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    rows = read_rows(tmp_path / "calls-0.bin", CALLS)
    assert rows["upstream"].tolist() == [*range(8), 0]
    assert rows["flags"].tolist() == [0] * 8 + [1]
    late_ms = (rows["done_ns"] - rows["due_ns"]) / 1e6
    assert late_ms.min() > -1.1  # libuv's timers count whole milliseconds
    assert (tmp_path / "backends.log").read_bytes() == b""


def test_a_call_it_holds_does_not_hold_up_the_end(tmp_path: Path, ports: list[int]) -> None:
    slow = plan(*planned(ports[:1], p50_ms=60_000.0, p99_ms=60_000.0))
    with (
        started(tmp_path, slow) as process,
        socket.create_connection(("127.0.0.1", ports[0]), timeout=PATIENCE_S) as client,
    ):
        client.sendall(b"GET /offers HTTP/1.1\r\nhost: x\r\nx-tailgate-seq: 3\r\n\r\n")
        get(ports[0], "/-/ready")  # on another connection, answered after the first was read
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")
    (row,) = read_rows(tmp_path / "calls-0.bin", CALLS)
    assert (row["seq"], row["status"]) == (3, 503)
    assert (tmp_path / "backends.log").read_bytes() == b""


def test_rows_are_on_disk_while_it_runs(tmp_path: Path, ports: list[int]) -> None:
    with started(tmp_path, plan(*planned(ports[:1], p50_ms=1.0, p99_ms=1.0))):
        get(ports[0], "/offers")
        until = time.monotonic() + PATIENCE_S
        while (tmp_path / "calls-0.bin").stat().st_size < CALLS.size:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not (tmp_path / "calls-0.bin.end").exists()


def test_it_leaves_when_its_parent_is_gone(tmp_path: Path, ports: list[int]) -> None:
    plan(*planned(ports[:1])).write(tmp_path)
    child = [sys.executable, "-P", "-m", "fake_backends", str(tmp_path)]
    parent = f"import subprocess, sys, time; print(subprocess.Popen({child!r}).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        try:
            until_healthy(ports[:1])
        finally:
            process.kill()
    until = time.monotonic() + PATIENCE_S
    while not (tmp_path / "calls-0.bin.end").exists():
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("it outlived its parent")
        time.sleep(0.05)


def ended(run_dir: Path) -> tuple[int, str]:
    """Exit code and last line of one that cannot start."""
    command = [sys.executable, "-P", "-m", "fake_backends", str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_port_in_use_is_its_last_word(tmp_path: Path, ports: list[int]) -> None:
    plan(*planned(ports[:2])).write(tmp_path)
    with socket.create_server(("127.0.0.1", ports[1])):
        code, line = ended(tmp_path)
    assert code == 4
    assert line.startswith(f"error: backend `cloud-1` cannot listen on 127.0.0.1:{ports[1]}: Address already in use")


def test_a_plan_it_cannot_use_is_its_last_word(tmp_path: Path, ports: list[int]) -> None:
    assert ended(tmp_path) == (4, f"error: {tmp_path / 'plan.json'} cannot be read: No such file or directory")
    (tmp_path / "plan.json").write_text("{}")
    code, line = ended(tmp_path)
    assert code == 4
    assert line.startswith(f"error: {tmp_path / 'plan.json'} is no plan: ")
    plan().write(tmp_path)
    nothing = "the plan has neither fake nor forwarded upstreams, so there is nothing to serve"
    assert ended(tmp_path) == (4, f"error: {nothing}")
    plan(*planned(ports[:1], p50_ms=9.0, p99_ms=5.0)).write(tmp_path)
    code, line = ended(tmp_path)
    assert code == 4
    assert line.startswith("error: backend `cloud-0`: p50 must be above zero and at most p99")


def test_a_disk_that_takes_no_more_ends_it_and_leaves_the_records_open(tmp_path: Path, ports: list[int]) -> None:
    plan(*planned(ports[:1], p50_ms=1.0, p99_ms=1.0)).write(tmp_path)
    command = [sys.executable, "-P", "-m", "fake_backends", str(tmp_path)]
    small_files = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    limited = [sys.executable, "-c", f"{small_files}; os.execv(sys.argv[1], sys.argv[1:])", *command]
    with subprocess.Popen(limited, stderr=subprocess.PIPE, text=True) as process:
        try:
            until_healthy(ports[:1])
            for _ in range(4):
                with contextlib.suppress(OSError, http.client.HTTPException):  # it may have ended by then
                    get(ports[0], "/offers")
            _, log = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 4
    assert log.splitlines()[-1].startswith("error: call records cannot be written: File too large")
    assert not (tmp_path / "calls-0.bin.end").exists()


BROKEN = {
    "empty": b"",
    "garbage": bytes(range(128, 256)) * 4,
    "garbage_after_head": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + bytes(range(128, 256)) * 4,
}


def sent_before_the_end(port: int, path: str) -> bytes | None:
    """All bytes until the connection is closed; None if it is reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            return None
        return received


def test_an_answer_that_is_none_breaks_the_connection_after_the_routes_latency(
    tmp_path: Path, ports: list[int]
) -> None:
    latency = PlannedProfile(kind="constant", numbers_ms={"constant_ms": 100.0})
    routes = tuple(
        PlannedRoute(method="GET", path=f"/{how}", answers=(PlannedAnswer(broken=how),), profile=latency)
        for how in get_args(BrokenAnswer)
    )
    planned_one = upstream("azure", 0, port=ports[0], p50_ms=1.0, p99_ms=1.0)
    assert planned_one.fake
    routed = planned_one.fake.model_copy(update={"routes": RouteSource(kind="routes", routes=routes)})
    of = plan(planned_one.model_copy(update={"fake": routed}))
    with started(tmp_path, of) as process:
        for how in get_args(BrokenAnswer):
            began_s = time.monotonic()
            assert sent_before_the_end(ports[0], f"/{how}") == BROKEN.get(how), how
            assert time.monotonic() - began_s >= 0.1
        assert get(ports[0], "/none")[0] == 404
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_S)
    rows = read_rows(tmp_path / "calls-0.bin", CALLS)
    assert [(int(row["status"]), int(row["bytes"])) for row in rows] == [
        *((0, len(BROKEN.get(how, b""))) for how in get_args(BrokenAnswer)),
        (404, int(rows[-1]["bytes"])),
    ]
