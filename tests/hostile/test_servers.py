"""Servers that are not what they should be: what they say is bounded, in one line, and acts on nobody."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.errors import RigError
from harness.text import is_sanitized
from harness.toxiproxy.client import ToxiproxyClient
from harness.toxiproxy.find import find_engine
from tests.hostile.texts import ALL, HUGE

TOKEN = "tok-9f8e7d6c5b4a"
Serve = Callable[[int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers everything with one status and body; gives its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = body.replace(b"TOKEN", (self.headers.get("Authorization") or "").encode())
                self.send_response(status, "OK\x1b[2J")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *args: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


BODIES = {
    "texts": ALL.encode("utf-8", "surrogatepass"),
    "an error in JSON": json.dumps({"error": ALL, "status": 500}).encode(),
    "ten megabytes": b"\x1b" * HUGE,
    "not UTF-8": bytes(range(256)) * 40,
    "nothing": b"",
}


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_admin_port_that_is_none(status: int, body: bytes, serve: Serve) -> None:
    client = ToxiproxyClient(serve(status, body))
    begin_s = time.process_time()
    for call in (client.version, client.proxies, lambda: client.delete_proxy("x")):
        with pytest.raises(RigError) as caught:
            call()
        message = caught.value.message
        assert is_sanitized(message)
        assert len(message.splitlines()) == 1
        assert len(message) < 1_200
    assert time.process_time() - begin_s < 2.0, "guessing an encoding would take longer"


@pytest.mark.parametrize("version", ["2.12.0\x1b[31m\nPASS x", "9" * HUGE, ["[bold]x[/]"], {"a": ALL}])
def test_a_version_that_wants_to_be_more(version: object, serve: Serve) -> None:
    choice = find_engine(serve(200, json.dumps({"version": version}).encode()), env={})
    assert is_sanitized(choice.version)
    assert "\n" not in choice.version
    assert len(choice.version) < 100


def test_a_version_nested_without_end(serve: Serve) -> None:
    with pytest.raises(RigError, match="this is not a Toxiproxy"):
        find_engine(serve(200, b'{"version": ' + b"[" * 100_000), env={})


def test_a_server_that_says_our_token_back(serve: Serve) -> None:
    client = ToxiproxyClient(serve(401, b"who is TOKEN?"), env={"TOXIPROXY_AUTH_TOKEN": TOKEN})
    with pytest.raises(RigError) as caught:
        client.proxies()
    assert "who is Bearer ***?" in caught.value.message
