"""What tests of the load generator need: a server that does what it is told, plans, real workers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedLoad, PlannedRequest, Schedule, Stage
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.planned.upstream import Endpoint, FakeSpec, PlannedUpstream
from harness.rundir.rows import SAMPLES, read_rows
from harness.units import NS_PER_MS
from scenarios.drive.command import worker_argv

LIMIT_S = 60.0
"""For what comes in a second or two on a quiet machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`hold_s` comes before the status line; `drip_s` between the two halves of the body."""

    status: int = 200
    body: bytes = b"{}"
    hold_s: float = 0.0
    drip_s: float = 0.0
    close: bool = False
    """Close the connection instead of answering."""
    cut: bool = False
    """Close it after half of the body."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_ns: int

    @property
    def seq(self) -> int | None:
        value = self.headers.get("x-tailgate-seq")
        return int(value) if value is not None else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Twenty users log in at once, and a connection that finds the queue full waits for a second."""


class StubServer:
    """Answers by `script(asked)` and remembers what it was asked; threads, so that holds overlap."""

    def __init__(self, script: Callable[[Asked], Answer] = lambda asked: Answer()) -> None:
        self.asked: list[Asked] = []
        self.replied_ns: dict[int, int] = {}
        self.released = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, body, time.monotonic_ns())
                stub.asked.append(asked)
                answer = script(asked)
                stub.released.wait(answer.hold_s)
                if answer.close:
                    self.close_connection = True
                    return
                try:
                    self._write(answer)
                except OSError:  # the client gave up
                    self.close_connection = True
                if asked.seq is not None:
                    stub.replied_ns[asked.seq] = time.monotonic_ns()

            do_GET = do_POST = _serve

            def _write(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                half = len(answer.body) // 2 if answer.drip_s or answer.cut else 0
                self.wfile.write(answer.body[:half])
                if answer.cut:
                    self.close_connection = True
                    return
                stub.released.wait(answer.drip_s)
                self.wfile.write(answer.body[half:])

            def log_message(self, format: str, *args: Any) -> None:
                """Not on the test's stderr."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join(LIMIT_S)
        self._server.server_close()


def get(path: str = "/", **changes: Any) -> PlannedRequest:
    return PlannedRequest(**{"name": f"GET {path}", "method": "GET", "path": path, "asks": (), **changes})


def fake(name: str, index: int) -> PlannedUpstream:
    return PlannedUpstream(
        name=name,
        index=index,
        kind="fake",
        listener=Endpoint(port=20000 + index),
        origin=Endpoint(port=20100 + index),
        fake=FakeSpec(p50_ms=10, p99_ms=20, rows=1, page=0, provider="generic"),
    )


def constant(rate_per_s: float, duration_ms: float, warmup_ms: float = 0.0) -> Schedule:
    stage = Stage(start_per_s=rate_per_s, end_per_s=rate_per_s, duration_ms=warmup_ms + duration_ms)
    return Schedule(start_ms=-warmup_ms, arrivals="constant", stages=(stage,))


def a_plan(
    url: str,
    *,
    rate_per_s: float = 20,
    duration_ms: float = 1000,
    gateway: PlannedGateway | None = None,
    upstreams: tuple[PlannedUpstream, ...] = (),
    seed: int = 7,
    **load: Any,
) -> Plan:
    """A second of evenly spaced arrivals, unless told otherwise; `load` replaces fields of the load."""
    planned = {
        "model": "open",
        "schedule": constant(rate_per_s, duration_ms, load.get("warmup_ms", 0.0)),
        "requests": (get(),),
        "warmup_ms": 0.0,
        "duration_ms": duration_ms,
        "drain_ms": 3000.0,
        "client_cap_ms": 2000.0,
        "max_in_flight": 100,
        "ok": ((200, 399),),
        "complete": "none",
    }
    return Plan(
        run_id=f"20260101-000000-{os.urandom(2).hex()}",
        name="load-test",
        seed=seed,
        scenario_file="scenario.yaml",
        scenario_sha256="0" * 64,
        upstreams=upstreams,
        service=PlannedService(kind="url", url=url),
        gateway=gateway or PlannedGateway(kind="none", timeout_ms=None, target=url),
        load=PlannedLoad.model_validate(planned | load),
        guard_ms=0,
        gates=(),
    )


class Worker:
    """A real Locust worker, and the supervisor's part of the handshake. Killed at the latest on exit."""

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        index: int = 0,
        pass_fds: tuple[int, ...] = (),
        *,
        service_ready: bool = True,
    ) -> None:
        self.plan = plan
        self.run_dir = run_dir
        self.index = index
        self.t0_ns = 0
        self.stderr = ""
        if not (run_dir / "plan.json").exists():
            plan.write(run_dir)
        if service_ready:
            (run_dir / "control").mkdir(exist_ok=True)
            self.tell("service.json", {})
        self.process = subprocess.Popen(
            worker_argv(run_dir, index),
            cwd=run_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=pass_fds,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=LIMIT_S)

    def await_ready(self) -> None:
        self.wait_for((self.run_dir / "control" / f"ready-{self.index}").exists, "to get ready")

    def start(self, in_ms: float = 100) -> None:
        start_ns = time.monotonic_ns() + int(in_ms * NS_PER_MS)
        self.t0_ns = start_ns + int(self.plan.load.warmup_ms * NS_PER_MS)
        self.tell("start.json", {"start_ns": start_ns, "t0_ns": self.t0_ns})

    def tell(self, name: str, content: dict[str, int]) -> None:
        draft = self.run_dir / f"{name}.new"
        draft.write_text(json.dumps(content))
        draft.replace(self.run_dir / "control" / name)

    def finish(self) -> int:
        """Wait for its end; the exit code."""
        _, self.stderr = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + LIMIT_S
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended before it came {what}:\n{self.process.communicate()[1]}")
            assert time.monotonic() < give_up, f"the worker did not come {what}"
            time.sleep(0.01)

    def rows(self) -> Any:
        """Its closed row file."""
        return read_rows(self.run_dir / f"samples-{self.index}.bin", SAMPLES)


def run(plan: Plan, run_dir: Path) -> tuple[Any, Worker]:
    """One worker from start to end; its rows. Fails unless it ends well."""
    with Worker(plan, run_dir) as worker:
        worker.await_ready()
        worker.start()
        assert worker.finish() == 0, worker.stderr
    return worker.rows(), worker
