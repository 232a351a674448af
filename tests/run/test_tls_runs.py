"""A service that speaks TLS with its partner, in real processes: the verdicts are those without TLS."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import trustme

from harness.rundir.plan import Plan
from harness.rundir.planned.ca_variables import CA_VARIABLES
from tests.fake_backends.tls.certificates import await_no_key_folder
from tests.run.real_runs import Ran, run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

SERVICE = str(Path(__file__).with_name("tls_service.py"))


def scenario(within_s: float, env: str = "{}") -> str:
    command = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {{flights.url}} {within_s:g}"
    return f"""\
name: partner-in-tls
service: {{command: {json.dumps(command)}, env: {env}}}
upstreams:
  flights:
    tls: terminate
    p50: 5ms
    p99: 10ms
    routes: {{GET /v2/search: {{json: {{data: [{{id: "{{seq}}", by: "x{{mark}}"}}]}}}}}}
gateway: {{timeout: 2s}}
load: {{request: GET /quote, rate: 30/s, warmup: 2s, baseline: 2s, recovery: 500ms, guard: 500ms}}
faults: [{{name: flights-slow, upstream: flights, latency: 60s, for: 10s}}]
gates: [p95 < 1500ms during flights-slow]
verdict: {{clump: 15ms}}
"""


def assert_no_key(ran: Ran) -> None:
    assert ran.run_dir is not None
    files = [path for path in ran.run_dir.rglob("*") if path.is_file()]
    assert any(path.name == "ca.pem" for path in files)
    for path in files:
        assert b"PRIVATE KEY" not in path.read_bytes(), path
    await_no_key_folder()


@pytest.mark.nightly  # by day tests/toxiproxy/test_tls_wire.py delays partners in TLS
def test_a_service_with_a_timeout_stands_a_slow_partner_in_tls(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.pem"
    theirs.write_bytes(trustme.CA().cert_pem.bytes())
    ran = run(tmp_path, scenario(0.5, "{OWN: '{ca}', REQUESTS_CA_BUNDLE: theirs.pem}"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    (fault,) = ran.results["faults"]
    assert fault["landed"]
    assert ran.results["correlation"]["joined_share"] > 0.9
    assert ran.run_dir is not None
    plan = Plan.read(ran.run_dir)
    assert plan.ca_file == str(ran.run_dir / "tls" / "ca.pem")
    told = (ran.run_dir / "sut.env").read_text()
    for name in ("OWN", *CA_VARIABLES):
        assert f"{name}={plan.ca_file}\n" in told
    bundle = Path(plan.ca_file).read_text().replace("\n", "")
    assert theirs.read_text().replace("\n", "") in bundle
    assert_no_key(ran)


def test_a_service_that_does_not_trust_the_run_is_told_so(tmp_path: Path) -> None:
    strangers = tmp_path / "strangers.pem"
    strangers.write_bytes(trustme.CA().cert_pem.bytes())
    # the service sets the variable anew, so what tailgate has set does not reach it
    text = scenario(0.5).replace('command: "', f'command: "env SSL_CERT_FILE={strangers} ')
    ran = run(tmp_path, text)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    said = " ".join(ran.stdout.split())
    assert "the service never got as far as a call to flights" in said
    assert "of the service with the listener of flights failed: it does not trust the certificate authority" in said
    assert "SSL_CERT_FILE" in said
    assert "no call of the service came to flights" not in said
    (note,) = ran.results["origins"]
    assert (note["upstream"], note["kind"]) == ("flights", "handshake")
    assert note["calls"] > 100
    assert ran.run_dir is not None
    assert "TLS handshakes" in (ran.run_dir / "report.html").read_text()


@pytest.mark.nightly
def test_a_service_without_a_timeout_does_not(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario(60))
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout + ran.stderr
    (fault,) = ran.results["faults"]
    assert fault["landed"]


def test_a_bundle_that_cannot_be_merged_ends_the_start_with_its_name(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario(0.5), env={"AWS_CA_BUNDLE": str(tmp_path / "none.pem")})
    assert ran.code == 4
    said = " ".join((ran.stdout + ran.stderr).split())
    assert "AWS_CA_BUNDLE names" in said and "which cannot be read" in said
