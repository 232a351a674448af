"""A service with a Redis that speaks TLS where the service does not, or the other way round, or one that is none."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import trustme

from tests.protocols import servers
from tests.run.real_runs import run

pytestmark = pytest.mark.stack

SERVICE = str(Path(__file__).with_name("cache_service.py"))
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {{cache.url}}"


def scenario(cache: str, fault: str = "latency: 2s") -> str:
    return f"""\
name: cache
service: {{command: {json.dumps(COMMAND)}}}
upstreams: {{cache: {cache}}}
gateway: {{timeout: 3s}}
load: {{request: GET /, rate: 15/s, warmup: 1s, baseline: 4s, recovery: 1s, guard: 500ms}}
faults: [{{name: cache-bad, upstream: cache, {fault}, for: 10s}}]
gates: [errors < 5% during cache-bad]
verdict: {{clump: 10ms}}
"""


@pytest.mark.parametrize("tls", ["originate", pytest.param("terminate", marks=pytest.mark.nightly)])
def test_tls_is_added_or_taken_away(tmp_path: Path, tls: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with servers.redis(authority=authority) as port:
        cache = f"{{url: 'rediss://localhost:{port}', tls: {tls}, ca: ca.pem}}"
        ran = run(tmp_path, scenario(cache, "down: true"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    (fault,) = ran.results["faults"]
    assert fault["landed"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1", "upstream `cache`: nothing can be reached at 127.0.0.1:1: Connection refused"),
        ("postgres://127.0.0.1:{port}/app", "did not answer in PostgreSQL"),
        ("mysql://127.0.0.1:{port}/app", "did not answer in MySQL"),
    ],
)
@pytest.mark.nightly  # by day test_spoken_runs.py has one of each, and tests/protocols probes every server
def test_a_server_that_is_not_there_or_is_another(tmp_path: Path, url: str, said: str) -> None:
    with servers.redis() as port:
        ran = run(tmp_path, scenario(url.format(port=port)))
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert said in " ".join(ran.stdout.split())
