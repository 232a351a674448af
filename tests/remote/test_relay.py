"""The master's part in a load, with a clock and a network of the test's own."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import __version__
from harness.errors import RigError
from harness.model.frozen import Frozen
from harness.remote.messages import (
    FILES_MOST,
    LIVENESS_S,
    Abort,
    Declined,
    Done,
    Failed,
    Join,
    JoinRefused,
    KeptFile,
    LoadCpu,
    Ping,
    Pong,
    Prepare,
    Ready,
    Rows,
    RowsEnd,
    RowsTaken,
    Start,
    Stop,
    Welcome,
    WorkerFinished,
)
from harness.remote.relay import Relay, RelayStage
from harness.rundir import handshake
from harness.rundir.plan import Plan
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.rundir.remote.clocks import read_clocks
from harness.rundir.remote.worker_cpu import FILE as RESOURCES
from harness.rundir.rows import SAMPLES, read_rows
from harness.units import NS_PER_MS, NS_PER_S
from tests.rundir.recording import make_plan

STEP_NS = 5 * NS_PER_MS
AHEAD_NS = {"a": 0, "b": 7_000 * NS_PER_S}
"""By how much each worker's clock is ahead of ours."""
EMPTY = hashlib.sha256(b"").hexdigest()


def remote_plan(workers: int = 2) -> Plan:
    plan = make_plan()
    remote = RemoteWorkers(listen=Endpoint(port=1), token_file="/token")
    return plan.model_copy(update={"load": plan.load.model_copy(update={"remote": remote, "workers": workers})})


class World:
    """Workers `a` and `b`, who answer each ping after a millisecond unless they are `silent`."""

    def __init__(self, run_dir: Path, plan: Plan | None = None) -> None:
        self.run_dir = run_dir
        handshake.prepare(run_dir)
        self.now_ns = 100 * NS_PER_S
        self.sent: list[tuple[str, Frozen]] = []
        self.silent: set[str] = set()
        self.kept_secret: list[set[str]] = []
        self.relay = Relay(
            plan or remote_plan(),
            run_dir,
            lambda to, message: self.sent.append((to, message)),
            lambda tokens: self.kept_secret.append({*tokens}),
        )

    def say(self, sender: str, message: Frozen) -> None:
        self.relay.receive(sender, message.model_dump(), self.now_ns)

    def got(self, to: str, kind: type[Frozen]) -> list[Frozen]:
        return [message for name, message in self.sent if name == to and isinstance(message, kind)]

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        while self.now_ns < end_ns and not until():
            before = len(self.sent)
            self.relay.tick(self.now_ns)
            for to, message in self.sent[before:]:
                if isinstance(message, Ping) and to not in self.silent:
                    worker_ns = self.now_ns + NS_PER_MS // 2 + AHEAD_NS[to]
                    self.now_ns += NS_PER_MS
                    self.say(to, Pong(number=message.number, worker_ns=worker_ns))
            self.now_ns += STEP_NS

    def join(self, *names: str) -> None:
        for name in names:
            self.say(name, Join(version=__version__, host=f"host-{name}"))

    def until_ready(self) -> None:
        self.join("a", "b")
        self.run(0.1)
        for name in ("a", "b"):
            self.say(name, Ready())
        self.run(5, lambda: self.relay.stage is RelayStage.READY)

    def until_running(self) -> None:
        self.until_ready()
        self.start_ns = self.now_ns + 2 * NS_PER_S
        handshake.write_start(self.run_dir, start_ns=self.start_ns, t0_ns=self.start_ns + NS_PER_S)
        self.run(0.1)

    def finish(self, name: str) -> None:
        self.say(name, RowsEnd(rows=0, sha256=EMPTY))
        self.say(name, WorkerFinished())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.relay.close()


def test_a_load_from_the_first_join_to_the_farewell(world: World) -> None:
    world.join("a")
    world.run(1)
    assert not world.got("a", Prepare)  # the other one is not here yet
    world.until_running()
    assert all(handshake.is_ready(world.run_dir, index) for index in (0, 1))
    for name in ("a", "b"):
        start = world.got(name, Start)[0]
        assert isinstance(start, Start)
        assert start.start_ns == pytest.approx(world.start_ns + AHEAD_NS[name], abs=NS_PER_MS)
        assert start.t0_ns - start.start_ns == NS_PER_S
    world.finish("a")
    world.run(2)
    assert world.relay.stage is RelayStage.RUNNING
    world.finish("b")
    world.run(3, lambda: world.relay.stage is RelayStage.DONE)
    assert world.got("a", Done) and world.got("b", Done)
    assert {(each.worker, each.when) for each in read_clocks(world.run_dir)} == {
        (worker, when) for worker in (0, 1) for when in ("applied", "before", "during", "after")
    }


