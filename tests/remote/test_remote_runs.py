"""Whole runs whose workers are on other machines: network namespaces of the test's own, with clocks of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.evidence import Evidence
from harness.evidence.resources import ResourceSeries
from harness.rundir.locustfile.request_names import read_names
from harness.rundir.rows import SAMPLES, read_rows
from harness.stack.processes.ports import PortLease
from tests.remote.remote_world import (
    SLOW_EVERY,
    BadNetwork,
    TrueServer,
    a_site,
    machines,
    why_no_machines,
)
from tests.run.real_runs import Ran, Running, assert_nothing_left

SCENARIO = """\
name: far
service: {{url: "http://{host}:{port}", ready: GET / within 10s}}
gateway: {{kind: none}}
load: {{rate: 60/s, request: GET /offers, warmup: 1s, duration: {duration}, timeout: 3s}}
verdict: {{clump: 20ms}}
gates: [p90 < 300ms, errors < 1%]
"""
"""Of the truth: one request in forty takes 400 ms, all others 20 ms. Both gates hold, which no send lag of a busy
machine changes."""
OFFSET_S = 5_000


@dataclass(frozen=True)
class FarRun:
    ran: Ran
    evidence: Evidence
    seen: list[int]
    codes: list[int]
    left: list[str]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarRun]:
    """Three machines: one near, one whose clock is 5,000 s ahead, one behind a network of 30 ms each way, which is cut
    for three seconds of the load."""
    if why := why_no_machines():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("far")
    with machines(3, "tgfar") as inside, a_site(folder) as site, PortLease() as lease, TrueServer("0.0.0.0") as server:
        port = lease.take()
        with BadNetwork(("127.0.0.1", port), host="10.77.3.1", delay_s=0.03) as network:
            far_clock = ("unshare", "-T", "--fork", "--kill-child", "--monotonic", str(OFFSET_S))
            allow = ("--allow-target", "10.77.1.1")
            for namespace in ("2", "3"):  # the server has one address for all
                _route(inside[int(namespace) - 1], namespace)
            site.worker(f"10.77.1.1:{port}", *allow, prefix=inside[0])
            site.worker(f"10.77.2.1:{port}", *allow, prefix=(*inside[1], *far_clock))
            site.worker(f"10.77.3.1:{network.port}", *allow, prefix=inside[2])
            scenario = SCENARIO.format(host="10.77.1.1", port=server.port, duration="16s")
            words = ("--expect-workers", "3", "--listen", f"0.0.0.0:{port}", "--token-file", str(site.token), *allow)
            running = Running(folder, scenario, *words)
            run_dir = running.wait_for(_has_rows, 60)
            time.sleep(2)
            network.cut()
            time.sleep(3)
            network.heal()
            ran = running.end()
            codes = [worker.end() for worker in site.workers]
            assert_nothing_left(run_dir)
            yield FarRun(ran, Evidence.load(run_dir), server.seen, codes, site.left())


def _route(inside: tuple[str, ...], number: str) -> None:
    import subprocess

    words = [*inside, "ip", "route", "add", "default", "via", f"10.77.{number}.1"]
    subprocess.run(words, check=True, capture_output=True, timeout=10)


def _has_rows(run_dir: Path) -> bool:
    files = [run_dir / f"samples-{index}.bin" for index in range(3)]
    return all(file.exists() and file.stat().st_size for file in files)


@pytest.mark.alone
def test_three_machines_are_judged_as_one(far: FarRun) -> None:
    assert far.ran.verdict == "PASS", far.ran.stdout + far.ran.stderr
    rows = far.evidence.window("whole").samples
    slow = rows["done_ns"] - rows["sent_ns"] > 300_000_000
    assert 1 / SLOW_EVERY - 0.003 <= slow.mean() < 0.1, "and those that a busy machine held up"
    assert all(check["ok"] for check in far.ran.results["validity"])


@pytest.mark.alone
def test_every_arrival_was_sent_once_by_the_worker_whose_it_is(far: FarRun) -> None:
    assert sorted(far.seen) == list(range(len(far.seen)))
    assert far.evidence.planned_offsets_ns is not None
    assert len(far.seen) == len(far.evidence.planned_offsets_ns)
    for index in range(3):
        rows = read_rows(far.evidence.run_dir / f"samples-{index}.bin", SAMPLES)
        assert len(rows) and (rows["seq"] % 3 == index).all()


@pytest.mark.alone
def test_times_are_in_our_clock_to_within_what_is_said(far: FarRun) -> None:
    """The clocks of all machines are one and the same here, but for the 5,000 s of one of them."""
    evidence = far.evidence
    applied = sorted(clock.applied_ns for clock in evidence.clocks.values())
    assert applied[-1] == pytest.approx(OFFSET_S * 1e9, abs=evidence.clock_uncertainty_ns)
    assert max(abs(offset) for offset in applied[:2]) <= 150e6
    assert 0 < evidence.clock_uncertainty_ns < 300e6, "60 ms there and back, and waits for a core"
    for clock in evidence.clocks.values():
        true_ns = 0 if clock.applied_ns < 1e9 else OFFSET_S * 1e9
        assert (abs(clock.offset_ns + clock.applied_ns - true_ns) <= clock.uncertainty_ns + 1).all()


@pytest.mark.alone
def test_what_each_worker_used_is_known(far: FarRun) -> None:
    """Once a second of the 16; what was lost while the network was cut, the next reading has."""
    for index in range(3):
        used_s = ResourceSeries.of(far.evidence.resources, f"locust-{index}").cpu_s
        assert len(used_s) >= 8
        assert (np.diff(used_s) >= 0).all() and used_s[-1] > used_s[0]
    (cpu,) = (check for check in far.ran.results["validity"] if check["check"] == "generator_cpu")
    assert cpu["detail"].startswith("the busiest load worker used ")


@pytest.mark.alone
def test_the_workers_leave_nothing(far: FarRun) -> None:
    assert far.codes == [0, 0, 0]
    assert far.left == []


@pytest.mark.alone
def test_judging_again_gives_the_same_bytes(far: FarRun) -> None:
    from harness import verdict

    before = (far.evidence.run_dir / "results.json").read_bytes()
    verdict.write(far.evidence.run_dir)
    assert (far.evidence.run_dir / "results.json").read_bytes() == before
    assert json.loads(before)["kind"] == "run"


@pytest.mark.alone
@pytest.mark.nightly
def test_three_workers_measure_what_one_measures(tmp_path: Path) -> None:
    """On a server of known truth: the intervals of every gate meet. By day the three alone are compared with it."""
    results = []
    with a_site(tmp_path) as site, PortLease() as lease, TrueServer() as server:
        scenario = SCENARIO.format(host="127.0.0.1", port=server.port, duration="40s")
        for count in (1, 3):
            words: tuple[str, ...] = ()
            if count > 1:
                address = f"127.0.0.1:{lease.take()}"
                for _ in range(count):
                    site.worker(address)
                words = ("--expect-workers", str(count), "--listen", address, "--token-file", str(site.token))
            folder = tmp_path / str(count)
            folder.mkdir()
            ran = Running(folder, scenario, *words).end()
            assert ran.verdict == "PASS", ran.stdout + ran.stderr
            results.append(ran.results)
        assert [worker.end() for worker in site.workers] == [0, 0, 0]
    one, three = results
    for gate, other in zip(one["gates"], three["gates"], strict=True):
        assert gate["low"] <= other["high"] and other["low"] <= gate["high"], (gate, other)
        assert gate["n"] == pytest.approx(other["n"], abs=2)


FAULTED = """\
name: far-incident
service: {rung: timeout}
upstreams:
  azure: {p50: 10ms, p99: 25ms, rows: 10}
  gcp: {p50: 10ms, p99: 25ms, rows: 10}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 20/s, warmup: 500ms, baseline: 1s, recovery: 1s, guard: 1s}
