"""A Toxiproxy in another network namespace: who reaches whom, and what witnesses a fault there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.run.reach.toxiproxy import toxiproxy_reach
from harness.stack.processes.ports import PortLease
from tests.borrowed.test_runs import SERVICE
from tests.borrowed.their_server import TheirServer
from tests.run.real_runs import Ran, Running
from tests.scenario.world import load

pytestmark = [pytest.mark.stack, pytest.mark.beside]
NAMESPACE = f"tailgate-{os.getpid()}"
SUBNET = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"  # of this process, as others run beside it
HERE, THERE = f"{SUBNET}.1", f"{SUBNET}.2"


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def other_network() -> Iterator[tuple[str, ...]]:
    """The words before a command that runs there. Both networks reach each other by one link."""
    if not shutil.which("ip") or os.geteuid():
        pytest.skip("needs root and iproute2 to make a network namespace")
    link, peer = f"tg{os.getpid() % 100_000}a", f"tg{os.getpid() % 100_000}b"
    try:
        _ip("netns", "add", NAMESPACE)
    except OSError as exc:
        pytest.skip(f"no network namespace can be made here: {exc}")
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", peer)
        _ip("link", "set", peer, "netns", NAMESPACE)
        _ip("addr", "add", f"{HERE}/30", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", NAMESPACE, "addr", "add", f"{THERE}/30", "dev", peer)
        _ip("-n", NAMESPACE, "link", "set", peer, "up")
        _ip("-n", NAMESPACE, "link", "set", "lo", "up")
    except OSError as exc:
        _ip("netns", "del", NAMESPACE)
        pytest.skip(f"no link between two networks can be made here: {exc}")
    yield ("ip", "netns", "exec", NAMESPACE)
    _ip("netns", "del", NAMESPACE)  # the link goes with it


@contextmanager
def their_server(folder: Path, binary: Path, there: tuple[str, ...], *, counts: bool = False) -> Iterator[TheirServer]:
    server = TheirServer(folder, binary, counts=counts, prefix=there, host=HERE)
    with server:
        server.reached_at(THERE)
        server.begin()
        yield server


def own_fakes(url: str, *, origin_host: str = HERE) -> str:
    return f"""\
name: elsewhere
service: {{rung: timeout}}
toxiproxy: {{url: "{url}", listen: 0.0.0.0, origin_host: {origin_host}}}
upstreams:
  azure: {{p50: 10ms, p99: 25ms, rows: 10}}
  gcp: {{p50: 10ms, p99: 25ms, rows: 10}}
gateway: {{kind: client, timeout: 2s}}
load: {{request: GET /v1/offers, rate: 20/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 1s}}
faults: [{{name: azure-slow, upstream: azure, latency: 60s, for: 7s}}]
gates: [p90 < gateway.timeout during azure-slow]
verdict: {{clump: 50ms}}
"""


def run(folder: Path, text: str) -> Ran:
    return Running(folder, text, "--allow-target", THERE, env={"TOXIPROXY_URL": None}).end()


def test_doctor_says_what_reaches_what(tmp_path: Path, toxiproxy_binary: Path, other_network: tuple[str, ...]) -> None:
    with their_server(tmp_path, toxiproxy_binary, other_network) as theirs:
        found = list(toxiproxy_reach(load(tmp_path, own_fakes(theirs.url)).scenario, {}))
        assert [(each.what, each.state) for each in found] == [("toxiproxy", "ok"), ("a proxy", "ok")], [
            each.detail for each in found
        ]
        wrong = own_fakes(theirs.url, origin_host="127.0.0.2")
        found = list(toxiproxy_reach(load(tmp_path, wrong).scenario, {}))
        assert [(each.what, each.state) for each in found] == [("toxiproxy", "ok"), ("a proxy", "fail")], found
        assert "could not reach what is behind" in found[1].detail
        assert theirs.proxies() == theirs.before


def test_fakes_behind_a_toxiproxy_elsewhere(
    tmp_path: Path, toxiproxy_binary: Path, other_network: tuple[str, ...]
) -> None:
    with their_server(tmp_path, toxiproxy_binary, other_network) as theirs:
        ran = run(tmp_path, own_fakes(theirs.url))
        # how the service stands it is not the question, nor whether a busy machine made the load late
        failed = {check["check"] for check in ran.results["validity"] if not check["ok"]}
        assert failed <= {"lag"}, ran.stdout + ran.stderr
        (fault,) = ran.results["faults"]
        assert fault["landed"]
        assert fault["proof"]["calls_during"] > 0
        assert theirs.proxies() == theirs.before


@pytest.mark.nightly
@pytest.mark.parametrize(
    "case",
    [(True, 0.3, "traffic_bytes"), (False, 1.3, "in_requests"), (False, 0.3, "one_witness")],
    ids=["metrics", "requests", "none"],
)
def test_a_service_elsewhere_too(
    tmp_path: Path,
    toxiproxy_binary: Path,
    other_network: tuple[str, ...],
    case: tuple[bool, float, str],
) -> None:
    """Its connections are in no table that we read, which must not be taken for a service that never called."""
    counts, patience_s, witness = case
    with their_server(tmp_path, toxiproxy_binary, other_network, counts=counts) as theirs, PortLease() as lease:
        port = lease.take()
        env = {**os.environ, "LEGACY_URL": f"http://{THERE}:{theirs.listen}", "LEGACY_PATIENCE_S": str(patience_s)}
        argv = [*other_network, sys.executable, str(SERVICE), str(port), "0.0.0.0"]
        service = subprocess.Popen(argv, env=env)
        try:
            ran = run(tmp_path, _service_elsewhere(theirs.url, port))
        finally:
            service.kill()
            service.wait()
        proof: dict[str, Any] = ran.results["faults"][0]["proof"]
        assert proof["connections_during"] == 0
        shown = [each for each in ("traffic_bytes", "in_requests", "one_witness") if proof[each]]
        assert shown == [witness], ran.stdout
        wanted = ("INCONCLUSIVE", 3) if witness == "one_witness" else ("PASS", 0)
        assert (ran.verdict, ran.code) == wanted, ran.stdout
        assert theirs.proxies() == theirs.before


def _service_elsewhere(url: str, port: int) -> str:
    return f"""\
name: elsewhere
service: {{url: "http://{THERE}:{port}"}}
toxiproxy: {{url: "{url}"}}
upstreams: {{legacy: {{proxy: legacy_api}}}}
gateway: {{kind: client, timeout: 2s}}
load: {{request: GET /, rate: 60/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 1s, complete: none}}
faults: [{{name: broken, upstream: legacy, latency: 60s, for: 9s}}]
gates: [p99 < gateway.timeout during broken]
verdict: {{clump: 12ms}}
"""
