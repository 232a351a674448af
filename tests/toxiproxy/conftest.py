"""A real Toxiproxy server for the tests that are marked `stack`; its absence skips here and fails in CI."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from harness.toxiproxy.find import find_binary
from harness.toxiproxy.serve import server_argv
from tests.toxiproxy.world import free_port


@pytest.fixture(scope="session")
def toxiproxy_binary() -> Path:
    try:
        binary = find_binary().path
    except RigError as exc:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(exc))
    assert binary is not None
    return binary


@pytest.fixture(scope="module")
def toxiproxy(toxiproxy_binary: Path) -> Iterator[ToxiproxyClient]:
    """A client of a server of this module's own."""
    port = free_port()
    process = subprocess.Popen(server_argv(toxiproxy_binary, "127.0.0.1", port), stdout=subprocess.DEVNULL)
    try:
        client = ToxiproxyClient(f"http://127.0.0.1:{port}")
        _await_answer(client)
        yield client
    finally:
        process.kill()
        process.wait(20)


def _await_answer(client: ToxiproxyClient, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while True:
        try:
            client.version()
            return
        except ToxiproxyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