def test_rows_are_written_in_our_clock_and_acknowledged(world: World) -> None:
    world.until_running()
    row = (1, 5, 6, 0, 9)
    values = [AHEAD_NS["b"] + value if 0 < place < 5 and value else value for place, value in enumerate(row)]
    data = struct.pack(SAMPLES.format, *values, 0, 2, 200, 0, 0, 0, 0)
    digest = hashlib.sha256(data).hexdigest()
    world.say("b", Rows(first=0, data=data, sha256=digest))
    world.say("b", RowsEnd(rows=1, sha256=digest))
    assert world.got("b", RowsTaken)[-1] == RowsTaken(rows=1, closed=True)
    (found,) = read_rows(world.run_dir / "samples-1.bin", SAMPLES)
    applied = next(each for each in read_clocks(world.run_dir) if each.worker == 1 and each.when == "applied")
    assert found["intended_ns"] == 5 + AHEAD_NS["b"] - applied.offset_ns
    assert (found["done_ns"] - found["intended_ns"], found["first_ns"]) == (4, 0)


def test_a_stop_reaches_each_in_its_own_clock_and_is_repeated(world: World) -> None:
    world.until_running()
    handshake.write_stop(world.run_dir, at_ns=world.now_ns)
    world.run(3)
    for name in ("a", "b"):
        stops = world.got(name, Stop)
        assert len(stops) >= 3 and len(set(stops)) == 1
        assert stops[0] == Stop(at_ns=stops[0].at_ns)  # type: ignore[attr-defined]


@pytest.mark.parametrize("begun", [False, True])
def test_who_is_silent_for_ten_seconds_is_lost(world: World, begun: bool) -> None:
    """Before the load as well: its part of the plan has no other sender."""
    world.join("a", "b")
    if begun:
        world.until_running()
    world.silent.add("b")
    world.run(LIVENESS_S - 1)
    with pytest.raises(RigError, match=r"worker 1 \(host-b\) was lost: nothing came from it for 10 s"):
        world.run(2)


def test_what_load_processes_use_is_recorded_in_our_clock(world: World) -> None:
    """At most every half second, and while the load is on alone."""
    world.join("a", "b")
    world.say("b", LoadCpu(worker_ns=AHEAD_NS["b"], cpu_s=9.0))
    world.until_ready()
    world.say("b", LoadCpu(worker_ns=AHEAD_NS["b"] + world.now_ns, cpu_s=0.1))
    world.until_running()
    begin_ns = world.now_ns
    for after_ms, cpu_s in ((0, 0.5), (400, 0.6), (500, 0.75), (1_500, 1.5)):
        world.say("b", LoadCpu(worker_ns=AHEAD_NS["b"] + begin_ns + after_ms * NS_PER_MS, cpu_s=cpu_s))
    lines = [json.loads(line) for line in (world.run_dir / RESOURCES).read_text(encoding="utf-8").splitlines()]
    assert [(line["child"], line["host"], line["cpu_s"]) for line in lines] == [
        ("locust-1", "host-b", cpu_s) for cpu_s in (0.5, 0.75, 1.5)
    ]
    assert lines[0]["t_ns"] == pytest.approx(begin_ns, abs=NS_PER_MS)


@pytest.mark.parametrize("cpu_s", [-1.0, float("nan"), float("inf"), "much"])
def test_a_figure_that_is_none_is_not_recorded(world: World, cpu_s: object) -> None:
    world.until_running()
    world.relay.receive("b", {"kind": "load_cpu", "worker_ns": 5, "cpu_s": cpu_s}, world.now_ns)
    assert not (world.run_dir / RESOURCES).read_bytes()


def test_who_has_finished_is_not_missed(world: World) -> None:
    world.until_running()
    world.finish("b")
    world.silent.add("b")
    world.run(LIVENESS_S + 5)
    assert world.relay.stage is RelayStage.RUNNING


def test_nobody_joins_after_the_others_began(world: World) -> None:
    world.until_ready()
    world.join("c")
    refused = world.got("c", JoinRefused)[0]
    assert isinstance(refused, JoinRefused)
    assert refused.message == "the load has begun, and nobody may join it any more"


