"""nginx as the gateway: its configuration in words, and a real one that times out once and needs no root."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.rundir import handshake
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander
from harness.stack.processes import gateway, probe
from harness.stack.processes.ports import PortLease
from tests.own_ports import own_lease
from tests.stack.stack_scene import make_plan

NOBODY = 65_534


class SilentServer:
    """Accepts, answers /healthz, and leaves everything else without a word; counts what it was asked."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self._kept: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._kept.append(connection)
            head = connection.recv(65_536).decode()
            self.asked.append(head)
            if head.startswith("GET /healthz"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                connection.close()

    def close(self) -> None:
        self._listener.close()
        for connection in self._kept:
            connection.close()


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[PortLease]:
    with own_lease(tmp_path / "locks") as lease:
        yield lease


@pytest.fixture
def plan(lease: PortLease, run_id: str) -> Plan:
    plan = make_plan(lease, run_id)
    return plan.model_copy(update={"gateway": plan.gateway.model_copy(update={"timeout_ms": 300})})


def test_what_matters_is_written_out(plan: Plan, tmp_path: Path) -> None:
    text = gateway.render(plan, plan.service.url, tmp_path / "control" / "nginx")
    for directive in (
        "proxy_connect_timeout 300ms;", "proxy_send_timeout 300ms;", "proxy_read_timeout 300ms;",
        "proxy_next_upstream off;", "proxy_buffering on;", "proxy_request_buffering on;",
        "keepalive_requests 1000000;", "proxy_set_header Connection close;", "worker_connections 1024;",
        f"listen 127.0.0.1:{plan.gateway.port} backlog=4096;", f"proxy_pass http://127.0.0.1:{plan.service.port};",
    ):  # fmt: skip
        assert directive in text


def test_connections_follow_what_may_be_in_flight(plan: Plan, tmp_path: Path) -> None:
    plan = plan.model_copy(update={"most_in_flight": 4_000})
    assert "worker_connections 10064;" in gateway.render(plan, plan.service.url, tmp_path)


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://localhost:8000/base", "http://127.0.0.1:8000", "localhost:8000"),
        ("https://offers.test", "https://offers.test:443", "offers.test"),
        ("http://[::1]:8000", "http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_a_service_by_url_is_called_by_its_own_name(
    plan: Plan, tmp_path: Path, url: str, target: str, host: str
) -> None:
    text = gateway.render(plan, url, tmp_path)
    assert f"proxy_pass {target};" in text
    assert f'proxy_set_header Host "{host}";' in text


def test_a_path_that_nginx_would_misread_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="without special characters"):
        gateway.render(plan, plan.service.url, tmp_path / 'a"b;')


def test_its_own_trouble_is_told_from_the_services(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "gateway.log"
    log.write_text("[error] 7#7: *1 upstream timed out (110: Connection timed out) while reading response header\n")
    assert gateway.troubles(log) == []
    log.write_text('2026/01/01 00:00:00 [alert] 7#7: write() to "x" failed (28: No space left on device)\n')
    (fault,) = gateway.troubles(log)
    assert "No space left on device" in fault.message
    assert fault.fix


@pytest.mark.stack
@pytest.mark.parametrize("user", [None, NOBODY])
def test_it_times_out_once_and_writes_it_down(lease: PortLease, plan: Plan, user: int | None) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become somebody else; the other case runs without root then")
    if shutil.which("nginx") is None:
        pytest.skip("no nginx on PATH")
    run_dir = Path(tempfile.mkdtemp(prefix="tailgate gateway "))  # a blank in the path is allowed
    server = SilentServer(plan.service.port or 0)
    try:
        handshake.prepare(run_dir)
        spec = gateway.spec(plan, run_dir, dict(os.environ), Expander({}))
        assert spec is not None
        if user is not None:
            for path in [run_dir, *run_dir.rglob("*")]:
                os.chown(path, user, user, follow_symlinks=False)
        process = subprocess.Popen(spec.argv, cwd=run_dir, stderr=subprocess.DEVNULL, user=user)
        try:
            took_ms = asyncio.run(_ask(plan))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert took_ms > 250
        assert len([head for head in server.asked if head.startswith("GET /offers")]) == 1
        lines = [json.loads(line) for line in (run_dir / "gateway.ndjson").read_text().splitlines()]
        (line,) = [line for line in lines if line["uri"].startswith("/offers")]
        assert line["status"] == 504
        assert line["uri"] == "/offers?gpu=%22A100%22//x"
        assert 0.25 <= line["request_s"] < 5, "in seconds, and of nginx alone: the client may have read it later"
    finally:
        server.close()
        shutil.rmtree(run_dir)


async def _ask(plan: Plan) -> float:
    base = f"http://127.0.0.1:{plan.gateway.port}"
    await probe.until_answered(f"{base}/healthz", within_s=20)
    begin = time.monotonic()
    answer = await probe.get(f"{base}/offers?gpu=%22A100%22//x", timeout_s=5)
    assert answer.status == 504
    return (time.monotonic() - begin) * 1000
