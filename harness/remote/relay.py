"""The master's part in a load: admits workers, compares clocks, passes start and stop on, and takes their rows.

For the supervisor it is like a worker of this machine: it writes `ready-<i>` when worker i waits, reads start.json and
stop.json, and leaves the row files. It knows no sockets: messages are given to `receive`, and sent by a callable.
Whatever makes a verdict impossible is raised as RigError; the caller then tells the workers by `abort`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from enum import Enum, auto
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.model.frozen import Frozen
from harness.remote.messages import (
    FILE_BYTES_MOST,
    FILES_MOST,
    LIVENESS_S,
    PING_EVERY_S,
    Abort,
    BrokenMessage,
    Declined,
    Done,
    EndNow,
    Failed,
    Join,
    KeptFile,
    LoadCpu,
    Ping,
    Pong,
    Prepare,
    Ready,
    Rows,
    RowsEnd,
    SavedTokens,
    Start,
    Stop,
    Welcome,
    WorkerFinished,
    from_worker,
)
from harness.remote.roster import Member, Roster
from harness.remote.row_receiver import RowReceiver
from harness.rundir import handshake
from harness.rundir.incomplete import ANSWER_FILE, IncompleteAnswer, index_name
from harness.rundir.locustfile.notes import notes_file
from harness.rundir.locustfile.request_names import names_file
from harness.rundir.plan import Plan
from harness.rundir.remote.clocks import ClockLog, ClockReading
from harness.rundir.remote.worker_cpu import WorkerCpuLog
from harness.rundir.sessions.login_record import logins_file
from harness.units import NS_PER_MS, NS_PER_S

BURST: Final = 20
"""So many exchanges compare a worker's clock with ours before the load, and so many after it."""
_BURST_EVERY_NS: Final = 20 * NS_PER_MS
_PING_EVERY_NS: Final = round(PING_EVERY_S * NS_PER_S)
LOCUST_LOG: Final = "locust.log"
"""The name under which a worker sends the log of its Locust process."""


class RelayStage(Enum):
    JOINING = auto()
    PREPARING = auto()
    """All are here and start their Locust processes."""
    READY = auto()
    RUNNING = auto()
    COMPARING = auto()
    """Every row is here; the clocks are compared once more."""
    DONE = auto()


class _Clock:
    """Exchanges with one worker: which are under way, and how many are still due at once."""

    def __init__(self) -> None:
        self.number = 0
        self.sent_ns: dict[int, int] = {}
        self.burst_left = 0
        self.next_ns = 0
        self.best: ClockReading | None = None

    @property
    def is_settled(self) -> bool:
        return self.burst_left == 0 and self.best is not None

    def due(self, now_ns: int) -> int | None:
        """The number of the exchange that is due now; None if none is."""
        if now_ns < self.next_ns:
            return None
        self.next_ns = now_ns + (_BURST_EVERY_NS if self.burst_left else _PING_EVERY_NS)
        self.burst_left = max(0, self.burst_left - 1)
        self.number += 1
        self.sent_ns = {n: t for n, t in self.sent_ns.items() if now_ns - t < LIVENESS_S * NS_PER_S}
        self.sent_ns[self.number] = now_ns
        return self.number

    def begin_burst(self) -> None:
        self.burst_left, self.next_ns, self.best = BURST, 0, None


