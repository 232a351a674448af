"""What is written of a child once a second, and that looking never holds up the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from harness.errors import RigError
from harness.stack.monitor import resources
from harness.stack.monitor.resources import ResourceSampler, measure, sample_forever
from harness.stack.monitor.run_delay import RunDelays
from harness.stack.monitor.sockets import SocketCounter
from harness.stack.names import RUN_VARIABLE
from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import orphans
from harness.stack.processes.process import ChildProcess
from tests.stack import headless_program

pytestmark = pytest.mark.stack

SERVICE = """\
import socket, subprocess, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
ours = socket.create_connection(listener.getsockname())
theirs, _ = listener.accept()
ours.close()
threading.Thread(target=threading.Event().wait, daemon=True).start()
worker = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], stdin=-1, stdout=-1)
worker.stdout.readline()
print("up", flush=True)
worker.wait()
"""


Scene = Callable[[ChildProcess], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a sample may take longer than a run waits for one."""
    monkeypatch.setattr(resources, "SAMPLE_WITHIN_S", 60.0)


def _with_child(
    folder: Path, scene: Scene, name: str = "sut", code: str = SERVICE, env: dict[str, str] | None = None
) -> None:
    """Plays `scene` with a child that is up."""

    async def play() -> None:
        child = ChildProcess.start(
            ProcessSpec(name, (sys.executable, "-c", code), env or {}, folder, folder / f"{name}.log")
        )
        try:
            await _until(child, lambda: child.log_tail(1) == ["up"])
            await scene(child)
        finally:
            child.kill()
            await asyncio.wait_for(child.wait(), 20)

    asyncio.run(play())


