"""The fake backends as a child: one process with a listening socket for each fake. Ready when every fake answers."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from harness.correlation import CONTROL_HEADER, LOAD_PATH, READY_PATH, RUN_DIR_HEADER, run_hash
from harness.errors import RigError
from harness.rundir.manifest import part_of
from harness.rundir.plan import StackPlan
from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import probe
from harness.stack.processes.own_tls import client_context, scheme_of
from harness.stack.processes.process import ChildProcess

NAME: Final = "backends"
READY_WITHIN_S: Final = 15.0
GRACE_S: Final = 2.0
SWITCH_S: Final = 5.0
_LAST_WORD: Final = re.compile(r"error(?: at (?P<part>[^:]+))?: (?P<message>.+?)(?: \(fix: (?P<fix>.+)\))?")
"""How the process says why it ended, in the last line of its log: see `fake_backends.__main__`."""
_FIX: Final = "see logs/backends.log of the stack's first run"


def spec(plan: StackPlan, run_dir: Path, environ: Mapping[str, str]) -> ProcessSpec | None:
    """How the process is started; None if no upstream is a fake."""
    if not plan.has_fakes_process:
        return None
    argv = (sys.executable, "-P", "-m", "fake_backends", str(run_dir))
    return ProcessSpec(NAME, argv, dict(environ), run_dir, run_dir / "logs" / f"{NAME}.log", keep_signals=True)


async def switch(plan: StackPlan, run_dir: Path | None) -> None:
    """Let the fakes close their records and record into `run_dir`, an absolute path, for the next load.

    None: they record nothing until the next switch. Raises RigError if they do not switch.
    """
    fakes = [upstream for upstream in plan.upstreams if upstream.answers_http]
    if not fakes:
        return
    first = fakes[0]  # all fakes are in one process, so one request is enough
    url = f"{scheme_of(first)}://{first.origin.address}{LOAD_PATH}"
    headers = {CONTROL_HEADER: run_hash(plan.stack_id)}
    if run_dir:
        headers[RUN_DIR_HEADER] = quote(str(run_dir))
    try:
        answer = await probe.get(url, method="PUT", headers=headers, timeout_s=SWITCH_S, context=client_context(first))
    except (OSError, ValueError) as exc:
        raise RigError(f"the fake backends did not switch to the next load: {exc or type(exc).__name__}", _FIX) from exc
    if answer.status != 200:
        body = answer.body[:200].decode("utf-8", "replace")
        raise RigError(f"the fake backends did not switch to the next load: {answer.status} {body}", _FIX)


async def ready(plan: StackPlan, child: ChildProcess) -> None:
    """Return when every fake answers on its own port, without a proxy. Raises RigError."""
    fakes = [upstream for upstream in plan.upstreams if upstream.answers_http]
    try:
        await asyncio.gather(
            *(_answered(fake, child) for fake in fakes),
            # the process listens for a stream once it has reached the real server
            *(
                probe.until_connected(upstream.origin.host, upstream.origin.port, READY_WITHIN_S, child)
                for upstream in plan.upstreams
                if upstream.stream
            ),
        )
    except probe.NotReady as exc:
        tail = child.log_excerpt()
        if child.code.done() and tail and (said := _LAST_WORD.fullmatch(tail[-1])):
            fix = said["fix"] or f"see {child.log_place}"
            raise RigError(said["message"], fix, part=said["part"] or part_of(NAME)) from exc
        raise RigError(
            f"the fake backends did not get ready: {exc}" + "".join(f"\n  {line}" for line in tail),
            f"see {child.log_place}",
            part=part_of(NAME),
        ) from exc


async def _answered(fake: PlannedUpstream, child: ChildProcess) -> None:
    """Raises probe.NotReady."""
    url = f"{scheme_of(fake)}://{fake.origin.address}{READY_PATH}"
    await probe.until_answered(url, within_s=READY_WITHIN_S, child=child, context=client_context(fake))
