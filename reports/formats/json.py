"""results.json in another directory: the same bytes that the judge wrote, never a second spelling of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from reports.subject import Subject

FILES: Final = ("results.json",)


def write(subject: Subject, out: Path) -> list[Path]:
    source, target = subject.run_dir / FILES[0], out / FILES[0]
    if not (target.exists() and target.samefile(source)):
        shutil.copyfile(source, target)
    return [target]
