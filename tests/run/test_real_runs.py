"""Whole runs of real processes: the verdicts, and every way a run may end.

What test_kill_matrix.py does to the same process in another way is `nightly` here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.rundir.journal import read_journal
from harness.rundir.plan import Plan
from harness.toxiproxy.client import ToxiproxyClient
from tests.run.real_runs import (
    INCIDENT,
    LIGHT_INCIDENT,
    TAILGATE,
    Running,
    assert_failed,
    assert_nothing_left,
    run,
    was_busy,
)

pytestmark = pytest.mark.stack


FALLEN = "[errors < 10% during azure-slow, p50 < 10s]"
"""What a service without a timeout breaks. No latency limit is shorter, so that up to 100 ms of send lag do not matter:
with one of 2 s, a busy machine makes most seconds late, and the FAIL a rig failure."""


@pytest.mark.alone
def test_a_service_that_stands_the_fault_passes(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    ran = run(tmp_path, INCIDENT, env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    results = ran.results
    assert results["faults"][0]["landed"]
    assert results["faults"][0]["windows"][0]["verified"]
    assert all(check["ok"] for check in results["validity"])
    assert {gate["verdict"] for gate in results["gates"]} == {"pass"}
    assert ran.run_dir is not None
    assert {path.name for path in ran.run_dir.iterdir()} >= {
        "scenario.yaml",
        "plan.json",
        "manifest.json",
        "faults.ndjson",
        "canary.ndjson",
        "samples-0.bin",
        "calls-0.bin",
        "resources.ndjson",
        "gateway.ndjson",
        "sut.env",
        "logs",
        "results.json",
        "report.html",
        "summary.md",
        "junit.xml",
        "gates.csv",
        "phases.csv",
        "yardstick.json",
    }
    yardstick = results["run"]["machine"]["yardstick"]
    assert yardstick["before_ms"] > 0 and yardstick["after_ms"] > 0
    (cores,) = results["cores"]
    assert cores["cores"] >= 1
    assert cores["seconds"] >= 6, "half of the load at least, on a machine that was busy in between"
    assert cores["waited_most_s"] > 0 and cores["others_most_s"] >= cores["others_s_per_s"] >= 0


@pytest.mark.beside
def test_judging_again_writes_the_same_bytes_and_a_damaged_row_file_is_the_rigs_fault(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    """The service waits for the slow backend: real 504s of a real gateway."""
    sets = ("--set", "service.rung=parallel", "--set", f"gates={FALLEN}")
    ran = run(tmp_path, LIGHT_INCIDENT, *sets, "--json", env=toxiproxy_env)
    assert ran.run_dir is not None
    said = json.loads(ran.stdout)
    assert (ran.code, said["verdict"]) == (1, "fail") or was_busy(ran), ran.stdout + ran.stderr
    phase = next(phase for phase in ran.results["phases"] if phase["name"] == "azure-slow")
    assert phase["outcomes"]["gateway_timeout"] > 0.95 * phase["n"]
    gateway_504 = sum(
        '"504"' in line or ": 504" in line for line in (ran.run_dir / "gateway.ndjson").read_text().splitlines()
    )
    assert gateway_504 >= phase["outcomes"]["gateway_timeout"]
    before = (ran.run_dir / "results.json").read_bytes()
    judge = [TAILGATE, "judge", str(ran.run_dir)]
    assert subprocess.run(judge, check=False, capture_output=True).returncode == ran.code
    assert (ran.run_dir / "results.json").read_bytes() == before
    os.truncate(ran.run_dir / "samples-0.bin", 64 * 10 + 5)
    judged = subprocess.run(judge, check=False, capture_output=True, text=True)
    assert judged.returncode == 4
    assert judged.stdout.splitlines()[-1].startswith("RIG_FAILURE ")


@pytest.mark.nightly
def test_fail_fast_stops_and_the_judge_agrees(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day test_early_stop.py decides when, and test_warmup_runs.py stops runs."""
    scenario = LIGHT_INCIDENT.replace(
        "for: 7s", "for: 120s"
    )  # late seconds do not count, so a busy machine stops later
    sets = ("--set", "service.rung=parallel", "--set", f"gates={FALLEN}")
    ran = run(tmp_path, scenario, *sets, "--fail-fast", env=toxiproxy_env)
    assert_failed(ran)
    assert "a gate could no longer pass" in ran.results["run"]["stopped"]
    assert "can no longer pass" in ran.stderr
    whole = next(phase for phase in ran.results["phases"] if phase["name"] == "whole")
    assert whole["n"] < 0.7 * 20 * 123


