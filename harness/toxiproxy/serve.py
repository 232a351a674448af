"""The Toxiproxy server in the foreground: becomes that process, so its signals and output are its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, NoReturn

from harness.errors import RigError, UsageError
from harness.toxiproxy.find import INSTALL, find_binary

HOST: Final = "127.0.0.1"
PORT: Final = 8474


def server_argv(binary: Path, host: str, port: int, config: Path | None = None) -> list[str]:
    """The server's flags have one dash."""
    flags = ["-host", host, "-port", str(port)]
    return [str(binary), *flags, *(["-config", str(config)] if config else [])]


def serve(host: str = HOST, port: int = PORT, config: Path | None = None) -> NoReturn:
    """Does not return. Raises UsageError for a config that the server would misread, RigError without a server."""
    if config:
        check_config(config)
    binary = find_binary().path
    assert binary is not None
    argv = server_argv(binary, host, port, config)
    try:
        os.execv(binary, argv)  # noqa: S606 - there is no shell on purpose
    except OSError as exc:
        raise RigError(f"{binary} cannot be started: {exc}", INSTALL) from exc


def check_config(path: Path) -> None:
    """The server logs a broken config and then serves without it; here it is an error. Raises UsageError."""
    shape = 'write an array such as [{"name": "db", "listen": "127.0.0.1:25432", "upstream": "127.0.0.1:5432"}]'
    try:
        proxies = json.loads(path.read_bytes())
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise UsageError(f"{path} is not JSON: {exc}", shape) from exc
    if not isinstance(proxies, list):
        raise UsageError(f"{path} is not an array of proxies", shape)
    for number, proxy in enumerate(proxies):
        missing = [key for key in ("name", "upstream") if not isinstance(proxy, dict) or not proxy.get(key)]
        if missing:
            raise UsageError(f"{path}: proxy {number} has no {' and no '.join(missing)}", shape)
