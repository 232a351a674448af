"""tailgate and its supervisor killed at one blow, as a power cut does it: one sweep undoes the rest, and no more.

Alone, since any other run that starts meanwhile would sweep the rest first.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.others_toxiproxy import OthersToxiproxy
from harness.stack.processes.orphans import members
from tests.run.real_runs import BUSY, LIGHT_INCIDENT, TAILGATE, Running, assert_nothing_left

pytestmark = [pytest.mark.stack, pytest.mark.alone]


def _sweep(folder: Path, url: str) -> list[str]:
    argv = [TAILGATE, "toxiproxy", "sweep", "--url", url]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def test_a_sweep_undoes_what_is_left_of_a_dead_run_beside_one_that_lives(
    tmp_path: Path, toxiproxy_binary: Path
) -> None:
    folders = [tmp_path / "dead", tmp_path / "alive"]
    for folder in folders:
        folder.mkdir()
    others = OthersToxiproxy(tmp_path, toxiproxy_binary)
    try:
        dead, alive = (Running(folder, LIGHT_INCIDENT, env={"TOXIPROXY_URL": others.url}) for folder in folders)
        run_dir = dead.wait_for_fault()
        supervisor = dead.child("harness.stack.supervisor.supervisor")
        dead.process.kill()
        supervisor.kill()
        dead.process.communicate(timeout=20)
        alive.wait_for_fault()
        lines = _sweep(folders[0], others.url)
        assert_nothing_left(run_dir, within_s=1)
        theirs_and_alive = [name for name in others.client.proxies() if run_dir.name in name]
        assert not theirs_and_alive
        assert sum(line.startswith(f"removed proxy tailgate-{run_dir.name}-") for line in lines) == 2, lines
        assert any(line.startswith("ended ") and run_dir.name in line for line in lines), lines
        assert f"cut short: {run_dir.relative_to(folders[0])}" in "\n".join(lines)
        ran = alive.end()
        # two services at once on a small machine may be slow, but the sweep has taken nothing from this run
        assert {check["check"] for check in ran.results["validity"] if not check["ok"]} <= BUSY, ran.stdout + ran.stderr
        assert [fault["landed"] for fault in ran.results["faults"]] == [True]
        assert _sweep(folders[1], others.url) == ["nothing of a dead run is left"]
        assert not others.changed()
    finally:
        others.close()


@pytest.mark.nightly
def test_the_next_run_undoes_it_too(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day one undoes it that is asked to, above."""
    dead = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    run_dir = dead.wait_for_fault()
    supervisor = dead.child("harness.stack.supervisor.supervisor")
    dead.process.kill()
    supervisor.kill()
    dead.process.communicate(timeout=20)
    assert members(run_dir.name)
    (tmp_path / "next").mkdir()
    following = Running(tmp_path / "next", LIGHT_INCIDENT, env=toxiproxy_env)
    following.wait_for(lambda found: (found / "manifest.json").exists())
    assert not members(run_dir.name)
    following.process.terminate()
    assert following.end().code == 130
