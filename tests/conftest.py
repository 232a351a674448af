"""Real Toxiproxy for tests of whole runs, straight and with a liar before it; and an end by SIGTERM that tidies up."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from harness.errors import RigError
from harness.stack.processes.ports import PortLease
from harness.toxiproxy.client import ToxiproxyClient
from harness.toxiproxy.find import find_binary

# helper modules as well: whoever reads a failed CI run has only its log
pytest.register_assert_rewrite(*(f"tests.{path.stem}" for path in Path(__file__).parent.iterdir()))


# pure tests run beside others at low priority (tests/run_parts.sh), so no example has a deadline
settings.register_profile("beside others", deadline=None)
settings.load_profile("beside others")


def pytest_configure() -> None:
    """SIGTERM is how a CI system gives up. It ends the tests as Ctrl-C does: fixtures take down what they set up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


REAL = ("stack", "browser", "alone")
"""Marks of the tests that tests/run_parts.sh looks for in the text of files, so as to import no others for them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of a file in one process, since they share what takes long to set up, except those `beside`.

    Raises UsageError for a test with one of the marks in `REAL` whose own file does not contain that mark, since
    tests/run_parts.sh would miss the test.
    """
    marked: set[tuple[Path, str]] = set()
    for item in items:
        if item.get_closest_marker("beside") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        marked.update((item.path, name) for name in REAL if item.get_closest_marker(name))
    for path, name in marked:
        if f"pytest.mark.{name}" not in path.read_text(encoding="utf-8"):
            raise pytest.UsageError(f"{path}: write `pytest.mark.{name}` into this file itself, where it is looked for")


@pytest.fixture(scope="session", autouse=True)
def programs_on_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The programs that scenarios of tests and docs name as their service: a command must be there to be valid.

    They come last on PATH, so that they hide none of the machine's own.
    """
    folder = tmp_path_factory.mktemp("programs")
    for name in ("a", "app", "serve", "uvicorn"):
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([os.environ.get("PATH", os.defpath), str(folder)]))
        yield


@pytest.fixture(scope="session")
def toxiproxy_binary() -> Path:
    try:
        path = find_binary().path
    except RigError as exc:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(exc.message)
    assert path is not None
    return path


@pytest.fixture
def toxiproxy_env(toxiproxy_binary: Path) -> dict[str, str]:
    """For runs that start a Toxiproxy of their own."""
    return {"PATH": f"{toxiproxy_binary.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def real_toxiproxy(toxiproxy_binary: Path) -> Iterator[str]:
    """The URL of a server that runs already."""
    with PortLease() as lease:
        port = lease.take()
        process = subprocess.Popen(
            [toxiproxy_binary, "-host", "127.0.0.1", "-port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _await_version(url)
            yield url
        finally:
            process.kill()
            process.wait()


def _await_version(url: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            ToxiproxyClient(url, timeout_s=1).version()
            return
        except RigError:
            assert time.monotonic() < end, "Toxiproxy did not answer within 30 s"
            time.sleep(0.02)


@pytest.fixture
def lying_toxiproxy(real_toxiproxy: str) -> Iterator[str]:
    """Passes everything on to the real one, except toxics: those it acknowledges, lists, and forgets to apply."""
    port = int(real_toxiproxy.rpartition(":")[2])
    toxics: dict[str, dict[str, Any]] = {}

    class Liar(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        do_POST = do_PATCH = do_DELETE = do_GET

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy, _, toxic = self.path.removeprefix("/proxies/").partition("/toxics")
            if toxic or self.path.endswith("/toxics"):
                self._answer(*self._about_toxics(proxy, toxic.strip("/"), body))
                return
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            upstream.request(self.command, self.path, body, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
            raw = answer.read()
            upstream.close()
            self._answer(answer.status, self._with_toxics(raw))

        def _about_toxics(self, proxy: str, name: str, body: bytes) -> tuple[int, bytes]:
            kept = toxics.setdefault(proxy, {})
            if self.command == "POST":
                asked = {"stream": "downstream", "toxicity": 1.0, **json.loads(body)}
                kept[asked["name"]] = asked
                return 200, json.dumps(asked).encode()
            if self.command == "DELETE":
                kept.pop(name, None)
                return 204, b""
            return 200, json.dumps(kept[name] if name else list(kept.values())).encode()

        def _with_toxics(self, raw: bytes) -> bytes:
            try:
                document = json.loads(raw)
            except ValueError:
                return raw
            if isinstance(document, dict):
                for proxy in (document, *document.values()):
                    if isinstance(proxy, dict) and "toxics" in proxy:
                        proxy["toxics"] = list(toxics.get(proxy["name"], {}).values())
            return json.dumps(document).encode()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
