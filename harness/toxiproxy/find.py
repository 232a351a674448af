"""Which Toxiproxy a run uses: looks in a fixed order, starts nothing and installs nothing.

`TOXIPROXY_URL` or the scenario's `toxiproxy.url` (a server that runs already), then
`toxiproxy-server` on PATH, then the one that `tailgate toxiproxy install` built. The choice goes
into the header of every run and into its evidence.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from harness.errors import RigError
from harness.rundir.manifest import ToxiproxyInfo

VERSION: Final = "2.12.0"
"""The server that `install` builds and that the contract suite runs against."""

BINARY: Final = "toxiproxy-server"
INSTALL: Final = "run `tailgate toxiproxy install`, or set TOXIPROXY_URL to a server that runs already"

_ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """`url` for a server that runs already, `path` for a binary the stack starts; `none` has neither."""

    kind: Literal["real", "none"]
    source: str
    """TOXIPROXY_URL, scenario, PATH, installed; empty for `none`."""
    version: str = ""
    path: Path | None = None
    url: str | None = None

    def engine(self, url: str | None = None) -> ToxiproxyInfo:
        """For the manifest; `url` is where a started binary listens."""
        return ToxiproxyInfo(
            kind=self.kind, version=self.version or None, source=self.source or None, url=self.url or url
        )


NONE: Final = EngineChoice("none", "")
"""A scenario without upstreams: nothing stands in between."""


def find_engine(scenario_url: str | None = None, env: Mapping[str, str] = os.environ) -> EngineChoice:
    """The Toxiproxy to use, asked for its version. Raises RigError (ToxiproxyError) with the way to get one."""
    if url := env.get("TOXIPROXY_URL"):
        return _running(url, "TOXIPROXY_URL")
    if scenario_url:
        return _running(scenario_url, "scenario")
    return find_binary(env)


def find_binary(env: Mapping[str, str] = os.environ) -> EngineChoice:
    """A server binary on PATH or in the cache. Raises RigError with the way to get one."""
    found = shutil.which(BINARY, path=env.get("PATH", os.defpath))
    if found:
        return EngineChoice("real", "PATH", binary_version(Path(found)), path=Path(found))
    installed = installed_path(env)
    if installed.is_file():
        return EngineChoice("real", "installed", binary_version(installed), path=installed)
    raise RigError(f"no Toxiproxy found: no {BINARY} on PATH, none installed at {installed}", INSTALL)


def installed_path(env: Mapping[str, str] = os.environ) -> Path:
    """Where `install` puts the server; the file need not exist."""
    cache = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or str(Path.home())) / ".cache")
    return Path(cache) / "tailgate" / f"toxiproxy-{VERSION}" / BINARY


def binary_version(path: Path) -> str:
    """What the binary says of itself. Raises RigError if it does not run or is something else."""
    try:
        answer = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=_ANSWER_S, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RigError(f"{path} does not run: {exc}", INSTALL) from exc
    match = re.search(r"version\s+v?([\w.+-]+)", answer.stdout + answer.stderr)
    if answer.returncode != 0 or not match:
        raise RigError(
            f"{path} -version does not answer as a Toxiproxy server would (exit {answer.returncode})", INSTALL
        )
    return match[1]


def _running(url: str, source: str) -> EngineChoice:
    from harness.toxiproxy.client import ToxiproxyClient

    return EngineChoice("real", source, ToxiproxyClient(url).version(), url=url.rstrip("/"))
