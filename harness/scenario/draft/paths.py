"""How a drafted scenario names a file: relative to its own folder."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UsageError


def relative_path(path: Path, folder: Path) -> str:
    """The path from the folder of the scenario. Raises UsageError if a scenario cannot hold its name."""
    found = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    if found != found.encode("utf-8", "replace").decode() or "\0" in found:
        raise UsageError(f"the name of {path} is not UTF-8", "rename the file")
    return found
