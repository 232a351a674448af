"""The clients that services use, in whole runs: all is well before a fault, each has its own error in it, and recovers.

The faults are on at once, each on the upstream of one client.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from harness.rundir.journal import read_journal
from tests.protocols import servers
from tests.run.real_runs import Ran, run
from tests.run.test_forwarded_runs import partner

pytestmark = [pytest.mark.stack, pytest.mark.beside]

FOLDER: Final = Path(__file__).parent
MOST: Final = 0.75
"""Of the exchanges before a fault and in it: on a busy machine some time out that no fault touched."""


class Broken(NamedTuple):
    """A client, the fault on its upstream, and the errors that the client may raise then."""

    client: str
    upstream: str
    fault: str
    errors: frozenset[str]


# A connection that stands waits for the answer, a new one already for the server's part of the handshake of TLS. A
# reset is found when the request is written, or when the answer is read.
IN_PYTHON: Final = (
    Broken("httpx", "pay", "latency: 60s", frozenset({"ReadTimeout", "ConnectTimeout"})),
    Broken("requests", "flights", "truncate: 50%", frozenset({"ChunkedEncodingError"})),
    Broken("aiohttp", "cars", "reset: 0s", frozenset({"ClientOSError", "ServerDisconnectedError"})),
    Broken("psycopg", "db", "down: true", frozenset({"OperationalError"})),
    Broken("redis", "cache", "latency: 60s", frozenset({"TimeoutError"})),
    Broken("grpcio", "rates", "hang: true", frozenset({"DEADLINE_EXCEEDED"})),
)
IN_NODE: Final = (
    Broken("pay", "pay", "latency: 60s", frozenset({"TimeoutError"})),
    Broken("flights", "flights", "malformed: true", frozenset({"SyntaxError"})),
    Broken("cars", "cars", "reset: 0s", frozenset({"ECONNRESET", "UND_ERR_SOCKET"})),
)
PAY: Final = "{tls: terminate, p50: 5ms, p99: 10ms, routes: {GET /fees: {json: {cents: 5}}}}"
CARS: Final = '{p50: 5ms, p99: 10ms, routes: {"GET /cars/{id}": {json: {id: "{id}"}}}}'
SEARCH: Final = '{p50: 5ms, p99: 10ms, routes: {GET /v2/search: {json: {to: "{query.to}"}}}}'


class Echo(BaseHTTPRequestHandler):
    """A partner that answers with the body that it was sent, which comes in chunks."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert self.headers["Transfer-Encoding"] == "chunked"
        body = b"".join(self._chunks())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(100), 16):
            yield self.rfile.read(size)
            self.rfile.readline(100)
        self.rfile.readline(100)

    def log_message(self, *_: object) -> None:
        """Only the tests' own output matters."""


def scenario(command: list[str], upstreams: dict[str, str], broken: tuple[Broken, ...], rate: int) -> str:
    """About eighteen seconds: every fault from 4 s to 12 s."""
    lines = [f"  {name}: {what}" for name, what in upstreams.items()]
    faults = [f"  - {{name: {b.upstream}-bad, upstream: {b.upstream}, {b.fault}, at: 4s, for: 8s}}" for b in broken]
    return f"""\
name: clients
service: {{command: {json.dumps(shlex.join(command))}, ready: GET /healthz within 60s}}
upstreams:
{chr(10).join(lines)}
gateway: {{timeout: 3s}}
load: {{request: GET /trip, rate: {rate}/s, warmup: 2s, duration: 16s, guard: 500ms, recovery: 3s}}
faults:
{chr(10).join(faults)}
gates: [errors < 50%]
verdict: {{clump: 15ms}}
"""


class Exchange(NamedTuple):
    sent_ns: int
    done_ns: int
    outcome: str


def exchanges(ran: Ran, client: str) -> list[Exchange]:
    assert ran.run_dir is not None
    lines = [line.split() for line in (ran.run_dir / "logs" / "sut.log").read_text().splitlines()]
    return [Exchange(int(sent), int(done), said) for sent, done, name, said in lines if name == client]


def assert_each_client_met_its_fault(ran: Ran, broken: tuple[Broken, ...]) -> None:
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    assert ran.run_dir is not None
    journal = list(read_journal(ran.run_dir / "faults.ndjson"))
    landed = {fault["name"]: fault["landed"] for fault in ran.results["faults"]}
    assert landed == {f"{b.upstream}-bad": True for b in broken}
    for each in broken:
        at = {entry.event: entry.t_ns for entry in journal if entry.upstream == each.upstream}
        seen = exchanges(ran, each.client)
        before = [x.outcome for x in seen if x.done_ns < at["requested"]]
        during = [x.outcome for x in seen if at["applied"] < x.sent_ns and x.done_ns < at["removing"]]
        after = [x.outcome for x in seen if x.sent_ns > at["verified"]]
        expected = [said for said in during if said in each.errors]
        assert len(before) >= 5 and before.count("ok") > MOST * len(before), (each, before)
        assert len(during) >= 5 and "ok" not in during and len(expected) > MOST * len(during), (each, during)
        assert "ok" in after[-5:], (each, after)


def test_clients_in_python(tmp_path: Path) -> None:
    words = [sys.executable, str(FOLDER / "clients_service.py"), "{port}", "{pay.url}", "{flights.url}", "{cars.url}"]
    words += ["{db.url}", "{cache.url}", "{rates.address}"]
    with servers.postgres() as (db, _), servers.redis() as cache, servers.grpc() as rates, partner(Echo) as flights:
        upstreams = {
            "pay": PAY,
            "flights": f"http://127.0.0.1:{flights}",
            "cars": CARS,
            "db": "postgres://owner:${DB_PASSWORD}@127.0.0.1:" + f"{db}/postgres",
            "cache": f"redis://127.0.0.1:{cache}/0",
            "rates": f"grpc://127.0.0.1:{rates}",
        }
        ran = run(tmp_path, scenario(words, upstreams, IN_PYTHON, rate=5), env={"DB_PASSWORD": "s3cret"})
    assert_each_client_met_its_fault(ran, IN_PYTHON)
    assert ran.results["correlation"]["joined_share"] > 0.9


@pytest.mark.nightly  # by day node asks in TLS (tests/fake_backends/tls), and the clients in Python meet faults
def test_fetch_of_node(tmp_path: Path) -> None:
    words = [servers.program("node"), str(FOLDER / "fetch_service.mjs"), "{port}"]
    words += ["{pay.url}", "{flights.url}", "{cars.url}"]
    upstreams = {"pay": PAY, "flights": SEARCH, "cars": CARS}
    ran = run(tmp_path, scenario(words, upstreams, IN_NODE, rate=3))
    assert_each_client_met_its_fault(ran, IN_NODE)
    assert ran.results["correlation"]["joined_share"] > 0.9