class Relay:
    """One load. Times are `now_ns` of our monotonic clock.

    `send`: to a worker. `keep_secret` is given the tokens that logins of workers saved, each once.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        send: Callable[[str, Frozen], None],
        keep_secret: Callable[[Collection[str]], None],
    ) -> None:
        """Raises OSError."""
        self._plan = plan
        self._run_dir = run_dir
        self._send = send
        self._keep_secret = keep_secret
        self._tokens: set[str] = set()
        self._clock_log = ClockLog(run_dir)
        self._cpu_log = WorkerCpuLog(run_dir)
        self._clocks: dict[str, _Clock] = {}
        self._receivers: dict[str, RowReceiver] = {}
        self._offsets: dict[str, int] = {}
        self._files: dict[str, set[str]] = {}
        self._start: dict[str, Start] = {}
        self._stop_at_ns: int | None = None
        self._is_ending = False
        self._ends_ns = 0
        self.roster = Roster(plan)
        self.stage = RelayStage.JOINING
        self.declined = ""
        """What the last worker said that did not take part; empty: none."""

    def receive(self, sender: str, data: object, now_ns: int) -> None:
        """Takes a message. Raises RigError and OSError."""
        try:
            message = from_worker(data)
        except BrokenMessage:
            return  # of another version, perhaps: a worker of which no message can be read is lost in time
        if isinstance(message, Join):
            self._join(sender, message, now_ns)
            return
        member = self.roster.member(sender)
        if member is None:
            self._send(sender, Abort(reason="this run does not know the worker"))
            return
        member.heard_ns = now_ns
        match message:
            case Declined():
                self._decline(member, message)
            case Ready() if not member.ready:
                member.ready = True
                self._clocks[sender].begin_burst()
            case Pong():
                self._compare(member, message, now_ns)
            case SavedTokens():
                fresh = {*message.values} - self._tokens
                self._tokens |= fresh
                self._keep_secret(fresh)
            case Rows() | RowsEnd():
                receiver = self._receiver(member)
                self._send(sender, receiver.take(message) if isinstance(message, Rows) else receiver.end(message))
            case LoadCpu() if self.stage is RelayStage.RUNNING:
                t_ns = message.worker_ns - self._offsets[member.id]
                self._cpu_log.add(member.index, member.host, t_ns=t_ns, cpu_s=message.cpu_s)
            case KeptFile():
                self._keep(member, message)
            case WorkerFinished():
                self._finish(member)
            case Failed():
                raise RigError(f"{member.name} failed: {message.message}", message.fix)

    def tick(self, now_ns: int) -> None:
        """Does what is due; called every few milliseconds. Raises RigError and OSError."""
        if lost := self.roster.lost(now_ns):
            raise RigError(f"{lost.name} was lost: nothing came from it for {LIVENESS_S:g} s")
        for member in self.roster.members:
            if (number := self._clocks[member.id].due(now_ns)) is not None:
                self._send(member.id, Ping(number=number))
                self._repeat(member)
        match self.stage:
            case RelayStage.JOINING if self.roster.is_complete and self._may_prepare():
                self.roster.has_started = True
                self._to_all(Prepare())
                self.stage = RelayStage.PREPARING
            case RelayStage.PREPARING if all(m.ready and self._clocks[m.id].is_settled for m in self.roster.members):
                self._begin_records()
                self.stage = RelayStage.READY
            case RelayStage.READY:
                self._pass_start(now_ns)
            case RelayStage.RUNNING:
                self._pass_stop()
                if all(member.finished for member in self.roster.members):
                    for clock in self._clocks.values():
                        clock.begin_burst()
                    self._ends_ns = now_ns + NS_PER_S
                    self.stage = RelayStage.COMPARING
            case RelayStage.COMPARING if now_ns >= self._ends_ns or all(c.is_settled for c in self._clocks.values()):
                self._to_all(Done())
                self._clock_log.close()
                self._cpu_log.close()
                self.stage = RelayStage.DONE

    def _may_prepare(self) -> bool:
        """What logs in before the load is started when the service is ready."""
        return not self._plan.load.awaits_service or handshake.is_service_ready(self._run_dir)

    def _repeat(self, member: Member) -> None:
        """Tells a worker again what it must know: a message is lost when a connection breaks."""
        if self.stage is RelayStage.PREPARING and not member.ready:
            self._send(member.id, Prepare())
        elif self.stage is RelayStage.RUNNING:
            self._send(member.id, self._start[member.id])
            if self._stop_at_ns is not None:
                self._send(member.id, Stop(at_ns=self._stop_at_ns + self._offsets[member.id]))
            if self._is_ending:
                self._send(member.id, EndNow())

    def end_now(self) -> bool:
        """The supervisor does not wait for open requests any longer. False: there are no rows to wait for either."""
        if self.stage not in (RelayStage.RUNNING, RelayStage.COMPARING):
            return False
        self._is_ending = True
        self._to_all(EndNow())
        return True

    def abort(self, reason: str) -> None:
        """Tells every worker to end at once."""
        self._to_all(Abort(reason=reason))
        self.close()

    def close(self) -> None:
        """Closes the files. Idempotent."""
        self._clock_log.close()
        self._cpu_log.close()
        for receiver in self._receivers.values():
            receiver.abandon()

    def _to_all(self, message: Frozen) -> None:
        for member in self.roster.members:
            self._send(member.id, message)

    def _join(self, sender: str, message: Join, now_ns: int) -> None:
        answer = self.roster.join(sender, message, now_ns)
        if isinstance(answer, Welcome):
            self._clocks.setdefault(sender, _Clock())
        self._send(sender, answer)

    def _decline(self, member: Member, message: Declined) -> None:
        """Raises RigError once the Locust processes were started: the worker's part of the plan has no sender then."""
        self.declined = f"{member.name} does not take part: {message.message}"
        if self.stage is not RelayStage.JOINING:
            raise RigError(self.declined, message.fix)
        self.roster.leave(member.id)
        del self._clocks[member.id]

    def _compare(self, member: Member, message: Pong, now_ns: int) -> None:
        clock = self._clocks[member.id]
        sent_ns = clock.sent_ns.pop(message.number, None)
        if sent_ns is None or self.stage is RelayStage.DONE:
            return
        reading = ClockReading.of_exchange(
            member.index,
            member.host,
            "before" if not self._offsets else "after" if self.stage is RelayStage.COMPARING else "during",
            sent_ns=sent_ns,
            worker_ns=message.worker_ns,
            received_ns=now_ns,
        )
        if clock.best is None or reading.uncertainty_ns < clock.best.uncertainty_ns:
            clock.best = reading
        if member.ready:  # before, the worker may leave again, and its number be given to another one
            self._clock_log.add(reading)

    def _begin_records(self) -> None:
        for member in self.roster.members:
            best = self._clocks[member.id].best
            assert best is not None, "the stage is reached with settled clocks only"
            self._clock_log.add(best.model_copy(update={"when": "applied"}))
            self._offsets[member.id] = best.offset_ns
            path = self._run_dir / f"samples-{member.index}.bin"
            self._receivers[member.id] = RowReceiver(path, name=member.name, offset_ns=best.offset_ns)
        for member in self.roster.members:
            handshake.mark_ready(self._run_dir, member.index)

    def _pass_start(self, now_ns: int) -> None:
        start = handshake.read_start(self._run_dir)
        if start is None:
            return
        for member in self.roster.members:
            offset_ns = self._offsets[member.id]
            self._start[member.id] = Start(start_ns=start[0] + offset_ns, t0_ns=start[1] + offset_ns)
            self._send(member.id, self._start[member.id])
        self.stage = RelayStage.RUNNING

    def _pass_stop(self) -> None:
        if self._stop_at_ns is None and (at_ns := handshake.read_stop(self._run_dir)) is not None:
            self._stop_at_ns = at_ns
            for member in self.roster.members:
                self._send(member.id, Stop(at_ns=at_ns + self._offsets[member.id]))

    def _receiver(self, member: Member) -> RowReceiver:
        if (receiver := self._receivers.get(member.id)) is None:
            raise RigError(f"{member.name} sent rows before the load began", "this is a bug of tailgate: report it")
        return receiver

    def _finish(self, member: Member) -> None:
        if not self._receiver(member).closed:
            raise RigError(f"{member.name} left before all of its rows were here", "run again")
        member.finished = True

    def _keep(self, member: Member, message: KeptFile) -> None:
        """Writes a file of a worker into the run directory, over what came of it before; what is no such file, or too
        much, is left out."""
        names = self._files.setdefault(member.id, set())
        if len(names | {message.name}) > FILES_MOST or len(message.data) > FILE_BYTES_MOST:
            return
        names.add(message.name)
        if message.name == LOCUST_LOG:
            (self._run_dir / "logs" / f"locust-{member.index}.log").write_bytes(message.data)
        elif message.name == index_name(member.index) and member.id in self._offsets:
            (self._run_dir / message.name).write_bytes(_in_our_clock(message.data, self._offsets[member.id]))
        elif message.name in (file(self._run_dir, member.index).name for file in (names_file, notes_file, logins_file)):
            draft = self._run_dir / f".{message.name}"  # the run reads them during the load
            draft.write_bytes(message.data)
            draft.replace(self._run_dir / message.name)
        elif re.fullmatch(ANSWER_FILE, message.name):
            path = self._run_dir / message.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(message.data)


def _in_our_clock(index: bytes, offset_ns: int) -> bytes:
    """An index of incomplete answers with its times in our clock. Damaged lines are left out."""
    lines = []
    for line in index.splitlines():
        try:
            answer = IncompleteAnswer.model_validate_json(line)
        except ValueError:
            continue
        lines.append(answer.model_copy(update={"t_ns": answer.t_ns - offset_ns}).model_dump_json() + "\n")
    return "".join(lines).encode()
