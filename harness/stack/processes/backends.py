"""The fake backends as a child: one process with a socket for each; ready when every one answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir.plan import Plan
from harness.stack.processes import probe
from harness.stack.processes.process import ChildProcess, ProcessSpec

NAME: Final = "backends"
READY_WITHIN_S: Final = 15.0
GRACE_S: Final = 2.0


def spec(plan: Plan, run_dir: Path, environ: Mapping[str, str]) -> ProcessSpec | None:
    """None where no upstream is a fake."""
    if not any(upstream.kind == "fake" for upstream in plan.upstreams):
        return None
    argv = (sys.executable, "-P", "-m", "fake_backends", str(run_dir))
    return ProcessSpec(NAME, argv, dict(environ), run_dir, run_dir / "logs" / f"{NAME}.log", keep_signals=True)


async def ready(plan: Plan, child: ChildProcess) -> None:
    """Every fake answers on its own port, past any proxy. Raises RigError."""
    fakes = [upstream for upstream in plan.upstreams if upstream.kind == "fake"]
    urls = [f"http://{fake.backend_host}:{fake.backend_port}/healthz" for fake in fakes]
    try:
        await asyncio.gather(*(probe.until_answered(url, within_s=READY_WITHIN_S, child=child) for url in urls))
    except probe.NotReady as exc:
        tail = child.log_excerpt()
        raise RigError(
            f"the fake backends did not get ready: {exc}" + "".join(f"\n  {line}" for line in tail),
            f"see {child.log_place}",
        ) from exc
