"""Tasks of the supervisor that run beside the load until they are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from harness.rundir.manifest import HarnessFault
from harness.stack.run_state import fault_of


class BackgroundTasks:
    """`trouble` is called with what a task that failed means for the run."""

    def __init__(self, trouble: Callable[[HarnessFault], None]) -> None:
        self._trouble = trouble
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], file_name: str) -> asyncio.Task[None]:
        """`file_name`: what the task writes, for the message about a disk that takes no more of it."""

        async def guarded() -> None:
            try:
                await work
            except Exception as exc:  # the top of a task: its error would otherwise show at the end only
                self._trouble(fault_of(exc, file_name))

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.append(task)
        return task

    async def end(self) -> None:
        """Cancel all and wait until they have ended."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
