"""What `tailgate run` starts before it reads its scenario: the supervisor of its first run.

The supervisor and what it has on standby import while tailgate itself imports the rest, reads and plans. The yardstick
of the first run is measured just before, since nothing else may run then. Only light modules are imported here.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from harness.run import yardstick
from harness.run.run_id import new_run_id
from harness.stack.supervisor.launch import SupervisorProcess


class HeadStart:
    """The supervisor of the first run, and the yardstick. A context manager: a supervisor without a run ends with it.

    `new_run_id` gives the supervisor's id to the first run; `take` hands the supervisor to the run of that id.
    """

    def __init__(self, before_ms: float | None = None, supervisor: SupervisorProcess | None = None) -> None:
        self._before_ms = before_ms
        self._supervisor = supervisor
        self._next_id = supervisor.run_id if supervisor else None

    @classmethod
    def begin(cls, *, workers: int) -> Self:
        """Measure the yardstick, then start the supervisor of a run with so many Locust workers on standby: none if
        they are on other machines."""
        before_ms = yardstick.measure_ms()
        return cls(before_ms, SupervisorProcess.start(new_run_id(), workers=workers))

    def new_run_id(self) -> str:
        """An id for a run: the supervisor's the first time, then a new one each time."""
        run_id, self._next_id = self._next_id, None
        return run_id or new_run_id()

    def take(self, run_id: str) -> SupervisorProcess | None:
        """The supervisor if it was started under this id."""
        return self._supervisor if self._supervisor and self._supervisor.run_id == run_id else None

    def before_ms(self, run_id: str) -> float:
        """The yardstick before the run: the one of the head start for its first run, else measured now."""
        if self._before_ms is not None and self.take(run_id):
            return self._before_ms
        return yardstick.measure_ms()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._supervisor:
            self._supervisor.abandon()
