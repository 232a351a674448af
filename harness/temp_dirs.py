"""Temporary folders, locked while in use, so that those left by a killed process can be recognised and removed.

The lock is `flock` on the folder itself, which the kernel releases when its process ends for whatever reason. A locked
folder is never removed.
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
    for _ in range(_TURNS):  # another process may remove the folder before it is locked
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
    """Removes this user's folders with that prefix that no process has locked; returns them."""
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
    """A descriptor that holds the lock; None if another process holds it, or if the file system has no locks."""
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
