"""tailgate's client of its supervisor: the process, a pipe for commands, a pipe for events, heartbeats on both.

It knows the supervisor's state and nothing of the run's. Every wait has a time limit. After `SupervisorLost` the
process may still run: `end` ends it.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import psutil
from pydantic import ValidationError

from harness.stack.commands import Command, HeartbeatCommand
from harness.stack.events import EVENT, Event, Heartbeat
from harness.stack.process_spec import KILL_S
from harness.stack.processes.ports import PortLease
from harness.stack.supervisor.heartbeat import SILENCE_S, TICK_S, HeartbeatTimer, SilenceTimer
from harness.stack.supervisor.launch import SupervisorProcess

LOG: Final = "supervisor.log"
_EVENTS_MAX: Final = 100_000


class SupervisorLost(Exception):
    """No event will come any more. The message says what happened to the supervisor."""


class SupervisorLink:
    """A running supervisor; create it with `start`. Call `send` from any thread, everything else from one thread."""

    def __init__(self, supervisor: SupervisorProcess) -> None:
        self._process = supervisor.process
        self._commands = supervisor.commands
        self._inbox: queue.Queue[Event | None] = queue.Queue(_EVENTS_MAX)  # None: no event follows
        self._sending = threading.Lock()
        self._silence = SilenceTimer()
        self._beats = HeartbeatTimer(lambda: self.send(HeartbeatCommand()))

    @classmethod
    def start(cls, supervisor: SupervisorProcess, run_dir: Path, lease: PortLease) -> Self:
        """Give the supervisor its run; it also gets the port locks of `lease`. Raises OSError."""
        logs = run_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        supervisor.assign(run_dir, logs / LOG, lease.descriptors)
        link = cls(supervisor)
        threading.Thread(target=link._read, daemon=True, name="supervisor events").start()
        link._beats.start()
        return link

    @property
    def stood_still_s(self) -> float:
        """The longest time in seconds for which this process did not run; 0 if it always ran."""
        return self._beats.stood_still_s

    def send(self, order: Command) -> None:
        """Write one command. Raises nothing if the pipe is closed or broken."""
        assert self._commands is not None, "a link is made by start()"
        try:
            with self._sending:
                self._commands.write(order.model_dump_json().encode() + b"\n")
                self._commands.flush()
        except (OSError, ValueError):
            return  # the supervisor ends or our pipe is closed; `next` reports why

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None after `timeout_s`. Raises SupervisorLost."""
        end_s = time.monotonic() + timeout_s
        while True:
            try:
                event = self._inbox.get(timeout=max(0.0, min(TICK_S, end_s - time.monotonic())))
            except queue.Empty:
                if self._silence.lasts():
                    raise SupervisorLost(self._why_silent()) from None
                if time.monotonic() >= end_s:
                    return None
                continue
            if event is None:
                self._inbox.put(None)  # the next call must find it as well
                raise SupervisorLost("the supervisor vanished during the run")
            return event

    def hang_up(self) -> None:
        """Close our end of the command pipe, which means "undo everything". Idempotent."""
        self._beats.stop()
        try:
            if self._commands:
                self._commands.close()
        except OSError:
            return  # the supervisor ended before it read the last command

    def end(self, patience_s: float) -> None:
        """Return when the process is gone; it is killed after `patience_s`. Idempotent."""
        self._beats.stop()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()  # works on a stopped process too
            with suppress(subprocess.TimeoutExpired):  # it is stuck in the kernel, and no signal helps
                self._process.wait(KILL_S)
        self.hang_up()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as events:
                for line in events:
                    self._silence.heard()
                    event = EVENT.validate_json(line)
                    if not isinstance(event, Heartbeat):
                        self._inbox.put(event)
        except (OSError, ValidationError):  # the supervisor was killed in the middle of a line
            return
        finally:
            self._inbox.put(None)

    def _why_silent(self) -> str:
        try:
            stopped = psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            stopped = False
        what = "was stopped by a signal (SIGSTOP)" if stopped else "hangs"
        return f"the supervisor {what}: no sign of life for {SILENCE_S:g} s"
