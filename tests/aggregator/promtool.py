"""Debian's promtool, where it is: on PATH or where `tests/system_packages.sh` puts it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def find_promtool() -> str:
    """Skips the test where there is none; with CI=true that is a failure."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = shutil.which("promtool") or shutil.which("promtool", path=str(cache / "tailgate"))
    if found:
        return found
    message = "no promtool; tests/system_packages.sh gets it out of Debian's package `prometheus`"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run in the project's folder; its output and exit code."""
    command = [find_promtool(), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
