"""libcurl and Locust's FastHttpUser get the same from more than forty servers: each of its own oddity."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.drive.odd_servers import SERVERS, OddServer, Seen

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
CLIENTS = ("libcurl", "fast")


@dataclass(frozen=True)
class Played:
    """What one client got, and what the server saw of it."""

    rows: list[dict[str, Any]]
    seen: list[Seen]


@pytest.fixture(scope="module")
def played() -> dict[str, dict[str, Played]]:
    """By server and client; all servers at once, in one process for the clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    places = [(name, client) for client in CLIENTS for name in SERVERS]
    with ExitStack() as stack:
        servers = [stack.enter_context(OddServer(SERVERS[name], context)) for name, _ in places]
        jobs = [_job(name, client, server.url) for (name, client), server in zip(places, servers, strict=True)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.drive.both_clients"],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            timeout=240,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout)
    found: dict[str, dict[str, Played]] = {}
    for (name, client), server, rows in zip(places, servers, results, strict=True):
        found.setdefault(name, {})[client] = Played(rows, server.seen)
    return found


def _job(name: str, client: str, url: str) -> dict[str, Any]:
    odd = SERVERS[name]
    return {
        "client": client,
        "url": url,
        "method": odd.method,
        "path": odd.path,
        "headers": odd.headers,
        "body": odd.body,
        "contains": odd.contains,
        "times": odd.times,
        "deadline_ms": odd.deadline_s * 1000,
        "pause_s": 0.02 if odd.keeps_connections else 0.4,
    }


def _expected(name: str) -> list[str]:
    odd = SERVERS[name]
    return [odd.outcomes[min(turn, len(odd.outcomes) - 1)] for turn in range(odd.times)]


def test_there_are_more_than_forty() -> None:
    assert len(SERVERS) > 40


@pytest.mark.parametrize("name", SERVERS)
def test_libcurl_ends_as_it_should(name: str, played: dict[str, dict[str, Played]]) -> None:
    rows, odd = played[name]["libcurl"].rows, SERVERS[name]
    assert [row["outcome"] for row in rows] == _expected(name)
    for row in rows:
        if row["first_ms"] is not None:
            assert 0 <= row["first_ms"] <= row["done_ms"]
        if odd.rest_ms:
            assert row["done_ms"] - row["first_ms"] >= odd.rest_ms
        if row["outcome"] == "client_timeout":
            assert row["done_ms"] >= odd.deadline_s * 1000 - 1


@pytest.mark.parametrize("name", SERVERS)
def test_both_clients_get_the_same(name: str, played: dict[str, dict[str, Played]]) -> None:
    ours, fast = played[name]["libcurl"].rows, played[name]["fast"].rows
    differs = SERVERS[name].differs
    assert len(ours) == len(fast)
    for field in ("outcome", "status", "bytes", "answered"):
        if field not in differs:
            assert [row[field] for row in ours] == [row[field] for row in fast], field
    if not differs:
        known = [[row["first_ms"] is not None for row in rows if row["status"]] for rows in (ours, fast)]
        assert known[0] == known[1], "the time of the first byte"


@pytest.mark.parametrize("name", SERVERS)
def test_the_server_sees_the_same(name: str, played: dict[str, dict[str, Played]]) -> None:
    ours, fast = (_sent(played[name][client].seen) for client in CLIENTS)
    if "seen" in SERVERS[name].differs:
        ours, fast = ours[:1], fast[:1]
    assert ours == fast


def _sent(seen: list[Seen]) -> list[tuple[str, dict[str, str], bytes]]:
    """Without what differs between runs and clients."""
    own = ("host", "traceparent", "user-agent")
    return [(asked.line, {k: v for k, v in asked.headers if k not in own}, asked.body) for asked in seen]


@pytest.mark.parametrize("name", [name for name, odd in SERVERS.items() if odd.reads])
def test_every_request_carries_its_number_and_its_host(name: str, played: dict[str, dict[str, Played]]) -> None:
    for asked in played[name]["libcurl"].seen:
        headers = dict(asked.headers)
        assert len(headers) == len(asked.headers), "no header comes twice"
        assert headers["x-tailgate-seq"].isdigit()
        if name == "odd-headers":
            assert (headers["host"], headers["user-agent"], headers["x-empty"]) == ("offers.example", "mine/1", "")
        else:
            assert headers["host"].startswith(f"{SERVERS[name].host.rpartition('@')[2]}:")
            assert headers["user-agent"].startswith("tailgate/")