def test_who_joins_twice_is_one_and_who_is_unknown_is_sent_away(world: World) -> None:
    world.join("a", "a")
    assert world.got("a", Welcome)[0] == world.got("a", Welcome)[1]
    assert not world.relay.roster.is_complete
    world.say("stranger", Ready())
    assert world.got("stranger", Abort)


def test_a_place_that_is_declined_goes_to_the_next(world: World) -> None:
    world.join("a", "b")
    world.say("a", Declined(message="no such file"))
    assert world.relay.declined == "worker 0 (host-a) does not take part: no such file"
    world.join("c")
    welcome = world.got("c", Welcome)[0]
    assert isinstance(welcome, Welcome) and welcome.index == 0


def test_a_worker_that_fails_is_named(world: World) -> None:
    world.until_running()
    with pytest.raises(RigError, match=r"worker 0 \(host-a\) failed: out of luck"):
        world.say("a", Failed(message="out of luck"))


def test_who_leaves_before_its_rows_are_here_fails_the_load(world: World) -> None:
    world.until_running()
    with pytest.raises(RigError, match="left before all of its rows were here"):
        world.say("a", WorkerFinished())


@pytest.mark.parametrize("name", ["../../etc/passwd", "answers/../../x.txt", "/tmp/x", "samples-0.bin", "plan.json"])
def test_a_worker_writes_no_other_file_than_the_known_ones(world: World, name: str) -> None:
    world.until_running()
    before = {path: path.read_bytes() for path in world.run_dir.rglob("*") if path.is_file()}
    world.say("a", KeptFile(name=name, data=b"evil"))
    assert {path: path.read_bytes() for path in world.run_dir.rglob("*") if path.is_file()} == before


def test_the_log_of_a_worker_comes_into_the_run_directory(world: World) -> None:
    world.until_running()
    world.say("b", KeptFile(name="locust.log", data=b"said"))
    assert (world.run_dir / "logs" / "locust-1.log").read_bytes() == b"said"


def test_names_and_notes_of_a_locustfile_come_during_the_load_again_and_again(world: World) -> None:
    world.until_running()
    for count in range(1, 30):  # more often than a worker may send files
        world.say("b", KeptFile(name="names-1.ndjson", data=b'"/offers"\n' * count))
    world.say("b", KeptFile(name="locustfile-1.ndjson", data=b'{"kind": "ignored"}\n'))
    world.say("b", KeptFile(name="names-0.ndjson", data=b"another worker's"))
    assert (world.run_dir / "names-1.ndjson").read_bytes() == b'"/offers"\n' * 29
    assert (world.run_dir / "locustfile-1.ndjson").read_bytes() == b'{"kind": "ignored"}\n'
    assert not (world.run_dir / "names-0.ndjson").exists()
    assert not list(world.run_dir.glob(".names*"))


def test_a_worker_sends_only_so_many_files(world: World) -> None:
    world.until_running()
    for number in range(FILES_MOST + 5):
        world.say("a", KeptFile(name=f"answers/{number}.txt", data=b"x"))
    assert len(list((world.run_dir / "answers").iterdir())) == FILES_MOST


def test_a_locustfiles_processes_start_when_the_service_is_ready(tmp_path: Path) -> None:
    users = tmp_path / "users.py"
    users.write_text("", encoding="utf-8")
    plan = remote_plan()
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    world = World(run_dir, plan.model_copy(update={"load": plan.load.model_copy(update={"locustfile": str(users)})}))
    world.join("a", "b")
    world.run(5)
    assert not world.got("a", Prepare) and world.relay.stage is RelayStage.JOINING
    handshake.write_service_ready(run_dir)
    world.run(0.1)
    assert world.got("a", Prepare) and world.got("b", Prepare)
    world.relay.close()


def test_workers_get_neither_command_nor_environment_of_the_service(tmp_path: Path) -> None:
    plan = remote_plan()
    service = plan.service.model_copy(
        update={"argv": ("serve", "--key", "k3y"), "env": {"A": "s3cret"}, "ready_headers": {"X": "t0ken"}}
    )
    world = World(tmp_path, plan.model_copy(update={"service": service}))
    world.join("a")
    welcome = world.got("a", Welcome)[0]
    assert isinstance(welcome, Welcome)
    assert not any(secret in welcome.plan for secret in (b"k3y", b"s3cret", b"t0ken"))
    assert Plan.model_validate_json(welcome.plan).load == plan.load.model_copy(update={"remote": None})
    world.relay.close()
