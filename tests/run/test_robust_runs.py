"""What may befall a run: a stepped clock, a full disk, a removed folder, a second run, a Toxiproxy that forgets."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.others_toxiproxy import OthersToxiproxy
from harness.rundir.journal import read_journal
from harness.rundir.plan import Plan
from tests.run.real_runs import LIGHT_INCIDENT, TAILGATE, Ran, Running, assert_nothing_left, run
from tests.run.stalling_admin import StallingAdmin, Stalls

pytestmark = [pytest.mark.stack, pytest.mark.beside]


def _began(run_dir: Path) -> bool:
    return (run_dir / "control" / "start.json").exists()


def _journalled(event: str) -> object:
    return lambda run_dir: any(entry.event == event for entry in read_journal(run_dir / "faults.ndjson"))


def _rig_failure(ran: Ran, says: str) -> None:
    said = ran.stdout + ran.stderr
    assert ran.code == 4, said
    assert says in said, said
    assert "Traceback" not in said
    assert "PASS" not in ran.stdout


# ---------------------------------------------------------------- the clock on the wall

STEPPING = """
import time
_real, _real_ns, _born = time.time, time.time_ns, time.monotonic()
def _stepped_s():
    age_s = time.monotonic() - _born
    return 0 if age_s < 2 else -7200 if age_s < 5 else 86400 if age_s < 8 else -60
time.time = lambda: _real() + _stepped_s()
time.time_ns = lambda: _real_ns() + _stepped_s() * 10**9
"""


@pytest.mark.nightly  # by day tests/structure/test_clocks.py sees that only the monotonic clock is read
def test_a_clock_that_is_stepped_changes_nothing(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """In every Python process of the run: two hours back, a day ahead, and back again."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(STEPPING)
    folders = [str(tmp_path / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])]
    ran = run(tmp_path, LIGHT_INCIDENT, env={**toxiproxy_env, "PYTHONPATH": os.pathsep.join(folders)})
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    assert all(check["ok"] for check in ran.results["validity"])


# ---------------------------------------------------------------- disks and folders


def test_a_run_directory_removed_in_mid_run(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    running = Running(tmp_path, LIGHT_INCIDENT.replace("for: 7s", "for: 90s"), env=toxiproxy_env)
    run_dir = running.wait_for(_began)
    plan = Plan.read(run_dir)
    begin = time.monotonic()
    while run_dir.exists():  # the run may just have written another file
        shutil.rmtree(run_dir, ignore_errors=True)
        assert time.monotonic() - begin < 10
    ran = running.end()
    assert time.monotonic() - begin < 60, "it is noticed at once, not at the end"
    _rig_failure(ran, "was removed during the run")
    assert not run_dir.exists()
    run_dir.mkdir()
    plan.write(run_dir)
    assert_nothing_left(run_dir, within_s=1)


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    ran = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env, file_limit_bytes=1_000).end()
    assert ran.code == 2, ran.stdout + ran.stderr
    assert "cannot be written: File too large" in ran.stderr
    assert "fix: name another folder with --out" in ran.stderr


def test_a_disk_that_fills_up_while_reports_are_written(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """All rows fit, the largest report does not: what was measured is kept, and judged when there is room again."""
    # nginx writes the largest of the rows
    scenario = LIGHT_INCIDENT.replace("{timeout: 2s}", "{kind: client, timeout: 2s}")
    ran = Running(tmp_path, scenario, env=toxiproxy_env, file_limit_bytes=80_000).end()
    _rig_failure(ran, "cannot be written")
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir, within_s=1)
    judged = subprocess.run([TAILGATE, "judge", str(ran.run_dir)], check=False, capture_output=True, text=True)
    assert judged.stdout.splitlines()[-1].startswith("PASS "), judged.stdout


# ---------------------------------------------------------------- open files


def test_too_low_a_limit_of_open_files_starts_nothing(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    # slots that the scenario leaves to tailgate are cut to fit; those that it asks for are refused
    scenario = LIGHT_INCIDENT.replace("rate: 20/s,", "rate: 20/s, max_in_flight: 700,")
    (tmp_path / "scenario.yaml").write_text(scenario)
    argv = ["sh", "-c", 'ulimit -n 300 && exec "$0" run scenario.yaml', TAILGATE]
    ran = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, **toxiproxy_env}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert "may need 1,464 open files, and the system allows 300" in ran.stderr
    assert "fix: ulimit -Hn 1464" in ran.stderr
    assert not list(tmp_path.glob(".runs/*/*/manifest.json"))


