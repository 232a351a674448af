"""A run cannot be suspended: SIGSTOP to tailgate, Ctrl-Z at a terminal, and a terminal that stops who writes to it."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.rundir.journal import read_journal
from tests.run.real_runs import LIGHT_INCIDENT, TAILGATE, Running, assert_nothing_left

pytestmark = [pytest.mark.stack, pytest.mark.beside]


@pytest.mark.nightly
def test_a_stopped_tailgate_leaves_nothing_and_says_so_when_it_goes_on(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    """By day the stack alone sees it: tests/stack/test_stopped.py."""
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    run_dir = running.wait_for_fault()
    running.process.send_signal(signal.SIGSTOP)
    assert_nothing_left(run_dir)
    assert psutil.Process(running.process.pid).status() == psutil.STATUS_STOPPED
    running.process.send_signal(signal.SIGCONT)
    ran = running.end()
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert "tailgate itself was suspended for " in ran.stderr
    assert "Its supervisor then took the faults back" in ran.stderr
    assert "tailgate gave no sign of life for 5 s" in ran.results["reason"]
    assert ran.results["faults"][0]["windows"][0]["verified"]


class Terminal:
    """A process in a session of its own whose terminal we hold the other end of."""

    def __init__(self, argv: list[str], folder: Path, env: dict[str, str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(argv[0], argv, {**os.environ, "TERM": "xterm", **env})
        os.set_blocking(self._master, False)
        self.said = b""

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def end(self, within_s: float = 180.0) -> int:
        """Its exit code; what it has said by then is in `said`. Raises AssertionError where it is not over in time."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid:
                assert not os.WIFSTOPPED(status), "it was suspended"
                self._read()
                os.close(self._master)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGTERM)
        raise AssertionError(f"not over within {within_s:g} s: {self.said.decode(errors='replace')}")

    def _read(self) -> None:
        try:
            while chunk := os.read(self._master, 65_536):
                self.said += chunk
        except OSError:  # nothing yet, or its other end is closed
            return


def _in_fault(folder: Path, within_s: float = 90.0) -> Path:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        for plan in folder.glob(".runs/*/*/plan.json"):
            if any(entry.event == "observed" for entry in read_journal(plan.parent / "faults.ndjson")):
                return plan.parent
        time.sleep(0.05)
    raise AssertionError("no fault was ever in force")


def test_ctrl_z_at_a_terminal_undoes_everything_and_says_why(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    (tmp_path / "scenario.yaml").write_text(LIGHT_INCIDENT)
    terminal = Terminal([TAILGATE, "run", "scenario.yaml"], tmp_path, toxiproxy_env)
    run_dir = _in_fault(tmp_path)
    terminal.press(b"\x1a")
    code = terminal.end()
    said = terminal.said.decode(errors="replace")
    assert code == 130, said
    assert "Ctrl-Z: a run cannot be suspended with its faults active" in said
    assert '"verified"' in (run_dir / "faults.ndjson").read_text()
    assert_nothing_left(run_dir, within_s=1)


BACKGROUND = """
import os, subprocess, sys, termios
attributes = termios.tcgetattr(0)
attributes[3] |= termios.TOSTOP  # who writes to the terminal from the background is stopped
termios.tcsetattr(0, termios.TCSANOW, attributes)
job = subprocess.Popen(sys.argv[1:], process_group=0)
_, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    job.kill()
"""


def test_a_job_in_the_background_is_not_stopped_while_its_faults_are_in_force(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    """`stty tostop` may hold its summary back, when all is done."""
    (tmp_path / "scenario.yaml").write_text(LIGHT_INCIDENT)
    argv = [sys.executable, "-c", BACKGROUND, TAILGATE, "run", "scenario.yaml"]
    terminal = Terminal(argv, tmp_path, toxiproxy_env)
    assert terminal.end() == 0
    (run_dir,) = (path.parent for path in tmp_path.glob(".runs/*/*/results.json"))
    assert json.loads((run_dir / "results.json").read_bytes())["verdict"] == "pass"
    assert_nothing_left(run_dir, within_s=1)
    assert "azure-slow on azure: verified" in terminal.said.decode(errors="replace")