faults: [{name: azure-slow, upstream: azure, latency: 60s, for: 7s}]
gates: [p90 < gateway.timeout during azure-slow, complete > 90% during azure-slow]
verdict: {clump: 50ms}
"""
LOCUSTFILE = """\
from locust import HttpUser, constant, task

class Shopper(HttpUser):
    wait_time = constant(0.1)
    weight = 2

    @task
    def offers(self):
        self.client.get("/v1/offers")

class Buyer(HttpUser):
    wait_time = constant(0.1)

    @task
    def offers(self):
        self.client.get("/v1/offers")
"""


def _two_workers(folder: Path, scenario: str, *words: str) -> tuple[Ran, list[int]]:
    with a_site(folder) as site, PortLease() as lease:
        address = f"127.0.0.1:{lease.take()}"
        for _ in range(2):
            site.worker(address, *words)
        options = ("--expect-workers", "2", "--listen", address, "--token-file", str(site.token))
        ran = Running(folder, scenario, *options).end()
        return ran, [worker.end() for worker in site.workers]


@pytest.mark.alone
@pytest.mark.nightly
@pytest.mark.usefixtures("toxiproxy_binary")
def test_a_fault_is_proven_and_judged_with_workers_elsewhere(tmp_path: Path) -> None:
    ran, codes = _two_workers(tmp_path, FAULTED)
    assert (ran.verdict, codes) == ("PASS", [0, 0]), ran.stdout + ran.stderr
    assert all(fault["landed"] for fault in ran.results["faults"])
    assert ran.results["correlation"]["joined_share"] == 1


@pytest.mark.alone
@pytest.mark.nightly
@pytest.mark.usefixtures("toxiproxy_binary")
@pytest.mark.parametrize("load", ["rate: 20/s", "users: 6"])
def test_a_locustfile_is_run_from_the_workers_own_copy(tmp_path: Path, load: str) -> None:
    """Closed, Locust's master distributes the users: two thirds of six are shoppers."""
    (tmp_path / "users.py").write_text(LOCUSTFILE, encoding="utf-8")
    (tmp_path / "copy.py").write_text(LOCUSTFILE, encoding="utf-8")
    scenario = FAULTED.replace("request: GET /v1/offers, rate: 20/s", f"locustfile: users.py, {load}")
    ran, codes = _two_workers(tmp_path, scenario, "--locustfile", "copy.py")
    assert codes == [0, 0], ran.stdout + ran.stderr
    assert ran.run_dir is not None and ran.verdict in ("PASS", "INCONCLUSIVE"), ran.stdout + ran.stderr
    assert all(check["ok"] for check in ran.results["validity"])
    rows = [read_rows(ran.run_dir / f"samples-{index}.bin", SAMPLES) for index in (0, 1)]
    assert all(len(each) > 20 for each in rows)
    assert all(read_names(ran.run_dir, 2)), "each worker has delivered the names of its requests"
    assert not Evidence.load(ran.run_dir).broken


@pytest.mark.alone
@pytest.mark.nightly
def test_a_mistake_in_a_locustfile_is_named_with_workers_elsewhere(tmp_path: Path) -> None:
    """By day, `test_locustfile_files` stands for it."""
    wrong = "from locust import HttpUser, task\nclass A(HttpUser):\n    @task\n    def t(self): {}['id']\n"
    (tmp_path / "users.py").write_text(wrong, encoding="utf-8")
    with TrueServer() as server:
        scenario = SCENARIO.format(host="127.0.0.1", port=server.port, duration="10s")
        scenario = scenario.replace("rate: 60/s, request: GET /offers", "locustfile: users.py, rate: 60/s")
        ran, codes = _two_workers(tmp_path, scenario, "--locustfile", "users.py")
    assert (ran.code, ran.verdict, codes) == (4, "RIG_FAILURE", [4, 4]), ran.stdout + ran.stderr
    assert "the locustfile raised KeyError: 'id' at users.py:4" in ran.stdout + ran.stderr
