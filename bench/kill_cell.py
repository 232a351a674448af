"""One cell of the kill matrix: a short run, a signal to one of its processes in one of its phases, and what is left.

It starts `tailgate run` in a folder of its own, with lock files, temporary files and cache in there, so that whatever
is found afterwards is this run's. It judges nothing: what should have been is in `kill_matrix`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.far_workers import FarWorkers
from bench.kill_stacks import FAR, FAR_WORKERS, LEGACY, ORIGIN, STACKS, WORDS, Cell
from bench.left_behind import left_of, ports_of
from bench.origin_server import OriginServer
from bench.others_toxiproxy import OthersToxiproxy
from bench.tailgate_command import TAILGATE
from harness.rundir.journal import read_journal
from harness.rundir.manifest import Manifest
from harness.rundir.plan import Plan
from harness.stack.processes.orphans import members
from harness.units import NS_PER_MS

LEFT_WITHIN_S: Final = 15.0
GOES_ON_WITHIN_S: Final = 45.0
ENDS_WITHIN_S: Final = 45.0
"""A run that the signal does not end."""
_UP_WITHIN_S: Final = 90.0


@dataclass(slots=True)
class Seen:
    """What came of one cell. `left` is what was still there 15 s after the signal."""

    cell: Cell
    gone_already: bool = False
    clean_s: float | None = None
    left: list[str] = field(default_factory=list)
    code: int | None = None
    judged: int | None = None
    verdict: str = ""
    said: str = ""
    broken: str = ""
    """Why there is nothing to see: the bench's own trouble."""


