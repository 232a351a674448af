"""RUN_DIR/control: the files by which supervisor and Locust workers agree on begin and end.

`ready-<i>` from each worker, then `start.json` with the monotonic times, at need `stop.json`. Each
is put in place in one step, so that nobody reads half of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

FOLDER = "control"


def prepare(run_dir: Path) -> None:
    """May raise OSError."""
    (run_dir / FOLDER).mkdir(exist_ok=True)
    (run_dir / "logs").mkdir(exist_ok=True)


def is_ready(run_dir: Path, index: int) -> bool:
    return (run_dir / FOLDER / f"ready-{index}").exists()


def write_start(run_dir: Path, *, start_ns: int, t0_ns: int) -> None:
    _put(run_dir / FOLDER / "start.json", {"start_ns": start_ns, "t0_ns": t0_ns})


def write_stop(run_dir: Path, *, at_ns: int) -> None:
    _put(run_dir / FOLDER / "stop.json", {"at_ns": at_ns})


def clear(run_dir: Path) -> None:
    """Gone or not, a run is over: what cannot be removed is left."""
    shutil.rmtree(run_dir / FOLDER, ignore_errors=True)


def _put(path: Path, document: dict[str, int]) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(document), encoding="utf-8")
    draft.replace(path)
