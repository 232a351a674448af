"""Folders to work in for a while, gone afterwards: locked meanwhile, so that one left by a killed process can be told.

The lock is `flock` on the folder itself, which ends with its holder, whatever ended that one. It
refuses to remove a folder that somebody works in.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TURNS: Final = 5


@contextmanager
def temp_dir(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent` (default: where temporary files live). Raises OSError."""
    for _ in range(_TURNS):  # a turn is lost where somebody's sweep came between making and locking
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = _lock(folder)
        if descriptor is not None and folder.is_dir():
            break
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def remove_abandoned(prefix: str, parent: Path | None = None) -> list[Path]:
    """Remove this user's folders of that prefix in which nobody works any more; returns them."""
    removed = []
    for folder in sorted((parent or Path(tempfile.gettempdir())).glob(f"{prefix}*")):
        if not folder.is_dir() or folder.is_symlink() or folder.stat().st_uid != os.getuid():
            continue
        descriptor = _lock(folder)
        if descriptor is None:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
        if not folder.exists():
            removed.append(folder)
    return removed


def _lock(folder: Path) -> int | None:
    """A descriptor that holds it; None where somebody else does, or where the file system knows no locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
