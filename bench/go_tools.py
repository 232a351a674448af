"""Other load generators, to be measured beside ours: found on PATH or in the cache folder, or built there by Go."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

VERSIONS: Final = {
    "vegeta": "github.com/tsenart/vegeta/v12@v12.12.0",
    "k6": "go.k6.io/k6@v1.8.1",
}
BUILD_WITHIN_S: Final = 900


def find_tool(name: str, *, build: bool) -> Path | None:
    """The program; None if it is absent and is not to be built, or cannot be."""
    if on_path := shutil.which(name):
        return Path(on_path)
    folder = _folder()
    built = folder / name
    if not built.exists() and build and shutil.which("go"):
        print(f"building {name} by `go install {VERSIONS[name]}` into {folder}", flush=True)
        subprocess.run(
            ["go", "install", VERSIONS[name]],
            env={**os.environ, "GOBIN": str(folder)},
            timeout=BUILD_WITHIN_S,
            check=False,
        )
    return built if built.exists() else None


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "tailgate" / "generators"
