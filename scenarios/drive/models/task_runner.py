"""Runs a single task of a user for one arrival, where Locust itself would loop over tasks.

If the task is a TaskSet, one of its tasks runs, and the set stays entered; so a SequentialTaskSet makes one step per
arrival. There are no waits between tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isclass
from typing import Any

from locust import TaskSet, User
from locust.exception import InterruptTaskSet


class TaskRunner:
    """Runs the tasks of one user instance."""

    def __init__(self, user: User) -> None:
        self._user: Any = user
        self._sets: dict[type[TaskSet], Any] = {}

    def take(self, draw: Callable[[Sequence[int]], int]) -> None:
        """Runs one task; `draw` picks an index by weights. Exceptions of the task are passed on."""
        tasks = self._user.tasks
        task = tasks[draw((1,) * len(tasks))]
        if not _is_set(task):
            task(self._user)
            return
        entered: list[type[TaskSet]] = []
        holder: Any = self._user
        try:
            while _is_set(task):
                entered.append(task)
                holder = self._enter(task, holder)
                task = holder.get_next_task()
            holder.execute_task(task)
        except InterruptTaskSet:
            self._leave(entered[-1])

    def _enter(self, task: type[TaskSet], parent: Any) -> Any:
        if task not in self._sets:
            entered = task(parent)
            entered.on_start()
            self._sets[task] = entered
        return self._sets[task]

    def _leave(self, task: type[TaskSet]) -> None:
        if left := self._sets.pop(task, None):
            left.on_stop()


def _is_set(task: Any) -> bool:
    return isclass(task) and issubclass(task, TaskSet)
