"""Run delays, the process table and what others used, from made-up /proc folders; no process is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.stack.monitor import machine_cpu
from harness.stack.monitor.machine_cpu import MachineCpu, read_cores
from harness.stack.monitor.process_table import read_table, used_s, with_descendants
from harness.stack.monitor.run_delay import RunDelays

TICKS = os.sysconf("SC_CLK_TCK")


class Proc:
    """A /proc of processes and cores. Times in seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "self").mkdir(parents=True)
        self.schedstat("self", 5, 1)
        self.cores(0.0, 0.0)

    def process(
        self, pid: int, own_s: float = 0.0, *, parent: int = 1, ended_s: float = 0.0, start: int = 7, name: str = "a"
    ) -> None:
        (self.folder / str(pid)).mkdir(exist_ok=True)
        fields = ["S", str(parent), *["0"] * 9, str(round(own_s * TICKS)), "0", str(round(ended_s * TICKS)), "0"]
        fields += ["20", "0", "1", "0", str(start), "0"]
        (self.folder / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n", encoding="utf-8")

    def end(self, pid: int) -> None:
        shutil.rmtree(self.folder / str(pid))

    def thread(self, pid: int, thread: int, waited_s: float) -> None:
        (self.folder / str(pid) / "task" / str(thread)).mkdir(parents=True, exist_ok=True)
        self.schedstat(f"{pid}/task/{thread}", 1, round(waited_s * 1e9))

    def schedstat(self, place: str, ran: int, waited: int) -> None:
        (self.folder / place / "schedstat").write_text(f"{ran} {waited} 3\n", encoding="ascii")

    def cores(self, *used_s: float, steal_s: float = 0.0) -> None:
        lines = ["cpu  0 0 0 0 0 0 0 0 0 0"]
        for number, used in enumerate(used_s):
            user, steal = round(used * TICKS), round(steal_s * TICKS) if number == 0 else 0
            lines.append(f"cpu{number} {user} 0 0 900 5 77 88 {steal} 0 0")
        (self.folder / "stat").write_text("\n".join([*lines, "intr 1 2 3", "ctxt 5"]) + "\n", encoding="ascii")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


# ---------------------------------------------------------------- run delay


def test_all_threads_of_all_processes_wait(proc: Proc) -> None:
    for pid, thread, waited_s in ((10, 10, 0.5), (10, 11, 0.25), (12, 12, 1.0)):
        proc.thread(pid, thread, waited_s)
    assert RunDelays(proc.folder).total_s("sut", [10, 12]) == 1.75


def test_what_threads_waited_stays_when_they_end(proc: Proc) -> None:
    delays = RunDelays(proc.folder)
    proc.thread(10, 10, 0.5)
    proc.thread(10, 11, 2.0)
    assert delays.total_s("sut", [10]) == 2.5
    shutil.rmtree(proc.folder / "10" / "task" / "11")
    proc.thread(10, 10, 0.6)
    assert delays.total_s("sut", [10]) == 2.6
    proc.thread(10, 12, 0.4)  # a new one
    assert delays.total_s("sut", [10]) == 3.0
    proc.end(10)
    assert delays.total_s("sut", [10]) == 3.0, "a process that has ended waits no more"


def test_children_are_added_up_apart(proc: Proc) -> None:
    delays = RunDelays(proc.folder)
    proc.thread(10, 10, 0.5)
    proc.thread(20, 20, 0.1)
    assert delays.total_s("sut", [10]) == 0.5
    assert delays.total_s("gateway", [20]) == 0.1


@pytest.mark.parametrize("how", ["no file", "zeros", "nonsense"])
def test_a_kernel_that_does_not_count_is_unknown(how: str, proc: Proc) -> None:
    proc.thread(10, 10, 0.5)
    if how == "no file":
        (proc.folder / "self" / "schedstat").unlink()
    else:
        (proc.folder / "self" / "schedstat").write_text("0 0 0\n" if how == "zeros" else "?\n", encoding="ascii")
    assert RunDelays(proc.folder).total_s("sut", [10]) is None


def test_a_damaged_figure_is_unknown(proc: Proc) -> None:
    proc.thread(10, 10, 0.5)
    (proc.folder / "10" / "task" / "10" / "schedstat").write_text("what\n", encoding="ascii")
    assert RunDelays(proc.folder).total_s("sut", [10]) is None


# ---------------------------------------------------------------- the process table


def test_a_name_with_parentheses_and_spaces(proc: Proc) -> None:
    proc.process(10, 1.5, parent=3, ended_s=0.25, name="a) S 9 (b")
    (times,) = read_table(proc.folder).values()
    assert (times.parent, times.own_s, times.ended_s, times.start_ticks) == (3, 1.5, 0.25, 7)


def test_descendants(proc: Proc) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (20, 1), (30, 99)):
        proc.process(pid, parent=parent)
    assert with_descendants(read_table(proc.folder), [10, 30, 77]) == {10, 11, 12, 30}