# ---------------------------------------------------------------- two at once


@pytest.mark.nightly
def test_two_runs_at_once_are_both_right(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """One service stands the fault, one waits for it: neither sees the other's backends, ports or faults.

    By day the tests marked `beside` are runs at once.
    """
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    words = [(), ("--set", "service.rung=parallel")]
    pairs = zip(folders, words, strict=True)
    both = [Running(folder, LIGHT_INCIDENT, *each, env=toxiproxy_env) for folder, each in pairs]
    ends = [running.end() for running in both]
    assert [ran.verdict for ran in ends] == ["PASS", "FAIL"], "\n".join(ran.stdout + ran.stderr for ran in ends)
    plans = [Plan.read(ran.run_dir) for ran in ends if ran.run_dir]
    ports = [{port for up in plan.upstreams for port in (up.listener.port, up.origin.port)} for plan in plans]
    assert not ports[0] & ports[1]
    for ran in ends:
        assert ran.run_dir is not None
        assert_nothing_left(ran.run_dir, within_s=1)


# ---------------------------------------------------------------- a Toxiproxy of others


@pytest.fixture
def others(tmp_path: Path, toxiproxy_binary: Path) -> Iterator[OthersToxiproxy]:
    server = OthersToxiproxy(tmp_path, toxiproxy_binary)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("event", ["observed", pytest.param("verified", marks=pytest.mark.nightly)])
def test_a_toxiproxy_that_is_restarted_in_mid_run(tmp_path: Path, others: OthersToxiproxy, event: str) -> None:
    """While the fault is in force, and after it: our proxies are gone, and the service's errors are not its own."""
    scenario = LIGHT_INCIDENT.replace("recovery: 1s", "recovery: 90s")
    running = Running(tmp_path, scenario, env={"TOXIPROXY_URL": others.url})
    run_dir = running.wait_for(_journalled(event))  # type: ignore[arg-type]
    begin = time.monotonic()
    others.restart()
    ran = running.end()
    _rig_failure(ran, f"Toxiproxy at {others.url} has lost the proxies of this run (tailgate-")
    assert time.monotonic() - begin < 60, "it is noticed at once, not at the end"
    assert_nothing_left(run_dir, within_s=1)
    assert not others.changed()


NOT_APPLIED = "azure-slow (latency 60s) on azure was not applied: POST"


def _toxics(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/toxics")


def _removals(method: str, _path: str) -> bool:
    return method == "DELETE"


@pytest.mark.parametrize(
    ("stalls", "passes_on", "says"),
    [
        pytest.param(_toxics, False, NOT_APPLIED, id="applying", marks=pytest.mark.nightly),
        pytest.param(_toxics, True, NOT_APPLIED, id="applied without a word", marks=pytest.mark.nightly),
        pytest.param(_removals, False, "azure-slow (latency 60s) on azure could not be removed: DELETE", id="removing"),
    ],
)
@pytest.mark.nightly  # by day tests/stack/test_kill.py has a Toxiproxy that hangs
def test_a_control_plane_that_is_blocked(
    tmp_path: Path, others: OthersToxiproxy, stalls: Stalls, passes_on: bool, says: str
) -> None:
    with StallingAdmin(others.url, stalls, passes_on=passes_on) as admin:
        ran = Running(tmp_path, LIGHT_INCIDENT, env={"TOXIPROXY_URL": admin.url}).end()
        _rig_failure(ran, says)
    assert ran.run_dir is not None
    if stalls is _removals:
        assert f"`tailgate toxiproxy sweep --url {admin.url}`" in " ".join(ran.stdout.split())
        ours = [name for name in others.client.proxies() if name != "theirs"]
        assert len(ours) == 2, "nothing can be taken from a server that does not let us"
        swept = subprocess.run(
            [TAILGATE, "toxiproxy", "sweep", "--url", others.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert [f"removed proxy {name}" in swept.stdout for name in ours] == [True, True], swept.stdout
    assert not others.changed()
    assert_nothing_left(ran.run_dir, within_s=1)
