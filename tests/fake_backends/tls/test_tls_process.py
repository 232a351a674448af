"""The process with plain fakes and fakes in TLS: real clients, control, broken connections, records, and its end.

The clients know nothing but the environment variables that the service under test is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import psutil
import pytest

from harness.rundir.origin_notes import read_origin_notes
from harness.rundir.plan import Plan
from harness.rundir.planned import behaviours
from harness.rundir.planned.ca_variables import CA_VARIABLES
from harness.rundir.planned.fault import FaultWindow, PlannedFault, Proof
from harness.rundir.planned.routes import BrokenAnswer, PlannedAnswer, PlannedRoute, RouteSource
from harness.rundir.rows import CALLS, FLAG_SHAKEN_ONCE, FLAG_SHAKEN_TWICE, read_rows
from harness.stack.injection.fake import FakeFaultHandle, still_applied
from harness.stack.processes import backends
from harness.stack.processes.ports import PortLease
from harness.stack.processes.process import ChildProcess
from harness.tls_channel import TlsChannel
from tests.fake_backends.plans import plan, upstream
from tests.fake_backends.tls.certificates import await_no_key_folder

pytestmark = pytest.mark.stack

PATIENCE_S = 30.0
STATUS = PlannedFault(
    name="azure-status",
    kind="status",
    text="status 503",
    upstreams=("azure",),
    windows=(FaultWindow(apply_ms=0, remove_ms=1000),),
    behaviour=behaviours.Status(status=503),
    held_ms=0,
    proof=Proof(kind="failed"),
)
ROUTES = tuple(
    PlannedRoute(method="GET", path=f"/{how}", answers=(PlannedAnswer(broken=how),)) for how in get_args(BrokenAnswer)
)


@dataclass(frozen=True)
class Scene:
    """The process: `azure` and `aws` are in TLS, and aws has broken routes; `gcp` is plain; `slow` holds a call."""

    plan: Plan
    run_dir: Path
    child: ChildProcess
    ca: Path

    def port(self, name: str) -> int:
        return self.plan.upstream(name).origin.port

    def rows(self) -> dict[str, list[int]]:
        """By upstream, the status of each call in the order of their ends."""
        rows = read_rows(self.run_dir / "calls-0.bin", CALLS)
        return {u.name: [int(row["status"]) for row in rows if row["upstream"] == u.index] for u in self.plan.upstreams}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with PortLease() as lease:
        ports = [lease.take() for _ in range(4)]
        quick = {"p50_ms": 1.0, "p99_ms": 2.0}
        azure = upstream("azure", 0, port=ports[0], **quick)
        gcp = upstream("gcp", 1, port=ports[1], **quick)
        aws = upstream("aws", 2, port=ports[2], **quick)
        slow = upstream("slow", 3, port=ports[3], p50_ms=60_000.0, p99_ms=60_000.0)
        assert aws.fake
        broken = aws.fake.model_copy(update={"routes": RouteSource(kind="routes", routes=ROUTES)})
        in_tls = {"terminates_tls": True}
        of = plan(
            azure.model_copy(update=in_tls),
            gcp,
            aws.model_copy(update={**in_tls, "fake": broken}),
            slow.model_copy(update=in_tls),
        ).model_copy(update={"ca_file": str(tmp_path / "tls" / "ca.pem"), "faults": (STATUS,), "stack_id": "s"})
        of.write(tmp_path)
        (tmp_path / "logs").mkdir()
        environ = {name: value for name, value in os.environ.items() if name not in CA_VARIABLES}
        spec = backends.spec(of.stack, tmp_path, environ)
        assert spec

        async def start() -> ChildProcess:
            child = ChildProcess.start(spec)
            await backends.ready(of.stack, child)
            return child

        with asyncio.Runner() as runner:
            child = runner.run(start())
            process = psutil.Process(child.pid)
            try:
                yield Scene(of, tmp_path, child, tmp_path / "tls" / "ca.pem")
            finally:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def ended(scene: Scene) -> None:
    """Stop the process and wait until its records are closed. Its log is empty."""
    os.kill(scene.child.pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_S
    while not (scene.run_dir / "calls-0.bin.end").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert (scene.run_dir / "logs" / "backends.log").read_bytes() == b""


def get(scene: Scene, name: str, path: str = "/offers") -> tuple[int, bytes]:
    port = scene.port(name)
    connection: http.client.HTTPConnection
    if scene.plan.upstream(name).terminates_tls:
        context = ssl.create_default_context(cafile=scene.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_plain_and_tls_answer_side_by_side_and_leave_their_rows(scene: Scene) -> None:
    for name in ("azure", "gcp", "azure"):
        status, body = get(scene, name)
        assert status == 200
        assert {row["provider"] for row in json.loads(body)["offers"]} == {name}
    with socket.create_connection(("127.0.0.1", scene.port("slow")), timeout=PATIENCE_S) as sock:
        context = ssl.create_default_context(cafile=scene.ca)
        with context.wrap_socket(sock, server_hostname="localhost") as client:
            client.sendall(b"GET /offers HTTP/1.1\r\nhost: x\r\n\r\n")
            assert get(scene, "slow", "/-/ready")[0] == 200  # on another connection, answered after the first was read
            os.kill(scene.child.pid, signal.SIGTERM)  # an open call is answered, in TLS too
            assert client.recv(100).startswith(b"HTTP/1.1 503 ")
    ended(scene)
    assert scene.rows() == {"azure": [200, 200], "gcp": [200], "aws": [], "slow": [503]}


@pytest.mark.parametrize(
    ("version", "flags"), [(ssl.TLSVersion.TLSv1_3, FLAG_SHAKEN_ONCE), (ssl.TLSVersion.TLSv1_2, FLAG_SHAKEN_TWICE)]
)
def test_the_first_call_of_a_connection_records_its_handshake(
    scene: Scene, version: ssl.TLSVersion, flags: int
) -> None:
    context = ssl.create_default_context(cafile=scene.ca)
    context.minimum_version = context.maximum_version = version
    connection = http.client.HTTPSConnection("127.0.0.1", scene.port("azure"), timeout=PATIENCE_S, context=context)
    for _ in range(2):
        connection.request("GET", "/offers")
        assert connection.getresponse().read()
    connection.close()
    get(scene, "gcp")
    ended(scene)
    assert [int(row["flags"]) for row in read_rows(scene.run_dir / "calls-0.bin", CALLS)] == [flags, 0, 0]


def test_control_reaches_fakes_in_tls_and_another_load_gets_records_of_its_own(scene: Scene, tmp_path: Path) -> None:
    handle = FakeFaultHandle.of(scene.plan, STATUS, 0, "azure")
    handle.apply(disabled_by_other=False)
    handle.verify_active(disabled_by_other=False)
    assert still_applied(scene.plan) == ["azure"]
    assert get(scene, "azure")[0] == 503
    handle.remove(disabled_by_other=False)
    handle.verify_removed(disabled_by_other=False)
    other = tmp_path / "other"
    other.mkdir()
    scene.plan.write(other)
    asyncio.run(backends.switch(scene.plan.stack, other))
    assert get(scene, "azure")[0] == 200
    assert scene.rows()["azure"] == [503]
    asyncio.run(backends.switch(scene.plan.stack, None))
    assert [int(row["status"]) for row in read_rows(other / "calls-0.bin", CALLS)] == [200]


@pytest.mark.parametrize("how", get_args(BrokenAnswer))
def test_connections_break_in_tls_as_they_do_without(scene: Scene, how: BrokenAnswer) -> None:
    tls = TlsChannel(ssl.create_default_context(cafile=scene.ca), server_name="localhost")
    received = b""
    was_reset = False
    # Python's own TLS sockets report a reset as an end of file
    with socket.create_connection(("127.0.0.1", scene.port("aws")), timeout=PATIENCE_S) as sock:
        while not tls.shake():
            sock.sendall(tls.to_send())
            tls.received(sock.recv(65536))
        tls.write(f"GET /{how} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        sock.sendall(tls.to_send())
        try:
            while (data := tls.read()) != b"":
                received += data or b""
                if data is None:
                    tls.received(sock.recv(65536))
        except ConnectionResetError:
            was_reset = True
    assert was_reset is (how == "reset")
    assert bool(received) is how.startswith("garbage")
    assert received.startswith(b"HTTP/1.1 200 OK") is (how == "garbage_after_head")


def test_the_key_is_in_no_file(scene: Scene) -> None:
    get(scene, "azure")
    assert "BEGIN CERTIFICATE" in scene.ca.read_text()
    for path in scene.run_dir.rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes(), path
    await_no_key_folder()


CLIENTS = {
    "httpx": "import sys, httpx; print(httpx.get(sys.argv[1]).status_code)",
    "requests": "import sys, requests; print(requests.get(sys.argv[1], timeout=20).status_code)",
    "aiohttp": (
        "import asyncio, sys, aiohttp\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as answer:\n"
        "        print(answer.status)\n"
        "asyncio.run(main())"
    ),
    "urllib": "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).status)",
    "node": (
        "fetch(process.argv[1]).then(async a => { await a.text(); console.log(a.status) }).catch(() => process.exit(1))"
    ),
    "curl": "",
}


def command(client: str, url: str) -> list[str]:
    if client in ("node", "curl"):
        program = shutil.which(client)
        if program is None:
            pytest.skip(f"{client} is not installed")
        options = ["-e", CLIENTS[client]] if client == "node" else ["-sf", "-w", "%{http_code}"]
        return [program, *options, url]
    return [sys.executable, "-c", CLIENTS[client], url]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_verifies_by_the_environment_alone_and_fails_without_it(scene: Scene, client: str) -> None:
    words = command(client, f"https://127.0.0.1:{scene.port('azure')}/offers")
    bare = {name: value for name, value in os.environ.items() if name not in CA_VARIABLES}
    told = {**bare, **dict.fromkeys(CA_VARIABLES, str(scene.ca))}
    knowing = subprocess.run(words, env=told, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert knowing.returncode == 0, knowing.stderr
    assert knowing.stdout.strip().endswith("200")
    stranger = subprocess.run(words, env=bare, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert stranger.returncode != 0
    assert "200" not in stranger.stdout
    ended(scene)  # the failed handshake leaves no trace in the log
    assert scene.rows()["azure"] == [200]
    # these two hang up without an alert
    expected = [] if client in ("node", "aiohttp") else [("azure", "handshake", 1)]
    assert [(note.upstream, note.kind, note.calls) for note in read_origin_notes(scene.run_dir)] == expected


def test_who_speaks_no_tls_is_told_of_each_upstream_and_each_load(scene: Scene, tmp_path: Path) -> None:
    def ask(name: str) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", scene.port(name))) as sock:
            sock.settimeout(PATIENCE_S)
            sock.sendall(b"GET /offers HTTP/1.1\r\nhost: x\r\n\r\n")
            while sock.recv(1000):
                pass

    for name in ("azure", "slow", "azure"):
        ask(name)
    other = tmp_path / "other"
    other.mkdir()
    scene.plan.write(other)
    asyncio.run(backends.switch(scene.plan.stack, other))
    ask("aws")
    asyncio.run(backends.switch(scene.plan.stack, None))
    said = "it sent plain HTTP, and TLS is spoken there"
    first = [(note.upstream, note.text, note.calls) for note in read_origin_notes(scene.run_dir)]
    assert first == [("azure", said, 2), ("slow", said, 1)]
    assert [(note.upstream, note.text, note.calls) for note in read_origin_notes(other)] == [("aws", said, 1)]