def test_what_a_group_used(proc: Proc) -> None:
    proc.process(10, 1.0)
    before = read_table(proc.folder)
    proc.process(10, 1.5)
    proc.process(11, 0.25, parent=10)  # new
    assert used_s(before, read_table(proc.folder), {10, 11}, {10}) == pytest.approx(0.75)


def test_a_child_that_was_waited_for_counts_once(proc: Proc) -> None:
    proc.process(10, 1.0)
    proc.process(11, 4.0, parent=10)
    before = read_table(proc.folder)
    proc.end(11)
    proc.process(10, 1.1, ended_s=4.3)  # it used 0.3 s before its end
    assert used_s(before, read_table(proc.folder), {10}, {10, 11}) == pytest.approx(0.4)


def test_a_child_that_no_one_waited_for_takes_nothing_away(proc: Proc) -> None:
    proc.process(10, 1.0)
    proc.process(11, 4.0, parent=10)
    before = read_table(proc.folder)
    proc.end(11)
    proc.process(10, 1.1)
    assert used_s(before, read_table(proc.folder), {10}, {10, 11}) == pytest.approx(0.1)


def test_another_process_of_the_same_pid_is_new(proc: Proc) -> None:
    proc.process(10, 50.0)
    before = read_table(proc.folder)
    proc.process(10, 0.5, start=99)
    assert used_s(before, read_table(proc.folder), {10}, {10}) == pytest.approx(0.5)


def test_orphans_that_init_waits_for_are_not_inits(proc: Proc) -> None:
    proc.process(1, 1.0, parent=0, ended_s=10.0)
    before = read_table(proc.folder)
    proc.process(1, 1.0, parent=0, ended_s=60.0)
    assert used_s(before, read_table(proc.folder), {1}, {1}) == 0.0


# ---------------------------------------------------------------- others

SERVICE, LOOP = 50, 60
ALL, FIRST = {0, 1}, {0}


