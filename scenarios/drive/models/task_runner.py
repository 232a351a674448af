"""One turn of a user: a single task of its class, where Locust itself would go on with the next.

A TaskSet among the tasks does one of its own and keeps its place, so that a SequentialTaskSet goes
through its steps one arrival at a time. Waits between tasks do not exist here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isclass
from typing import Any

from locust import TaskSet, User
from locust.exception import InterruptTaskSet


class TaskRunner:
    """The turns of one user instance."""

    def __init__(self, user: User) -> None:
        self._user: Any = user
        self._sets: dict[type[TaskSet], Any] = {}

    def take(self, draw: Callable[[Sequence[int]], int]) -> None:
        """Run one task; `draw` picks an index by weights. Raises what the task raises."""
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
