"""Programs for nightly tests that neither Python nor Debian has: installed once, into a cache folder of the user's.

Each returns the path of the program. Where it cannot be made, the test is skipped; with CI=true that is a failure.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.protocols.servers import absent

PRISM_VERSION: Final = "5.14.2"
"""The newest that runs on Node.js 18 and 20."""
INSTALLED_WITHIN_S: Final = 600
_BROKER: Final = Path(__file__).with_name("kafka_broker")


def prism() -> Path:
    """Prism, a mock server of OpenAPI descriptions, by npm. No lock file is written into the repository."""
    npm = shutil.which("npm") or absent("no npm, which installs Prism")
    spec = f"@stoplight/prism-cli@{PRISM_VERSION}"
    options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    made = _made(f"prism-{PRISM_VERSION}", [npm, "install", *options, "--prefix", ".", spec])
    return made / "node_modules" / ".bin" / "prism"


def kafka_broker() -> Path:
    """A broker in memory, built from `kafka_broker/` by Go, with the dependencies that go.sum has hashes of."""
    go = shutil.which("go") or absent("no go, which builds the Kafka broker")
    sources = sorted(path for path in _BROKER.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    argv = [go, "build", "-C", str(_BROKER), "-mod=readonly", "-trimpath", "-o"]
    return _made(f"kafka-broker-{digest}", [*argv, "{folder}/kafka_broker"], {"GOTOOLCHAIN": "local"}) / "kafka_broker"


def _made(name: str, argv: list[str], env: Mapping[str, str] | None = None) -> Path:
    """The folder `name` of the cache. If it is missing, the command fills a new folder, which then gets that name, so
    that there is never half of it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tailgate"
    if (cache / name).is_dir():
        return cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=cache) as made:
        folder = Path(made) / name
        folder.mkdir()
        words = [word.format(folder=folder) for word in argv]
        full = {**os.environ, **(env or {})}
        try:
            subprocess.run(words, cwd=folder, env=full, check=True, capture_output=True, timeout=INSTALLED_WITHIN_S)
        except subprocess.CalledProcessError as exc:
            absent(f"{argv[0]} could not make {name}: {exc.stderr.decode(errors='replace')[-500:]}")
        except subprocess.TimeoutExpired:
            absent(f"{argv[0]} did not make {name} within {INSTALLED_WITHIN_S} s")
        folder.rename(cache / name)
    return cache / name
