"""A service whose partners run already: their calls are passed on, recorded, and broken as a fake's would be."""

from __future__ import annotations

import json
import shlex
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests.run.real_runs import run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

SERVICE = str(Path(__file__).with_name("partner_service.py"))
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {{flights.url}} {{cars.url}}"


class Partner(BaseHTTPRequestHandler):
    """Answers with what it was asked, and a link to itself where `links` is set."""

    protocol_version = "HTTP/1.1"
    links = False

    def do_GET(self) -> None:
        document = {"path": self.path, "names": sorted(self.headers)}
        if self.links:
            document["next"] = f"https://{self.headers['Host']}/2"
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only the tests' own output matters."""


@contextmanager
def partner(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def scenario(flights: str, cars: str, fault: str) -> str:
    return f"""\
name: real partners
service: {{command: {json.dumps(COMMAND)}}}
upstreams: {{flights: {flights}, cars: {cars}}}
gateway: {{timeout: 2s}}
load: {{request: GET /quote, rate: 20/s, warmup: 2s, baseline: 2s, recovery: 500ms, guard: 500ms}}
faults: [{{name: bad, upstream: flights, {fault}, for: 8s}}]
gates: [errors < 5% during bad]
verdict: {{clump: 15ms}}
"""


@pytest.mark.parametrize("fault", ["status: 503", pytest.param("hang: true", marks=pytest.mark.nightly)])
def test_partners_over_https_and_http(tmp_path: Path, fault: str) -> None:
    class Linking(Partner):
        links = True

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with partner(Linking, context) as secure, partner(Partner) as plain:
        flights = f"{{url: 'https://localhost:{secure}', ca: ca.pem}}"
        ran = run(tmp_path, scenario(flights, f"http://127.0.0.1:{plain}", fault))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    (fault_result,) = ran.results["faults"]
    assert fault_result["landed"] and fault_result["proof"]["calls_during"] > 20
    assert ran.results["correlation"]["joined_share"] > 0.9
    (note,) = ran.results["origins"]
    assert (note["upstream"], note["kind"], note["text"]) == ("flights", "link", f"https://localhost:{secure}")
    assert note["calls"] > 20
    assert "without tailgate" in " ".join(ran.stdout.split())


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        pytest.param("http://127.0.0.1:1", "127.0.0.1:1 refused the connection", marks=pytest.mark.nightly),
        ("https://localhost:PORT", "was issued by an authority that is not trusted here"),
        pytest.param(
            "http://no-such-host.invalid", "the name no-such-host.invalid does not resolve", marks=pytest.mark.nightly
        ),
    ],
)
def test_a_partner_that_cannot_be_used_is_told_before_any_load(tmp_path: Path, origin: str, said: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with partner(Partner, context) as secure:
        text = scenario(origin.replace("PORT", str(secure)), "http://127.0.0.1:1", "status: 503")
        allowed = ("--allow-target", "no-such-host.invalid")
        ran = run(tmp_path, text, *allowed)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert said in " ".join(ran.stdout.split())
    assert "upstream `flights`" in ran.stdout
    assert "rig    ✗ upstream flights" in ran.stdout
