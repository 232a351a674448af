"""The end of a load, and of the stack: faults are removed and verified to be gone, then processes end in reverse order.

Each step has a time limit, and no failed step stops the next one. All steps together take less than 15 s if tailgate is
gone or silent (`urgent`). Otherwise canaries get some more seconds to verify that a fault is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Final

from harness.rundir import handshake
from harness.rundir.manifest import TAILGATE, UPSTREAM_PREFIX, HarnessFault
from harness.secrets.redact import redact_files
from harness.stack.environment import Environment
from harness.stack.load import local_workers
from harness.stack.load.active_load import ActiveLoad
from harness.stack.process_spec import KILL_S
from harness.stack.processes import backends, gateway, orphans, service, toxiproxy, upstream_command
from harness.stack.processes.process import ChildProcess
from harness.stack.run_state import RunState, disk_fault
from harness.stack.supervisor import crash_cleanup
from harness.stack.threads import in_thread

UNDO_S: Final = 10.0
URGENT_UNDO_S: Final = 5.0
LOST_UNDO_S: Final = 2.0
"""For a Toxiproxy that has not answered for seconds: one more attempt."""
SETTLE_S: Final = 3.0
LEFTOVERS_S: Final = 1.5
LONGEST_S: Final = 40.0
URGENT_LONGEST_S: Final = 14.0
_SWITCH_S: Final = 6.0


async def end_load(env: Environment) -> bool | None:
    """Close the load; the stack stays up. Returns whether the rollback was verified; None if no fault was applied."""
    load = env.load
    steps = _Steps(load.state)
    verified = await _undo_load(env, steps, urgent=lambda: False)
    await steps.do("closing the records of the fakes", backends.switch(env.plan, None), _SWITCH_S)
    if gateway.NAME in env.children:
        switch = gateway.switch_log(env.children[gateway.NAME], None)
        await steps.do("closing the gateway's log", switch, _SWITCH_S)
    env.forget_workers()
    _close_files(env, redacted=crash_cleanup.load_logs(load.run_dir))
    handshake.clear_load(load.run_dir)
    return verified


async def take_down(env: Environment, *, urgent: Callable[[], bool]) -> bool | None:
    """Leave nothing behind. Returns whether the rollback was verified; None if there was nothing to roll back."""
    load = env.load
    steps = _Steps(load.state)
    undo_s = _undo_s(env, urgent=urgent())
    verified = None if load.is_closed else await _undo_load(env, steps, urgent=urgent)
    await steps.do("ending the watches", env.background.end(), 2.0)
    env.standby.end()
    await steps.do("stopping the service", _stop_front(env), service.GRACE_S + KILL_S)
    if env.proxies and not env.owns_toxiproxy:
        await steps.do("deleting the proxies", env.proxies.delete(), undo_s)
    await steps.do("stopping the backends", _stop_back(env), backends.GRACE_S + KILL_S)
    await steps.do("ending what was left", _end_leftovers(env), LEFTOVERS_S + 1)
    folders = dict.fromkeys((env.stack_dir, load.run_dir))
    _close_files(env, redacted=[log for folder in folders for log in crash_cleanup.child_logs(folder)])
    for folder in folders:
        handshake.clear(folder)
    return verified


def kill_everything(children: Iterable[ChildProcess], run_id: str) -> None:
    """Kill every process of the run. The supervisor's watchdog calls it if the teardown hangs; it uses no asyncio."""
    for child in children:
        if child.process.returncode is None:
            child.kill()
    orphans.kill_run(run_id, grace_s=0, within_s=1.0)


class _Steps:
    def __init__(self, state: RunState) -> None:
        self._state = state

    async def do(self, what: str, step: Coroutine[Any, Any, Any], within_s: float) -> Any:
        """The step's result; None if it failed or took too long, which is reported to the run."""
        try:
            async with asyncio.timeout(within_s):
                return await step
        except TimeoutError:
            self._report(f"{what} took longer than {within_s:g} s")
        except Exception as exc:  # whatever failed, the later steps must still be done
            self._report(f"{what} failed: {exc or type(exc).__name__}")
        return None

    def _report(self, message: str) -> None:
        fix = "see the logs of this run"
        self._state.trouble(HarnessFault(check="workers", message=message, fix=fix, part=TAILGATE))


async def _undo_load(env: Environment, steps: _Steps, *, urgent: Callable[[], bool]) -> bool | None:
    """End all that runs for the load. Returns whether the rollback was verified; None if no fault was applied."""
    load = env.load
    undo_s = _undo_s(env, urgent=urgent())
    if urgent():  # tailgate is gone, so no one needs the rows of requests in flight
        await steps.do("stopping the load", load.workers.end(), local_workers.END_S)
    undone = await steps.do("undoing the faults", _undo(load, undo_s), undo_s + 1)
    if undone and load.canaries and not urgent():
        await steps.do("the last canaries", load.canaries.settle(SETTLE_S), SETTLE_S + 1)
    await steps.do("ending the records", load.background.end(), 2.0)
    await steps.do("stopping the load", load.workers.end(), local_workers.END_S)
    if load.injector is None or not load.injector.applied_any:
        return None
    return bool(undone)


def _undo_s(env: Environment, *, urgent: bool) -> float:
    return LOST_UNDO_S if env.engine_is_lost else URGENT_UNDO_S if urgent else UNDO_S


async def _undo(load: ActiveLoad, within_s: float) -> bool:
    return await load.injector.undo_all(within_s) if load.injector else True


async def _stop(env: Environment, name: str, grace_s: float) -> None:
    if child := env.children.get(name):
        await child.stop(grace_s)


async def _stop_front(env: Environment) -> None:
    await asyncio.gather(_stop(env, gateway.NAME, gateway.GRACE_S), _stop(env, service.NAME, service.GRACE_S))


async def _stop_back(env: Environment) -> None:
    commands = [name for name in env.children if name.startswith(UPSTREAM_PREFIX)]
    await asyncio.gather(
        _stop(env, backends.NAME, backends.GRACE_S),
        _stop(env, toxiproxy.NAME, toxiproxy.GRACE_S),
        *(_stop(env, name, upstream_command.GRACE_S) for name in commands),
    )


async def _end_leftovers(env: Environment) -> None:
    stack_id = env.plan.stack_id
    await in_thread(lambda: orphans.kill_run(stack_id, within_s=LEFTOVERS_S), LEFTOVERS_S + 1)


def _close_files(env: Environment, *, redacted: Iterable[Path]) -> None:
    load = env.load
    load.close()
    for fault in gateway.troubles(env.stack_dir / "logs" / f"{gateway.NAME}.log", load.gateway_log_begin):
        load.state.trouble(fault)
    try:
        redact_files(redacted, env.expand.secrets)
    except OSError as exc:
        load.state.trouble(disk_fault("logs", exc))
