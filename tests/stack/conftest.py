"""What stack tests share: a run id of their own, and the Toxiproxy that this machine has."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.stack.detection.detection_book import DetectionBook
from harness.toxiproxy.find import EngineChoice, find_binary
from tests.own_ports import own_lease
from tests.stack.stack_scene import Scene


@pytest.fixture
def run_id() -> str:
    return f"20010101-000000-{secrets.token_hex(2)}"


@pytest.fixture(scope="session")
def toxiproxy() -> EngineChoice:
    try:
        return find_binary()
    except RigError as exc:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(exc))


@pytest.fixture
def scene(tmp_path: Path, run_id: str, toxiproxy: EngineChoice) -> Iterator[Scene]:
    """A run in a directory of its own; its port locks are gone at the end."""
    if shutil.which("nginx") is None:
        pytest.skip("no nginx on PATH")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with own_lease(tmp_path / "locks") as lease:
        yield Scene(run_dir, run_id, lease, toxiproxy)
    assert not (tmp_path / "locks").exists()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[DetectionBook]:
    made = DetectionBook(tmp_path, {"s3cr3t-9f8e7d"})
    yield made
    made.close()
