"""All that a worker does about a user's own locustfile, in one object."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Self

from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander
from harness.secrets.redact import redact
from scenarios.drive.command import WorkerId
from scenarios.drive.user_code.requests import LocustfileRequests, refuse_host
from scenarios.drive.user_code.stall_watch import STALLED_S, StallClock, watch_thread
from scenarios.drive.user_code.target_guard import TargetGuard
from scenarios.drive.user_code.watcher import LocustfileWatcher

STOP_IGNORED = "ignored: the scenario says how long the load lasts"
STOP_HONOURED = "the load ends there"


@dataclass(frozen=True, slots=True, eq=False)
class UserCode:
    """The parts that watch a locustfile. Connections are guarded as soon as there is one."""

    watcher: LocustfileWatcher
    requests: LocustfileRequests
    stall: StallClock

    @classmethod
    def of(cls, plan: Plan, place: WorkerId, environ: Mapping[str, str], secrets: Collection[str]) -> Self | None:
        """None for a plan without a locustfile. Raises UsageError for a `${VAR}` that is not set."""
        load = plan.load
        if load.locustfile is None:
            return None
        watcher = LocustfileWatcher(place.run_dir, place.index, Path(load.locustfile), partial(redact, secrets=secrets))
        guard = TargetGuard(load.allowed_targets, partial(refuse_host, watcher))
        guard.install()
        expand = Expander(environ)
        headers = {name: expand(value) for name, value in load.requests[0].headers.items()}
        clock = StallClock()
        watch_thread(clock, partial(_stalled, watcher))
        return cls(watcher, LocustfileRequests(plan, headers, watcher, guard), clock)

    def beat(self) -> None:
        """The worker's greenlets run."""
        self.stall.beat()

    def hold_runner(self, environment: Any, is_over: Callable[[], bool], *, is_open: bool) -> None:
        """`runner.quit` and `runner.stop` that the locustfile calls are noted. In the open model they do nothing else,
        since every planned arrival must be sent."""
        runner = environment.runner

        def held(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
            def stop(*args: Any, **kwargs: Any) -> Any:
                where = self.watcher.positions.of_caller()
                if where and not is_over():
                    text = f"runner.{name}(): {STOP_IGNORED if is_open else STOP_HONOURED}"
                    self.watcher.note("stopped", text, where)
                if is_open and not is_over():
                    return None
                return original(*args, **kwargs)

            return stop

        for name in ("quit", "stop"):
            setattr(runner, name, held(name, getattr(runner, name)))

    def end(self, environment: Any) -> None:
        """The load is over. An exit code that a listener has set is not used."""
        if environment.process_exit_code is not None:
            self.watcher.note("exit_code", str(environment.process_exit_code))
            environment.process_exit_code = None
        self.watcher.close()


def _stalled(watcher: LocustfileWatcher, frame: FrameType | None) -> None:
    """Ends the process; called by another thread."""
    text = f"for {STALLED_S:g} s nothing else could run"
    watcher.fail(LocustfileNote(kind="stuck", text=text, where=watcher.positions.of_frame(frame)))


def expanded_options(argv: Sequence[str], plan: Plan, environ: Mapping[str, str]) -> list[str]:
    """The arguments of the process with every `${VAR}` of `load.locust_options` expanded, which the process list
    therefore does not show. Raises UsageError for a variable that is not set."""
    expand = Expander(environ)
    options = set(plan.load.locust_options)
    return [expand(word) if word in options else word for word in argv]