# ---------------------------------------------------------------- who is to blame


@pytest.mark.nightly
def test_toxiproxy_dying_is_the_rigs_fault(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day a fake is killed in test_kill_matrix.py, and each of the others in tests/stack/test_stack_run.py."""
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    running.wait_for_fault()
    running.child("toxiproxy-server").kill()
    _rig_failure(running, "toxiproxy")


@pytest.mark.nightly
def test_a_load_worker_dying_is_the_rigs_fault(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day one is stopped in test_kill_matrix.py, and killed in tests/stack/test_stack_run.py."""
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    running.wait_for_fault()
    running.child("locustfile.py").kill()
    _rig_failure(running, "locust")


@pytest.mark.nightly
def test_the_service_dying_is_the_services_fault(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day it is stopped in test_kill_matrix.py, and dies in tests/stack/test_stack_run.py."""
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    run_dir = running.wait_for_fault()
    running.child("aggregator").kill()
    ran = running.end()
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout + ran.stderr
    alive = next(gate for gate in ran.results["gates"] if gate["metric"] == "service-alive")
    assert alive["verdict"] == "fail"
    assert_nothing_left(run_dir)


@pytest.mark.nightly
def test_a_killed_supervisor_is_cleaned_up_after(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day test_kill_matrix.py kills one, on a Toxiproxy of others."""
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    running.wait_for_fault()
    running.child("harness.stack.supervisor.supervisor").kill()
    _rig_failure(running, "supervisor")


@pytest.mark.nightly
def test_a_killed_tailgate_leaves_nothing_within_fifteen_seconds(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day the same is seen on a Toxiproxy of others, below."""
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    run_dir = running.wait_for_fault()
    running.process.kill()
    running.process.communicate(timeout=20)
    assert_nothing_left(run_dir)
    assert json.loads((run_dir / "manifest.json").read_bytes())["ended"]["reason"] == "interrupted"


@pytest.mark.beside
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)])
def test_interrupted_runs_are_judged_as_such(
    tmp_path: Path, toxiproxy_env: dict[str, str], number: signal.Signals
) -> None:
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    run_dir = running.wait_for_fault()
    running.process.send_signal(number)
    ran = running.end()
    assert ran.code == 130, ran.stdout + ran.stderr
    assert ran.verdict != "PASS"
    assert ran.results["interrupted"]
    assert ran.results["faults"][0]["windows"][0]["verified"]
    assert_nothing_left(run_dir, within_s=1)


@pytest.mark.beside
def test_a_second_signal_skips_the_judging_never_the_rollback(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    running = Running(tmp_path, LIGHT_INCIDENT, env=toxiproxy_env)
    run_dir = running.wait_for_fault()
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)  # a SIGINT that is still pending would swallow another one
    ran = running.end()
    assert ran.code == 130
    assert not (run_dir / "results.json").exists()
    assert "not judged" in ran.stderr
    assert '"verified"' in (run_dir / "faults.ndjson").read_text()
    assert_nothing_left(run_dir, within_s=1)


def _rig_failure(running: Running, names: str) -> None:
    ran = running.end()
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert names in (ran.stdout + ran.stderr).lower()
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir)


# ---------------------------------------------------------------- faults that are not there


@pytest.mark.beside
def test_a_toxiproxy_that_lies_is_never_a_pass(tmp_path: Path, lying_toxiproxy: str) -> None:
    ran = run(tmp_path, LIGHT_INCIDENT, env={"TOXIPROXY_URL": lying_toxiproxy})
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr


@pytest.mark.nightly
def test_a_service_that_goes_around_its_proxy_is_never_a_pass(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """It answers as if nothing were wrong, and asks nobody. By day a service asks once: test_met_faults.py."""
    aloof = tmp_path / "aloof.py"
    aloof.write_text(ALOOF)
    scenario = (
        LIGHT_INCIDENT.replace("{rung: timeout}", "{command: python3 aloof.py {port}, cwd: .}")
        .replace("{command: python3 aloof.py {port}, cwd: .}", '{command: "python3 aloof.py {port}"}')
        .replace(", complete > 90% during azure-slow", "")
    )
    ran = run(tmp_path, scenario, env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr


ALOOF = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")
    def log_message(self, *args):
        pass

ThreadingHTTPServer.request_queue_size = 512
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.nightly
def test_a_proxy_that_somebody_disables_is_never_a_pass(tmp_path: Path, real_toxiproxy: str) -> None:
    """The toxic would be added to a disabled proxy, and do nothing. By day a Toxiproxy lies, above."""
    scenario = LIGHT_INCIDENT.replace("baseline: 1s", "baseline: 4s")
    running = Running(tmp_path, scenario, env={"TOXIPROXY_URL": real_toxiproxy})
    run_dir = running.wait_for(lambda found: (found / "control" / "start.json").exists())
    plan = Plan.read(run_dir)
    ToxiproxyClient(real_toxiproxy).set_enabled(plan.proxy_name("azure"), enabled=False)
    ran = running.end()
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert_nothing_left(run_dir, within_s=1)
    assert not ToxiproxyClient(real_toxiproxy).proxies()


@pytest.mark.beside
def test_a_killed_tailgate_leaves_no_toxic_on_a_server_of_others(tmp_path: Path, real_toxiproxy: str) -> None:
    running = Running(tmp_path, LIGHT_INCIDENT, env={"TOXIPROXY_URL": real_toxiproxy})
    run_dir = running.wait_for_fault()
    running.process.kill()
    running.process.communicate(timeout=20)
    assert_nothing_left(run_dir)
    assert not ToxiproxyClient(real_toxiproxy).proxies()


# ---------------------------------------------------------------- a disk that takes no more


@pytest.mark.nightly
def test_a_full_disk_is_the_rigs_fault(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day a disk fills up under the supervisor alone (tests/stack/test_kill.py) and while reports are written."""
    running = Running(tmp_path, INCIDENT, env=toxiproxy_env, file_limit_bytes=16_384)
    ran = running.end()
    assert ran.code == 4, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert "too large" in (ran.stdout + ran.stderr).lower()
    assert "PASS" not in ran.stdout
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir, within_s=1)


# ---------------------------------------------------------------- a service that runs already


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    """A connection that finds the queue full waits for a second."""


@pytest.mark.beside
def test_a_service_by_url_without_faults_or_gateway(tmp_path: Path) -> None:
    server = _Server(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        ran = run(
            tmp_path,
            f"name: plain\nservice: {{url: http://127.0.0.1:{server.server_port}}}\ngateway: {{kind: none}}\n"
            "load: {request: GET /, rate: 100/s, warmup: 500ms, duration: 5s, baseline: 1s}\n"
            "gates: [p90 < 1s, errors < 10%, throughput > 20/s, timeouts < 10%]\nverdict: {clump: 10ms}\n",
        )
    finally:
        server.shutdown()
        server.server_close()
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr


# ---------------------------------------------------------------- large answers, and clients that close


@pytest.mark.beside
@pytest.mark.parametrize("delay", ["60s", pytest.param("3s", marks=pytest.mark.nightly)])
@pytest.mark.nightly  # by day tests/toxiproxy/test_broken_off_answers.py has such callers
def test_large_answers_to_callers_who_left_are_let_go_at_once(
    tmp_path: Path, toxiproxy_env: dict[str, str], delay: str
) -> None:
    """Each answer is several chunks, and a service with a deadline has hung up long before its delay is over.

    With 3 s delays run out all the time, the removal's moment included, which can lock up Toxiproxy.
    """
    scenario = LIGHT_INCIDENT.replace("rows: 10", "rows: 400").replace("60s", delay)
    ran = run(tmp_path, scenario, env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    assert ran.run_dir is not None
    at_ns = {entry.event: entry.t_ns for entry in read_journal(ran.run_dir / "faults.ndjson")}
    assert at_ns["verified"] - at_ns["removing"] < 3_000_000_000, "new connections wait while Toxiproxy removes a toxic"


WAITS = """\
import os, sys, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"well"
        if self.path != "/healthz":
            try:  # urllib sends `Connection: close`
                body = b"".join(urllib.request.urlopen(os.environ[k] + "/offers").read() for k in ("AZURE", "GCP"))
            except OSError:
                body = b"partial"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

ThreadingHTTPServer.request_queue_size = 512
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.nightly
def test_a_hang_hangs_clients_that_close_their_connections(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day such a client hangs in test_named_runs.py, and gives up."""
    (tmp_path / "waits.py").write_text(WAITS)
    service = '{command: "python3 waits.py {port}", env: {AZURE: "{azure.url}", GCP: "{gcp.url}"}}'
    scenario = (
        LIGHT_INCIDENT.replace("{rung: timeout}", service)
        .replace("latency: 60s", "hang: true")
        .replace(", complete > 90% during azure-slow", "")
    )
    ran = run(tmp_path, scenario, env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout + ran.stderr
    phase = next(phase for phase in ran.results["phases"] if phase["name"] == "azure-slow")
    assert phase["outcomes"]["gateway_timeout"] > 0.95 * phase["n"]
