"""A service with a real Redis: canaries that speak Redis and the connections that are seen prove its faults."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from harness.rundir.canaries import Canary, read_canaries
from tests.protocols import servers
from tests.run.real_runs import Ran, run

pytestmark = pytest.mark.stack

SERVICE = str(Path(__file__).with_name("pooled_cache_service.py"))
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {{cache.address}}"


def scenario(port: int, fault: str) -> str:
    return f"""\
name: real cache
service: {{command: {json.dumps(COMMAND)}}}
upstreams: {{cache: 'redis://127.0.0.1:{port}/0'}}
gateway: {{timeout: 2s}}
load: {{request: GET /quote, rate: 20/s, warmup: 1s, baseline: 2s, recovery: 500ms, guard: 500ms}}
faults: [{{name: bad, upstream: cache, {fault}, for: 8s}}]
gates: [errors < 5% during bad]
verdict: {{clump: 15ms}}
"""


def canaries(ran: Ran) -> list[Canary]:
    assert ran.run_dir is not None
    return [line for line in read_canaries(ran.run_dir / "canary.ndjson") if isinstance(line, Canary)]


@pytest.mark.parametrize(
    "fault", ["latency: 60s", *(pytest.param(each, marks=pytest.mark.nightly) for each in ("down: true", "reset: 0s"))]
)  # by day tests/protocols breaks each protocol in each way, without a whole run
def test_a_service_that_gives_up_on_its_cache_in_time_passes(tmp_path: Path, fault: str) -> None:
    with servers.redis() as port:
        ran = run(tmp_path, scenario(port, fault))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    (result,) = ran.results["faults"]
    assert result["landed"] and result["observed"]
    # one in two seconds, one more at the fault's start, one at its end, and those before it
    asked = canaries(ran)
    assert len(asked) <= 6 + (asked[-1].done_ns - asked[0].sent_ns) / 2e9


def test_a_cache_that_is_not_there_or_speaks_something_else_is_told_before_any_load(tmp_path: Path) -> None:
    with servers.mariadb() as (port, _):
        ran = run(tmp_path, scenario(port, "latency: 60s"))
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert "not Redis: the answer is a greeting of MySQL" in " ".join(ran.stdout.split())


@pytest.mark.nightly  # by day tests/toxiproxy/test_received_bytes.py counts them without a whole run
def test_what_the_service_sends_over_a_pool_that_stands_is_seen(tmp_path: Path) -> None:
    with servers.redis() as port:
        ran = run(tmp_path, scenario(port, "bandwidth: 1kB/s"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    (result,) = ran.results["faults"]
    assert result["landed"] and not result["proof"]["connections_during"]
    assert result["proof"]["received_bytes_during"] > 20 * len("*1 $4 PING")


def test_a_service_that_goes_around_its_proxy_never_passes(tmp_path: Path) -> None:
    with servers.redis() as port:
        around = (
            scenario(port, "latency: 60s")
            .replace("{cache.address}", f"127.0.0.1:{port}")
            .replace("service: {", "service: {env: {CACHE: '{cache.address}'}, ")
        )
        assert f'127.0.0.1:{port}"' in around and "{cache.address}" in around
        ran = run(tmp_path, around)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    (result,) = ran.results["faults"]
    assert result["observed"] and not result["landed"], "the canary was held, and no call of the service"