@pytest.fixture
def scene(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> Proc:
    """Tailgate (40) with a service (50), and a busy loop of others (60), on two cores that all may use."""
    proc.process(40)
    proc.process(SERVICE, parent=40)
    proc.process(LOOP)
    _affinity(monkeypatch, {})
    return proc


def _affinity(monkeypatch: pytest.MonkeyPatch, of: dict[int, set[int]]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: of.get(pid, ALL), raising=False)


def _see_all(proc: Proc) -> None:
    (proc.folder / "self" / "ns").mkdir()
    (proc.folder / "self" / "ns" / "pid").symlink_to(machine_cpu._FIRST_NAMESPACE)


def others_s(scene: Proc, service_s: float, loop_s: float, *cores_s: float, steal_s: float = 0.0) -> float:
    """What others used between a sample of nothing and one of these figures."""
    cpu = MachineCpu(scene.folder)
    first = cpu.sample([40], [SERVICE])
    assert first.others_cpu_s == 0.0
    scene.process(SERVICE, service_s, parent=40)
    scene.process(LOOP, loop_s)
    scene.cores(*cores_s, steal_s=steal_s)
    found = cpu.sample([40], [SERVICE]).others_cpu_s
    assert found is not None
    return found


def test_others_used_what_the_run_did_not(scene: Proc) -> None:
    assert others_s(scene, 0.4, 0.9, 0.7, 0.6) == pytest.approx(0.9)


def test_a_service_that_uses_the_cores_up_leaves_nothing_to_others(scene: Proc) -> None:
    assert others_s(scene, 2.0, 0.0, 1.0, 1.0) == 0.0


def test_steal_is_others_time(scene: Proc) -> None:
    _see_all(scene)
    assert others_s(scene, 0.4, 0.0, 0.4, 0.0, steal_s=0.5) == pytest.approx(0.5)


def test_what_a_hypervisor_took_is_told_apart(scene: Proc) -> None:
    """On a core that the service may use; a core whose counter falls has taken nothing."""
    cpu = MachineCpu(scene.folder)
    assert cpu.sample([40], [SERVICE]).stolen_cpu_s == 0.0
    for steal_s, total_s in ((0.5, 0.5), (0.8, 0.8), (0.1, 0.8)):
        scene.cores(0.4, 0.0, steal_s=steal_s)
        assert cpu.sample([40], [SERVICE]).stolen_cpu_s == pytest.approx(total_s)


def test_the_programs_outside_the_run_that_used_most_are_named(scene: Proc) -> None:
    cpu = MachineCpu(scene.folder)
    for pid, name in ((80, "dd"), (81, "cc1plus"), (82, "cc1plus"), (83, "idle"), (84, "gone"), (SERVICE, "serve")):
        scene.process(pid, parent=40 if pid == SERVICE else 1)
        if name != "gone":
            (scene.folder / str(pid) / "comm").write_text(f"{name}\n", encoding="utf-8")
    assert cpu.sample([40], [SERVICE]).others_most == {}
    for pid, own_s in ((80, 0.3), (81, 0.2), (82, 0.25), (83, 0.04), (84, 0.9), (SERVICE, 1.0)):
        scene.process(pid, own_s, parent=40 if pid == SERVICE else 1)
    scene.process(90, 5.0)  # it has come since, and may have used its time long before
    assert cpu.sample([40], [SERVICE]).others_most == {"dd": 0.3, "cc1plus": 0.45}


def test_interrupts_are_nobodys(scene: Proc) -> None:
    """The columns irq and softirq hold 77 and 88 ticks a core."""
    assert read_cores(scene.folder)[0].used_s == 0.0


def test_time_that_no_process_shows_is_not_others_where_all_can_be_seen(scene: Proc) -> None:
    """Children of the service that ended, and that it did not wait for, used most of the cores."""
    _see_all(scene)
    assert others_s(scene, 0.2, 0.1, 1.0, 1.0) == pytest.approx(0.1)


def test_in_a_container_the_machines_time_is_others(scene: Proc) -> None:
    """Other containers' processes cannot be seen."""
    assert others_s(scene, 0.2, 0.1, 1.0, 1.0) == pytest.approx(1.8)


def test_a_pinned_service_has_nothing_to_do_with_other_cores(scene: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    """It uses its core up, and others use the other one."""
    _affinity(monkeypatch, {SERVICE: FIRST})
    _see_all(scene)
    assert others_s(scene, 1.0, 1.0, 1.0, 1.0) == 0.0


def test_others_that_are_pinned_beside_a_pinned_service(scene: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run used as much as the whole core, most of it elsewhere. The loop can have been nowhere else."""
    _affinity(monkeypatch, {SERVICE: FIRST, LOOP: FIRST})
    _see_all(scene)
    scene.process(41, parent=40)
    cpu = MachineCpu(scene.folder)
    assert cpu.sample([40], [SERVICE]).cores == 1
    for pid, used, parent in ((41, 0.6, 40), (SERVICE, 0.4, 40), (LOOP, 0.6, 1)):
        scene.process(pid, used, parent=parent)
    scene.cores(1.0, 0.6)
    assert cpu.sample([40], [SERVICE]).others_cpu_s == pytest.approx(0.6)


def test_what_the_service_has_detached_is_the_runs_from_its_beginning(scene: Proc) -> None:
    """It is recognised one sample late."""
    scene.process(70)
    cpu = MachineCpu(scene.folder)
    cpu.sample([40], [SERVICE])
    scene.process(70, 0.9)
    scene.cores(0.9, 0.0)
    assert cpu.sample([40, 70], [SERVICE, 70]).others_cpu_s == 0.0


def test_figures_add_up(scene: Proc) -> None:
    cpu = MachineCpu(scene.folder)
    cpu.sample([40], [SERVICE])
    for second in (1, 2, 3):
        scene.process(LOOP, second * 0.5)
        scene.cores(second * 0.5, 0.0)
        assert cpu.sample([40], [SERVICE]).others_cpu_s == pytest.approx(second * 0.5)


def test_without_a_service_of_ours_nothing_is_known_of_others(scene: Proc) -> None:
    sample = MachineCpu(scene.folder).sample([40], [])
    assert (sample.cores, sample.others_cpu_s) == (None, None)


def test_a_system_without_proc(tmp_path: Path) -> None:
    sample = MachineCpu(tmp_path / "none").sample([1], [os.getpid()])
    assert (sample.others_cpu_s, sample.pressure_s) == (None, None)


def test_pressure_is_in_seconds(scene: Proc) -> None:
    (scene.folder / "pressure").mkdir()
    text = "some avg10=6.88 avg60=3.62 avg300=2.81 total=16280507\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    (scene.folder / "pressure" / "cpu").write_text(text, encoding="ascii")
    assert MachineCpu(scene.folder).sample([40], [SERVICE]).pressure_s == 16.281
