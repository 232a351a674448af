"""Servers of others as `command` upstreams: Prism, which answers by an OpenAPI description, and a Kafka broker.

tests/run/test_process_runs.py has a partner and a Redis in their place in `make test`. A broker that librdkafka plays
is asked there by canaries, straight and through Toxiproxy (tests/protocols).
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.rundir.rows import CALLS, read_rows
from harness.stack.processes.ports import PortLease
from tests.run import programs
from tests.run.real_runs import Running, assert_nothing_left

pytestmark = [pytest.mark.stack, pytest.mark.nightly]

FOLDER = Path(__file__).parent
DESCRIPTION = """\
openapi: 3.0.3
info: {title: Search, version: "1"}
paths:
  /v2/search:
    get:
      responses:
        "200":
          description: What was found
          content: {application/json: {schema: {type: object}, example: {hits: [{id: LH-7, to: MUC}]}}}
"""


def scenario(service: list[str], upstream: str, faults: list[str], after_s: float) -> str:
    """Faults of 8 s, one every 11 s from 2 s on, and `after_s` behind the last."""
    command, duration_s = shlex.join([sys.executable, *service]), 11 * len(faults) + after_s
    written = [f"{{upstream: partner, {fault}, at: {2 + 11 * n}s, for: 8s}}" for n, fault in enumerate(faults)]
    return f"""\
name: started
service: {{command: {json.dumps(command)}, ready: GET /healthz within 30s}}
upstreams: {{partner: {upstream}}}
gateway: {{timeout: 2s}}
load: {{request: GET /search, rate: 20/s, warmup: 2s, duration: {duration_s}s, guard: 500ms, recovery: 1s}}
faults: [{", ".join(written)}]
gates: [errors < 10%]
verdict: {{clump: 15ms}}
"""


def test_prism_answers_by_a_description_and_is_slow_broken_and_killed(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(DESCRIPTION)
    started = shlex.join([str(programs.prism()), "mock", "-h", "127.0.0.1", "-p", "{port}", "search.yaml"])
    partner = f"{{command: {json.dumps(started)}, ready: GET /v2/search within 60s}}"
    service = [str(FOLDER / "search_service.py"), "{port}", "{partner.url}", "guarded"]
    # Prism needs seconds to start, and the run ends with the load
    text = scenario(service, partner, ["status: 503", "latency: 60s", "kill: true"], after_s=30)
    ran = Running(tmp_path, text).end(within_s=180)
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir, within_s=1.0)
    assert {fault["kind"]: fault["landed"] for fault in ran.results["faults"]} == dict.fromkeys(
        ("status", "latency", "kill"), True
    )
    assert ran.results["faults"][2]["proof"]["ready_after_ms"] > 0
    answers = Counter(int(status) for status in read_rows(ran.run_dir / "calls-0.bin", CALLS)["status"])
    assert answers[200] > 100 and answers[503] > 100, answers
    log = (ran.run_dir / "logs" / "upstream-partner.log").read_text()
    assert log.count("Prism is listening") == 2
    # the marked canaries are answered before they reach it
    assert "NO_PATH_MATCHED" not in log


def test_a_kafka_broker_that_advertises_the_listener_is_met_through_it_alone(tmp_path: Path) -> None:
    broker = programs.kafka_broker()
    with PortLease() as lease:
        port = lease.take()
    started = json.dumps(f"{shlex.quote(str(broker))} {{port}} {port}")
    partner = f"{{command: {started}, protocol: kafka, port: {port}}}"
    service = [str(FOLDER / "events_service.py"), "{port}", "{partner.address}"]
    ran = Running(tmp_path, scenario(service, partner, ["latency: 60s", "down: true"], after_s=5)).end(within_s=120)
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    assert ran.run_dir is not None
    assert_nothing_left(ran.run_dir, within_s=1.0)
    # a client that knew the broker's own address would have met neither
    assert [fault["landed"] for fault in ran.results["faults"]] == [True, True]
    written = (ran.run_dir / "logs" / "sut.log").read_text().split()
    assert set(written) == {"ok", "_MSG_TIMED_OUT"}, Counter(written)
    assert written[-1] == "ok" and min(Counter(written).values()) > 100, Counter(written)
