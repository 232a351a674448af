"""The worker's process reads the metadata of packages once, and gevent still finds its plugins in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack

PROGRAM = """
import importlib.metadata
before = importlib.metadata.entry_points
import scenarios.drive.locust_worker
print(importlib.metadata.entry_points is before)
"""


def test_a_plugin_of_gevent_is_called_as_it_would_be_without_us(tmp_path: Path) -> None:
    info = tmp_path / "watcher-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watcher\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gevent.plugins.monkey.did_patch_all]\nwatcher = watcher:tell\n")
    (tmp_path / "watcher.py").write_text("def tell(event):\n    print(type(event).__name__)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["GeventDidPatchAllEvent", "True"]
