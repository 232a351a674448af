"""`tailgate run` as a user has it: a process, a scenario file, an exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from harness.rundir.journal import read_journal
from harness.rundir.plan import Plan
from harness.stack.processes.orphans import members
from harness.stack.processes.ports import lock_folder

TAILGATE = str(Path(sys.executable).with_name("tailgate"))
GONE_WITHIN_S = 15.0

INCIDENT = """\
name: incident
service: {rung: timeout}
upstreams:
  azure: {p50: 10ms, p99: 25ms, rows: 10}
  gcp: {p50: 10ms, p99: 25ms, rows: 10}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 80/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 1s}
faults: [{name: azure-slow, upstream: azure, latency: 60s, for: 9s}]
gates: [p99 < gateway.timeout during azure-slow, complete > 99% during azure-slow]
verdict: {clump: 12ms}
"""
"""About thirteen seconds: one fault, a service that stands it, with room for a stall of a busy machine."""

LIGHT_INCIDENT = """\
name: incident
service: {rung: timeout}
upstreams:
  azure: {p50: 10ms, p99: 25ms, rows: 10}
  gcp: {p50: 10ms, p99: 25ms, rows: 10}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 20/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 1s}
faults: [{name: azure-slow, upstream: azure, latency: 60s, for: 7s}]
gates: [p90 < gateway.timeout during azure-slow, complete > 90% during azure-slow]
verdict: {clump: 50ms}
"""
"""The incident in eleven seconds, for tests about how a run ends or what it writes, several of which run side by side.

A quarter of the load leaves the processor to the others, and a tenth of the requests may be late without a gate that
fails.
"""


@dataclass(frozen=True)
class Ran:
    code: int
    stdout: str
    stderr: str
    run_dir: Path | None

    @property
    def last_line(self) -> str:
        return self.stdout.rstrip("\n").rpartition("\n")[2]

    @property
    def verdict(self) -> str:
        return self.last_line.partition(" ")[0]

    @property
    def results(self) -> dict[str, Any]:
        assert self.run_dir is not None
        found = json.loads((self.run_dir / "results.json").read_bytes())
        assert isinstance(found, dict)
        return found


class Running:
    """One `tailgate run` under way."""

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *words: str,
        env: Mapping[str, str | None] | None = None,
        file_limit_bytes: int | None = None,
    ) -> None:
        self.folder = folder
        (folder / "scenario.yaml").write_text(scenario, encoding="utf-8")
        full = {**os.environ, **{name: value for name, value in (env or {}).items() if value is not None}}
        for name, value in (env or {}).items():
            if value is None:
                full.pop(name, None)
        self.process = subprocess.Popen(
            [*_limited(file_limit_bytes), TAILGATE, "run", "scenario.yaml", *words],
            cwd=folder,
            env=full,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def run_dir(self) -> Path | None:
        found = sorted(path.parent for path in (self.folder / ".runs").glob("*/*/plan.json"))
        return found[-1] if found else None

    def wait_for(self, seen: Callable[[Path], bool], within_s: float = 90.0) -> Path:
        """The run directory as soon as `seen` holds of it."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            run_dir = self.run_dir
            if run_dir and seen(run_dir):
                return run_dir
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        out, err = self.process.communicate(timeout=60)
        raise AssertionError(f"it never came to that; exit {self.process.returncode}\n{out}\n{err}")

    def wait_for_fault(self) -> Path:
        """Until the fault was seen by a canary: it is in force."""
        return self.wait_for(
            lambda run_dir: any(e.event == "observed" for e in read_journal(run_dir / "faults.ndjson"))
        )

    def child(self, what: str) -> psutil.Process:
        """The one process of this run whose command line names `what`."""
        run_dir = self.run_dir
        assert run_dir is not None
        end_s = time.monotonic() + 20
        while True:
            found = [
                member.process
                for member in members(Plan.read(run_dir).run_id)
                if any(what in word for word in _words(member.process))
            ]
            # one that forks looks twice what it is, until its child has become what it is to be
            forked = {process.pid for process in found}
            found = [process for process in found if _parent(process) not in forked]
            if len(found) == 1 or time.monotonic() > end_s:
                assert len(found) == 1, (what, found)
                return found[0]
            time.sleep(0.02)

    def end(self, within_s: float = 180.0) -> Ran:
        try:
            out, err = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            out, err = self.process.communicate(timeout=within_s)
            raise AssertionError(
                f"it took longer than {within_s:g} s; stopped, it ended by itself:\n{out}{err}"
            ) from None
        return Ran(self.process.returncode, out, err, self.run_dir)


BUSY: Final = frozenset({"lag", "cores", "generator_cpu"})
"""The checks that fail where a machine is too busy to say anything about the service (decisions 38 and 44)."""


def was_busy(ran: Ran) -> bool:
    """Whether the run is a rig failure for no other reason than that the machine was busy in most of the seconds."""
    broken = {check["check"] for check in ran.results["validity"] if not check["ok"]}
    return (ran.code, ran.results["verdict"]) == (4, "rig_failure") and bool(broken) and broken <= BUSY


def assert_failed(ran: Ran) -> None:
    """The run is a FAIL. Or the machine was busy: then the gates have failed, and the service is not blamed for it."""
    said = ran.stdout + ran.stderr
    assert (ran.code, ran.verdict) == (1, "FAIL") or was_busy(ran), said
    assert any(gate["verdict"] == "fail" for gate in ran.results["gates"]), said


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # gone meanwhile
        return []


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _limited(file_limit_bytes: int | None) -> list[str]:
    """No file of the run may grow beyond this, as on a disk that is full."""
    if file_limit_bytes is None:
        return []
    program = "import os, resource, sys; n = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); "
    return [sys.executable, "-c", program + "os.execv(sys.argv[2], sys.argv[2:])", str(file_limit_bytes)]


def run(folder: Path, scenario: str, *words: str, env: Mapping[str, str | None] | None = None) -> Ran:
    """From start to end; asserts that nothing of it is left."""
    running = Running(folder, scenario, *words, env=env)
    ran = running.end()
    if ran.run_dir:
        assert_nothing_left(ran.run_dir, within_s=1.0)
    return ran


def assert_nothing_left(run_dir: Path, within_s: float = GONE_WITHIN_S) -> None:
    """No process, listener, port lock or handshake of the run, within a bound."""
    plan = Plan.read(run_dir)
    ports = [upstream.listener.port for upstream in plan.upstreams if upstream.borrowed is None]
    # what is at the other origins was not started by the run
    ports += [each.origin.port for each in plan.upstreams if each.answers_http or each.stream]
    ports += [u.command.port for u in plan.upstreams if u.command]
    ports += [port for port in (plan.service.port, plan.gateway.port) if port and plan.service.kind != "url"]
    end = time.monotonic() + within_s
    while True:
        left = [str(member.process) for member in members(plan.run_id)]
        left += [f"listener on {port}" for port in ports if _listens(port)]
        left += [str(path) for path in run_dir.glob("control")]
        left += [f"lock of {port}" for port in ports if (lock_folder() / f"{port}.lock").exists()]
        if not left:
            return
        assert time.monotonic() < end, left
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