async def _until(child: ChildProcess, come: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not come():
        assert time.monotonic() < end
        await asyncio.wait([child.code], timeout=0.01)


def test_a_service_is_its_whole_tree(tmp_path: Path) -> None:
    async def scene(child: ChildProcess) -> None:
        ((_, line, stopped),) = await ResourceSampler().look([child])
        alone = measure(child, [psutil.Process(child.pid)], SocketCounter(), RunDelays())
        assert not stopped
        assert (line.child, line.pid, line.threads) == ("sut", child.pid, 3)  # two of its own, one of the worker
        assert alone.threads == 2
        assert line.rss_bytes is not None and alone.rss_bytes is not None and line.rss_bytes > alone.rss_bytes
        assert line.fds is not None and alone.fds is not None and line.fds > alone.fds
        assert line.sockets == {"CLOSE_WAIT": 1, "LISTEN": 1}

    _with_child(tmp_path, scene)


ORPHAN = "import threading, time; threading.Thread(target=time.sleep, args=[60]).start(); print(1, flush=True)"
LEAVES_ONE = f"""
import subprocess, sys
kid = subprocess.Popen([sys.executable, "-c", {ORPHAN!r}], stdout=-1, start_new_session=SESSION)
kid.stdout.readline()
"""
WITH_ORPHAN = """\
import subprocess, sys, time
subprocess.run([sys.executable, "-c", {code!r}], check=True)
print("up", flush=True)
time.sleep(60)
"""
"""A child whose grandchild, two threads, has no parent any more."""


@pytest.mark.parametrize("session", [True, False])
def test_a_worker_that_has_detached_itself_is_the_services(session: bool, tmp_path: Path, run_id: str) -> None:
    code = WITH_ORPHAN.format(code=LEAVES_ONE.replace("SESSION", str(session)))

    async def scene(child: ChildProcess) -> None:
        watcher = ResourceSampler()
        for _ in range(2):  # the second look knows the processes already
            ((_, line, _),) = await watcher.look([child])
            assert line.threads == 1 + 2
        assert len(orphans.kill_run(run_id, grace_s=0)) == 2

    _with_child(tmp_path, scene, code=code, env={RUN_VARIABLE: run_id})


@pytest.mark.parametrize("of_run", [True, False])
def test_what_another_child_or_another_run_left_is_not_the_services(of_run: bool, tmp_path: Path, run_id: str) -> None:
    others_run = run_id if of_run else "20260101-000000-0000"
    code = WITH_ORPHAN.format(code=LEAVES_ONE.replace("SESSION", str(not of_run)))
    (tmp_path / "gateway").mkdir()

    async def beside(gateway: ChildProcess) -> None:
        argv = (sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)")
        service = ChildProcess.start(ProcessSpec("sut", argv, {RUN_VARIABLE: run_id}, tmp_path, tmp_path / "sut.log"))
        try:
            await _until(service, lambda: service.log_tail(1) == ["up"])
            lines = {line.child: line for _, line, _ in await ResourceSampler().look([gateway, service])}
            assert lines["sut"].threads == 1
        finally:
            service.kill()
            await asyncio.wait_for(service.wait(), 20)
            orphans.kill_run(others_run, grace_s=0)

    _with_child(tmp_path / "gateway", beside, "gateway", code, {RUN_VARIABLE: others_run})


HAS_DAEMON = f"""\
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {ORPHAN!r}], stdout=-1, start_new_session=True).stdout.readline()
print("up", flush=True)
time.sleep(60)
"""


def test_a_daemon_of_a_command_is_not_the_services(tmp_path: Path, run_id: str) -> None:
    """Its session is its own, but its parent is the command."""
    (tmp_path / "search").mkdir()

    async def beside(search: ChildProcess) -> None:
        argv = (sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)")
        service = ChildProcess.start(ProcessSpec("sut", argv, {RUN_VARIABLE: run_id}, tmp_path, tmp_path / "sut.log"))
        try:
            await _until(service, lambda: service.log_tail(1) == ["up"])
            assert len(orphans.members(run_id)) == 3
            lines = {line.child: line for _, line, _ in await ResourceSampler().look([search, service])}
            assert lines["sut"].threads == 1
        finally:
            service.kill()
            await asyncio.wait_for(service.wait(), 20)
            orphans.kill_run(run_id, grace_s=0)

    _with_child(tmp_path / "search", beside, "upstream-search", HAS_DAEMON, {RUN_VARIABLE: run_id})


@pytest.mark.parametrize(("name", "told"), [("upstream-search", True), ("sut", True), ("gateway", False)])
def test_who_started_what_answers_counts_as_stopped_with_it(name: str, told: bool, tmp_path: Path) -> None:
    """A command may be a script that starts the server; all other children of the harness answer by themselves."""

    async def scene(child: ChildProcess) -> None:
        sampler = ResourceSampler()
        ((_, _, stopped),) = await sampler.look([child])
        assert not stopped
        (worker,) = psutil.Process(child.pid).children()
        worker.suspend()
        await _until(child, lambda: worker.status() == psutil.STATUS_STOPPED)
        ((_, _, stopped),) = await sampler.look([child])
        assert stopped == told
        child.planned = True
        ((_, _, stopped),) = await sampler.look([child])
        assert not stopped, "a fault of the plan has stopped it"

    _with_child(tmp_path, scene, name)


def test_sockets_are_counted_of_the_service_alone(tmp_path: Path) -> None:
    async def scene(child: ChildProcess) -> None:
        ((_, line, _),) = await ResourceSampler().look([child])
        assert (line.sockets, line.threads) == (None, 2)

    _with_child(tmp_path, scene, "gateway")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody keeps the time of children that have ended")
def test_the_processor_time_of_a_worker_that_has_ended_stays(tmp_path: Path) -> None:
    code = """\
import subprocess, sys, time
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.6: pass"])
print("up", flush=True)
time.sleep(60)
"""

    async def scene(child: ChildProcess) -> None:
        ((_, line, _),) = await ResourceSampler().look([child])
        assert line.cpu_s is not None and line.cpu_s >= 0.4  # its own is a tenth of that

    _with_child(tmp_path, scene, code=code)


def test_who_has_ended_gets_no_line(tmp_path: Path) -> None:
    async def scene(child: ChildProcess) -> None:
        family = [psutil.Process(child.pid)]
        child.kill()
        await asyncio.wait_for(child.wait(), 20)
        assert await ResourceSampler().look([child]) == []
        line = measure(child, family, SocketCounter(), RunDelays())
        assert (line.threads, line.fds, line.sockets) == (0, 0, {})

    _with_child(tmp_path, scene)


class Told:
    """Stands for a process that holds 500 MB, 300 threads and 5 files, and keeps one of them to itself."""

    def __init__(self, pid: int, *silent: str) -> None:
        self.pid, self._silent = pid, silent

    def oneshot(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def status(self) -> str:
        return psutil.STATUS_RUNNING

    def cpu_times(self) -> SimpleNamespace:
        return SimpleNamespace(user=1.0, system=self._tell("cpu_s", 0.5), children_user=0.0, children_system=0.0)

    def memory_info(self) -> SimpleNamespace:
        return SimpleNamespace(rss=self._tell("rss_bytes", 500_000_000))

    def num_threads(self) -> int:
        return int(self._tell("threads", 300))

    def num_fds(self) -> int:
        return int(self._tell("fds", 5))

    def _tell(self, figure: str, value: float) -> float:
        if "gone" in self._silent:
            raise psutil.NoSuchProcess(self.pid)
        if figure in self._silent:
            raise psutil.AccessDenied(self.pid)
        return value


def _measured(*family: Told) -> dict[str, Any]:
    line = measure(SimpleNamespace(name="gateway", pid=1), family, SocketCounter(), RunDelays())  # type: ignore[arg-type]
    return {figure: getattr(line, figure) for figure in FIGURES}


FIGURES = ("cpu_s", "rss_bytes", "threads", "fds")


@pytest.mark.parametrize("figure", FIGURES)
def test_a_part_of_a_figure_never_passes_for_the_whole(figure: str) -> None:
    whole = {"cpu_s": 3.0, "rss_bytes": 1_000_000_000, "threads": 600, "fds": 10}
    assert _measured(Told(1), Told(2)) == whole
    assert _measured(Told(1), Told(2, figure)) == whole | {figure: None}
    assert _measured(Told(1, figure), Told(2)) == whole | {figure: None}
    assert _measured(Told(1), Told(2), Told(3, "gone")) == whole


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what Linux calls a zombie")


@LINUX
def test_one_whose_first_thread_has_ended_still_holds_what_it_holds(tmp_path: Path) -> None:
    async def scene(child: ChildProcess) -> None:
        (process,) = psutil.Process(child.pid).children()
        await _until(child, lambda: process.status() == psutil.STATUS_ZOMBIE)
        alone = measure(child, [process], SocketCounter(), RunDelays())
        assert alone.rss_bytes is not None and alone.rss_bytes >= 40 << 20
        assert (alone.threads, alone.sockets) == (2, {"LISTEN": 1})
        assert alone.fds is not None and alone.fds >= 4

    program = [sys.executable, headless_program.__file__, "60"]
    code = f"""\
import subprocess
worker = subprocess.Popen({program!r}, stdout=-1)
worker.stdout.readline()
worker.stdout.readline()
print("up", flush=True)
worker.wait()
"""
    _with_child(tmp_path, scene, code=code)


@LINUX
def test_the_dead_whom_nobody_has_buried_hold_nothing(tmp_path: Path) -> None:
    code = """\
import os, subprocess, sys, time
kids = [subprocess.Popen([sys.executable, "-c", ""]) for _ in range(3)]
for kid in kids:
    os.waitid(os.P_PID, kid.pid, os.WEXITED | os.WNOWAIT)
print("up", flush=True)
time.sleep(60)
"""

    async def scene(child: ChildProcess) -> None:
        ((_, line, _),) = await ResourceSampler().look([child])
        assert line.threads == 1

    _with_child(tmp_path, scene, code=code)


def test_who_does_not_tell_its_threads_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = resources.ResourceSample(1, "sut", 1, None, None, None, None, None)
    monkeypatch.setattr(resources, "measure", lambda *_: silent)

    async def scene(child: ChildProcess) -> None:
        assert [line for _, line, _ in await ResourceSampler().look([child])] == [silent]

    _with_child(tmp_path, scene)


def test_a_line_is_of_the_moment_when_the_look_began() -> None:
    begun_ns: list[int] = []

    class Slow(Told):
        def status(self) -> str:
            begun_ns.append(time.monotonic_ns())
            return super().status()

    child = SimpleNamespace(name="gateway", pid=1)
    line = measure(child, [Slow(1)], SocketCounter(), RunDelays())  # type: ignore[arg-type, list-item]
    assert line.t_ns <= begun_ns[0]


def test_a_system_that_hangs_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    looks: list[str] = []

    def measured(child: ChildProcess, *_: object) -> resources.ResourceSample:
        looks.append(child.name)
        hangs.wait(20)
        return resources.ResourceSample(1, child.name, child.pid, 0.0, 1, 1, 1, None)

    monkeypatch.setattr(resources, "SAMPLE_WITHIN_S", 0.05)
    monkeypatch.setattr(resources, "measure", measured)

    async def scene(child: ChildProcess) -> None:
        watcher = ResourceSampler()
        assert await watcher.look([child]) == []
        await _until(child, lambda: looks == ["sut"])  # reading the process table may outlast the first look
        before = threading.active_count()
        for _ in range(5):
            assert await watcher.look([child]) == []
        await _until(child, lambda: threading.active_count() <= before)  # no second thread waits beside the first
        assert looks == ["sut"]
        hangs.set()
        end = time.monotonic() + 10
        while not (seen := await watcher.look([child])):
            assert time.monotonic() < end
        assert [line.child for _, line, _ in seen] == ["sut"]

    _with_child(tmp_path, scene)


def test_a_line_a_child_and_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PERIOD_S", 0.05)
    path = tmp_path / "resources.ndjson"

    async def scene(child: ChildProcess) -> None:
        task = asyncio.create_task(sample_forever(path, lambda: [child], lambda _: None, lambda _: None))
        try:
            await _until(child, lambda: path.exists() and path.read_bytes().count(b"\n") >= 6)
            every = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:6]]
            lines, machine = every[::2], every[1::2]
            assert {line["child"] for line in lines} == {"sut"}
            assert {line["child"] for line in machine} == {"machine"}
            assert {line["cores"] for line in machine} == {len(os.sched_getaffinity(0))}
            assert all(line["run_delay_s"] >= 0 for line in lines)
            assert machine[0]["others_cpu_s"] == 0.0
            assert lines[0]["sockets"] == {"CLOSE_WAIT": 1, "LISTEN": 1}  # later ones may come too soon to count again
            times = [line["t_ns"] for line in lines]
            assert times == sorted(set(times))
            path.unlink()
            with pytest.raises(RigError, match="was removed"):
                await asyncio.wait_for(asyncio.shield(task), 20)
        finally:
            task.cancel()
            await asyncio.wait([task])

    _with_child(tmp_path, scene)


