"""The end of a run: faults taken back and seen to be gone, then every process, in reverse order.

Each step has a bound and none can stop the next. The sum is under 15 s when nobody is left to watch
(`urgent`); otherwise canaries may still take a moment to see that a fault is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Final

from harness.rundir import handshake
from harness.rundir.manifest import HarnessFault
from harness.secrets.redact import redact_files
from harness.stack.environment import Environment
from harness.stack.processes import backends, gateway, orphans, service, toxiproxy, workers
from harness.stack.processes.process import KILL_S, ChildProcess
from harness.stack.run_state import RunState, disk_fault
from harness.stack.supervisor import crash_cleanup
from harness.stack.threads import in_thread

UNDO_S: Final = 10.0
URGENT_UNDO_S: Final = 5.0
LOST_UNDO_S: Final = 2.0
"""A server that has not answered for seconds gets one more chance."""
SETTLE_S: Final = 3.0
LEFTOVERS_S: Final = 1.5
LONGEST_S: Final = 40.0
URGENT_LONGEST_S: Final = 14.0


async def take_down(rig: Environment, account: RunState, run_dir: Path, *, urgent: Callable[[], bool]) -> bool | None:
    """Leaves nothing behind. Whether the rollback was verified; None if there was nothing to roll back."""
    steps = _Steps(account)
    undo_s = LOST_UNDO_S if rig.engine_is_lost else URGENT_UNDO_S if urgent() else UNDO_S
    if urgent():  # nobody waits for the rows of what is still in flight
        await steps.do("stopping the load", _stop(rig, workers.PREFIX, workers.GRACE_S), workers.GRACE_S + KILL_S)
    undone = await steps.do("undoing the faults", _undo(rig, undo_s), undo_s + 1)
    if undone and rig.canaries and not urgent():
        await steps.do("the last canaries", rig.canaries.settle(SETTLE_S), SETTLE_S + 1)
    await steps.do("ending the records", _end_background(rig), 2.0)
    await steps.do("stopping the load", _stop(rig, workers.PREFIX, workers.GRACE_S), workers.GRACE_S + KILL_S)
    await steps.do("stopping the service", _stop_front(rig), service.GRACE_S + KILL_S)
    if rig.injector and not rig.owns_toxiproxy:
        await steps.do("deleting the proxies", rig.injector.delete_proxies(), undo_s)
    await steps.do("stopping the backends", _stop_back(rig), backends.GRACE_S + KILL_S)
    await steps.do("ending what was left", _end_leftovers(rig), LEFTOVERS_S + 1)
    _close_files(rig, account, run_dir)
    if rig.injector is None or not rig.injector.applied_any:
        return None
    return bool(undone)


def kill_everything(children: Iterable[ChildProcess], run_id: str) -> None:
    """The last resort, without asyncio: what a watchdog calls when the orderly end did not come in time."""
    for child in children:
        if child.process.returncode is None:
            child.kill()
    orphans.kill_run(run_id, grace_s=0, within_s=1.0)


class _Steps:
    def __init__(self, account: RunState) -> None:
        self._account = account

    async def do(self, what: str, step: Coroutine[Any, Any, Any], within_s: float) -> Any:
        """The step's result; None where it failed or took too long, which is told and goes no further."""
        try:
            async with asyncio.timeout(within_s):
                return await step
        except TimeoutError:
            self._tell(f"{what} took longer than {within_s:g} s")
        except Exception as exc:  # the top of a process's end: every later step must still be taken
            self._tell(f"{what} failed: {exc or type(exc).__name__}")
        return None

    def _tell(self, message: str) -> None:
        self._account.trouble(HarnessFault(check="workers", message=message, fix="see the logs of this run"))


async def _undo(rig: Environment, within_s: float) -> bool:
    return await rig.injector.undo_all(within_s) if rig.injector else True


async def _end_background(rig: Environment) -> None:
    for task in rig.background:
        task.cancel()
    if rig.background:
        await asyncio.wait(rig.background)


async def _stop(rig: Environment, prefix: str, grace_s: float) -> None:
    stopped = [child.stop(grace_s) for name, child in rig.children.items() if name.startswith(prefix)]
    await asyncio.gather(*stopped)


async def _stop_front(rig: Environment) -> None:
    await asyncio.gather(_stop(rig, gateway.NAME, gateway.GRACE_S), _stop(rig, service.NAME, service.GRACE_S))


async def _stop_back(rig: Environment) -> None:
    await asyncio.gather(_stop(rig, backends.NAME, backends.GRACE_S), _stop(rig, toxiproxy.NAME, toxiproxy.GRACE_S))


async def _end_leftovers(rig: Environment) -> None:
    run_id = rig.plan.run_id
    await in_thread(lambda: orphans.kill_run(run_id, within_s=LEFTOVERS_S), LEFTOVERS_S + 1)


def _close_files(rig: Environment, account: RunState, run_dir: Path) -> None:
    if rig.canaries:
        rig.canaries.close()
    if rig.journal:
        rig.journal.close()
    if rig.notices:
        rig.notices.close()
    for fault in gateway.troubles(run_dir):
        account.trouble(fault)
    try:
        redact_files(crash_cleanup.child_logs(run_dir), rig.expand.secrets)
    except OSError as exc:
        account.trouble(disk_fault("logs", exc))
    handshake.clear(run_dir)
