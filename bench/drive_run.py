"""Drives a plan the way the supervisor does, without a supervisor: one set of workers, the handshake.

For benchmarks that want the load generator alone.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedLoad, PlannedRequest, Schedule, Stage
from harness.rundir.planned.service import PlannedGateway, PlannedService
from harness.rundir.rows import SAMPLES, read_rows
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.command import worker_argv

READY_WITHIN_S = 30.0


def open_plan(
    url: str, *, rate_per_s: float, warmup_s: float, duration_s: float, cap_s: float = 30.0, workers: int = 1
) -> Plan:
    """A plan of one GET at a constant rate, evenly spaced, against a server that runs already."""
    length_ms = (warmup_s + duration_s) * 1000
    stage = Stage(start_per_s=rate_per_s, end_per_s=rate_per_s, duration_ms=length_ms)
    load = PlannedLoad(
        model="open",
        schedule=Schedule(start_ms=-warmup_s * 1000, arrivals="poisson", stages=(stage,)),
        workers=workers,
        requests=(PlannedRequest(name="GET /", method="GET", path="/", asks=()),),
        warmup_ms=warmup_s * 1000,
        duration_ms=duration_s * 1000,
        drain_ms=cap_s * 1000 + 1000,
        client_cap_ms=cap_s * 1000,
        max_in_flight=math.ceil(rate_per_s * cap_s * 1.25),
        ok=((200, 399),),
        complete="none",
    )
    return Plan(
        run_id=f"20260101-000000-{secrets.token_hex(2)}",
        name="bench",
        seed=0,
        scenario_file="bench",
        scenario_sha256="0" * 64,
        service=PlannedService(kind="url", url=url),
        gateway=PlannedGateway(kind="none", timeout_ms=None, target=url),
        load=load,
        guard_ms=0,
        gates=(),
    )


def drive(plan: Plan, run_dir: Path, at_start: Callable[[int], None] = lambda t0_ns: None) -> tuple[Any, int]:
    """Run every worker to its end. The samples of all, and t0 in monotonic ns, which `at_start` gets too."""
    plan.write(run_dir)
    (run_dir / "control").mkdir()
    load = plan.load
    logs = [(run_dir / f"locust-{index}.log").open("wb") for index in range(load.workers)]
    workers = [
        subprocess.Popen(
            worker_argv(run_dir, index),
            cwd=run_dir,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "TAILGATE_RUN": plan.run_id},
        )
        for index, log in enumerate(logs)
    ]
    try:
        _await_ready(run_dir, workers)
        start_ns = time.monotonic_ns() + NS_PER_S
        t0_ns = start_ns + round(load.warmup_ms * NS_PER_MS)
        at_start(t0_ns)
        draft = run_dir / "start.json.new"
        draft.write_text(json.dumps({"start_ns": start_ns, "t0_ns": t0_ns}))
        draft.replace(run_dir / "control" / "start.json")
        limit_s = (load.warmup_ms + load.duration_ms + load.drain_ms) / 1000 + 30
        for worker in workers:
            if code := worker.wait(timeout=limit_s):
                raise SystemExit(f"a worker ended with {code}; see {run_dir}")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        for log in logs:
            log.close()
    import numpy as np

    rows = [read_rows(run_dir / f"samples-{index}.bin", SAMPLES) for index in range(load.workers)]
    return np.concatenate(rows), t0_ns


def _await_ready(run_dir: Path, workers: list[subprocess.Popen[bytes]]) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while not all((run_dir / "control" / f"ready-{index}").exists() for index in range(len(workers))):
        if time.monotonic() > give_up or any(worker.poll() is not None for worker in workers):
            raise SystemExit(f"the workers did not get ready; see {run_dir}")
        time.sleep(0.02)