def test_looking_needs_no_process_to_say_that_there_is_none() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    class Ended:
        name, pid, planned = "sut", gone.pid, False
        spec = ProcessSpec("sut", ("true",), {}, Path("/"), Path("/nowhere.log"))

    assert asyncio.run(ResourceSampler().look([Ended()])) == []  # type: ignore[list-item]


BURNS = """\
import os
os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
print("up", flush=True)
while True: pass
"""
LOOP = """\
import os, time
os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
end = time.monotonic() + 60
while time.monotonic() < end: pass
"""
ORPHANED_LOOP = f"""\
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {LOOP!r}], start_new_session=True, stdout=subprocess.DEVNULL).pid)
"""
"""Starts a busy loop and ends, so that the loop is no descendant of the test, which stands for the supervisor here."""


def _output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], stdout=-1, text=True, check=True, timeout=20).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a thread waited for a core")
def test_others_that_use_the_services_core_are_seen(tmp_path: Path) -> None:
    async def scene(child: ChildProcess) -> None:
        sampler = ResourceSampler()
        await sampler.look([child])
        first = sampler.take_machine()
        assert first is not None
        assert (first.cores, first.others_cpu_s) == (1, 0.0)
        loop = psutil.Process(int(await asyncio.to_thread(_output_of, ORPHANED_LOOP)))
        try:
            end = time.monotonic() + 20
            others_s = waited_s = 0.0
            while min(others_s, waited_s) < 0.2:
                assert time.monotonic() < end, (others_s, waited_s)
                await asyncio.sleep(0.2)
                for _, line, _ in await sampler.look([child]):
                    machine = sampler.take_machine()
                    assert machine is not None
                    others_s, waited_s = machine.others_cpu_s or 0.0, line.run_delay_s or 0.0
        finally:
            loop.kill()
            await asyncio.to_thread(psutil.wait_procs, [loop], 5)

    _with_child(tmp_path, scene, code=BURNS)
