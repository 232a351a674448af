"""Asyncio tasks of the supervisor that run beside the load until they are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from harness.rundir.manifest import HarnessFault
from harness.stack.run_state import fault_of


class BackgroundTasks:
    """When a task fails, `trouble` is called with the `HarnessFault` that its error means for the run."""

    def __init__(self, trouble: Callable[[HarnessFault], None]) -> None:
        self._trouble = trouble
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], file_name: str) -> asyncio.Task[None]:
        """Start `work` as a task. `file_name`: the file that it writes, for the message if the disk is full."""

        async def guarded() -> None:
            try:
                await work
            except Exception as exc:  # the top of a task: asyncio would show its error only when the task is awaited
                self._trouble(fault_of(exc, file_name))

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.append(task)
        return task

    async def end(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