class Run:
    """One `tailgate run` of the same scenario once or `times`, watched from outside."""

    def __init__(
        self,
        folder: Path,
        toxiproxy: Path,
        others: OthersToxiproxy | None,
        *,
        scenario: str,
        times: int = 1,
        far: FarWorkers | None = None,
    ) -> None:
        self.folder = folder
        self.temp, self.cache, self.work = folder / "tmp", folder / "cache", folder / "work"
        for each in (self.temp, self.cache, self.work):
            each.mkdir(exist_ok=True)
        (self.work / "scenario.yaml").write_text(scenario, encoding="utf-8")
        self.far = far
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in ("TOXIPROXY_URL", "NO_COLOR")},
            "TMPDIR": str(self.temp),
            "XDG_CACHE_HOME": str(self.cache),
            "PATH": f"{toxiproxy.parent}{os.pathsep}{os.environ['PATH']}",
            **({"TOXIPROXY_URL": others.url} if others else {}),
        }
        self._log = (folder / "said.log").open("wb")
        self.process = subprocess.Popen(
            [TAILGATE, "run", *["scenario.yaml"] * times, *(far.words if far else ())],
            cwd=self.work,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def run_dirs(self) -> list[Path]:
        """In the order that they were made."""
        found = [path.parent for path in self.work.glob(".runs/*/*/plan.json")]
        return sorted(found, key=lambda run_dir: (run_dir / "plan.json").stat().st_mtime_ns)

    @property
    def run_dir(self) -> Path | None:
        return next(iter(self.run_dirs), None)

    def wait_for(self, phase: str) -> Path:
        """The run directory as soon as the phase has come. Raises TimeoutError, naming what was said."""
        end = time.monotonic() + _UP_WITHIN_S
        while time.monotonic() < end and self.process.poll() is None:
            run_dir = self.run_dir
            if run_dir and has_come(phase, run_dir):
                return run_dir
            time.sleep(0.01)
        raise TimeoutError(f"{phase} never came; exit {self.process.poll()}: {self.said()[-500:]}")

    def said(self) -> str:
        return (self.folder / "said.log").read_text(encoding="utf-8", errors="replace")

    def judge(self, run_dir: Path) -> tuple[int, str]:
        """`tailgate judge`: its exit code and its last line."""
        answer = subprocess.run(
            [TAILGATE, "judge", str(run_dir)], env=self.env, capture_output=True, text=True, timeout=60, check=False
        )
        said = (answer.stdout.strip() or answer.stderr.strip()).splitlines()
        return answer.returncode, said[-1] if said else ""

    def close(self) -> None:
        """Nothing of the cell outlives it, whatever it has found."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._log.close()
        if self.far:
            self.far.close()
        for run_dir in self.run_dirs:
            for member in members(Plan.read(run_dir).run_id):
                member.process.kill()


def has_come(phase: str, run_dir: Path) -> bool:
    """`reporting` begins with the end of the load: rows closed, then all is taken down, judged and reported."""
    try:
        manifest, plan = Manifest.read(run_dir), Plan.read(run_dir)
    except (OSError, ValueError):
        return False
    if manifest.t0_ns is None:
        return False
    t_ms = (time.monotonic_ns() - manifest.t0_ns) / NS_PER_MS
    match phase:
        case "warm-up":
            return t_ms > -plan.load.warmup_ms + 700
        case "baseline":
            return t_ms > 700
        case "paused" | "killed":  # what runs, not a canary, is the witness of these
            return journalled(run_dir, "applied")
        case "fault" | "others" | "down" | "blackhole":
            return journalled(run_dir, "observed")
        case "recovery":
            return journalled(run_dir, "verified")
        case "judging":
            return manifest.ended is not None
        case _:
            return (run_dir / "samples-0.bin.end").exists()


def journalled(run_dir: Path, event: str) -> bool:
    return any(entry.event == event for entry in read_journal(run_dir / "faults.ndjson"))


@dataclass(slots=True)
class Surroundings:
    """What stands around a run and is not its own: a Toxiproxy of others, a real server."""

    others: OthersToxiproxy | None = None
    origin: OriginServer | None = None
    far: FarWorkers | None = None

    @classmethod
    @contextmanager
    def around(cls, cell: Cell, place: Path, toxiproxy: Path) -> Iterator[Surroundings]:
        stack = STACKS[cell.stack]
        found = cls()
        try:
            if stack.forwards or stack.borrows:
                found.origin = OriginServer(place, speaks_tls=stack.forwards)
            if stack.borrows or cell.phase == "others":
                lent = {LEGACY: found.origin.port} if found.origin else {}
                found.others = OthersToxiproxy(place, toxiproxy, lent)
            if stack.load_is_elsewhere:
                found.far = FarWorkers(place, FAR_WORKERS)
            yield found
        finally:
            for each in (found.others, found.origin, found.far):
                if each:
                    each.close()


def play(cell: Cell, folder: Path, toxiproxy: Path, *, keep: bool = False) -> Seen:
    """Run the cell in a new folder below `folder`; the folder is removed again unless `keep`."""
    place = folder / str(cell).replace("/", "-")
    place.mkdir(parents=True)
    seen = Seen(cell)
    try:
        with Surroundings.around(cell, place, toxiproxy) as around:
            origin, others = around.origin, around.others
            text = STACKS[cell.stack].text(cell.phase, origin.port if origin else None, others.url if others else None)
            run = Run(place, toxiproxy, others, scenario=text, far=around.far)
            try:
                _play(seen, run, around)
            except (TimeoutError, subprocess.TimeoutExpired, psutil.Error, OSError) as exc:
                seen.broken = f"{type(exc).__name__}: {exc}"
            finally:
                seen.said = run.said()
                run.close()
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    return seen


def _play(seen: Seen, run: Run, around: Surroundings) -> None:
    cell, others = seen.cell, around.others
    run_dir = run.wait_for("warm-up")
    target = _find(cell, run, run_dir, around)
    ports = ports_of(run_dir, ours=others is None)
    run.wait_for("judging" if (cell.actor, cell.phase) == ("tailgate", "reporting") else cell.phase)
    number = signal.Signals[cell.signal]
    theirs_stops = others is not None and cell.actor == "toxiproxy" and number == signal.SIGSTOP
    if theirs_stops:  # nobody but it can close its listeners
        ports = ports_of(run_dir, ours=False, listeners=False)
    begin = time.monotonic()
    seen.gone_already = not _sent(target, number)
    if cell.goes_on:
        run.process.wait(ENDS_WITHIN_S)
        begin = time.monotonic()
    counts_from = begin if not cell.shows_later else _until_fault_ends(run, run_dir)
    stopped_itself = cell.actor in ("tailgate", FAR) and number == signal.SIGSTOP
    while True:
        seen.left = left_of(run, run_dir, ports, except_for=target.pid if stopped_itself else None)
        if not seen.left or time.monotonic() - counts_from > LEFT_WITHIN_S:
            break
        time.sleep(0.05)
    seen.clean_s = None if seen.left else time.monotonic() - begin
    if stopped_itself:
        target.send_signal(signal.SIGCONT)
        if around.far:
            around.far.wait(LEFT_WITHIN_S)
    seen.code = run.process.wait(GOES_ON_WITHIN_S)
    if others and theirs_stops:
        target.send_signal(signal.SIGCONT)
        subprocess.run([TAILGATE, "toxiproxy", "sweep", "--url", others.url], env=run.env, check=True, timeout=60)
    if others and (cell.actor != "toxiproxy" or theirs_stops):
        seen.left += others.changed()
    seen.judged, seen.verdict = run.judge(run_dir)


def _sent(target: psutil.Process, number: signal.Signals) -> bool:
    """Send the signal; False where the process has ended."""
    try:
        if target.status() == psutil.STATUS_ZOMBIE:
            return False
        target.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def _until_fault_ends(run: Run, run_dir: Path) -> float:
    """The time by time.monotonic(), once its removal has begun or the run has ended."""
    end = time.monotonic() + ENDS_WITHIN_S
    while not journalled(run_dir, "removing") and run.process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    return time.monotonic()


def _find(cell: Cell, run: Run, run_dir: Path, around: Surroundings) -> psutil.Process:
    if cell.actor == "tailgate":
        return psutil.Process(run.process.pid)
    if cell.actor == "toxiproxy" and around.others:
        return psutil.Process(around.others.process.pid)
    if cell.actor == ORIGIN and around.origin:
        return psutil.Process(around.origin.process.pid)
    if cell.actor == FAR and around.far:
        return psutil.Process(around.far.processes[0].pid)
    for member in members(Plan.read(run_dir).run_id):
        if any(WORDS[cell.actor] in word for word in member.process.cmdline()):
            return member.process
    raise TimeoutError(f"no process of {cell.actor} was found")
