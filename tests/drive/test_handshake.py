"""The files worker and supervisor talk by."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.rundir.handshake import Handshake
from scenarios.drive.command import worker_argv, worker_id_of
from tests.drive.drive_world import a_plan


def test_ready_names_the_process(tmp_path: Path) -> None:
    Handshake(tmp_path, 3).ready()
    assert json.loads((tmp_path / "control" / "ready-3").read_text()) == {"pid": os.getpid()}
    assert [path.name for path in (tmp_path / "control").iterdir()] == ["ready-3"]


def test_t0_comes_from_start_json(tmp_path: Path) -> None:
    handshake = Handshake(tmp_path, 0)
    handshake.ready()
    (tmp_path / "control" / "start.json").write_text('{"start_ns": 5, "t0_ns": 77}')
    assert handshake.t0_ns(within_s=1) == 77


def test_no_start_is_a_rig_failure(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"no start\.json came within 0\.05 s"):
        Handshake(tmp_path, 0).t0_ns(within_s=0.05)


def test_a_file_that_is_half_written_is_looked_at_again(tmp_path: Path) -> None:
    handshake = Handshake(tmp_path, 0)
    handshake.ready()
    stop = tmp_path / "control" / "stop.json"
    stop.write_text('{"at_')
    assert handshake.stop_at_ns() is None
    stop.write_text('{"at_ns": 12}')
    assert handshake.stop_at_ns() == 12


def test_the_parent_is_there(tmp_path: Path) -> None:
    assert not Handshake(tmp_path, 0).is_orphan()


def test_the_command_can_be_read_back(tmp_path: Path) -> None:
    a_plan("http://127.0.0.1:9").write(tmp_path)
    argv = worker_argv(tmp_path, 2)
    place = worker_id_of(argv)
    assert (place.run_dir, place.index) == (tmp_path, 2)
    assert argv[argv.index("--host") + 1] == "http://127.0.0.1:9"
    assert argv[argv.index("--users") + 1] == "1"


def test_users_of_the_closed_model_are_dealt_out(tmp_path: Path) -> None:
    a_plan("http://127.0.0.1:9", model="closed", schedule=None, users=5, workers=2).write(tmp_path)
    shares = [argv[argv.index("--users") + 1] for argv in (worker_argv(tmp_path, 0), worker_argv(tmp_path, 1))]
    assert shares == ["3", "2"]
