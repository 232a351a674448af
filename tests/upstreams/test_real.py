"""Real upstreams in a scenario: what is planned for each, and what is refused."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from harness.cli.run import run_command
from harness.errors import ScenarioError
from harness.rundir.planned.upstream import PlannedUpstream
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.scenario.preview import preview
from harness.upstreams.kinds import parse_upstream
from harness.upstreams.protocols import SCHEMES

SCENARIO = """
name: real
service: {{command: "/bin/true {{port}}", env: {{URL: "{{x.url}}"}}}}
upstreams:
  x: {upstream}
gateway: {{timeout: 3s}}
verdict: {{clump: 10ms}}
load: {{rate: 20/s, request: GET /quote, warmup: 2s}}
faults: [{{upstream: x, {fault}, for: 40s}}]
gates: [errors < 5%]
"""


def planned(raw: object) -> PlannedUpstream:
    ports = count(9000)
    return parse_upstream(raw).plan("x", 0, lambda: next(ports))


def scenario(tmp_path: Path, upstream: str, fault: str = "latency: 2s") -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.format(upstream=upstream, fault=fault))
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    return [f"{problem.message} | {problem.fix}" for problem in caught.value.problems]


def test_https_is_originated_by_the_forwarder() -> None:
    of = planned("https://pay.example/v1")
    assert of.forward is not None
    assert (of.forward.scheme, of.forward.host, of.forward.port) == ("https", "pay.example", 443)
    assert of.url == "http://127.0.0.1:9000/v1"
    assert of.origin.address == "127.0.0.1:9001"
    assert of.records_calls and not of.terminates_tls


def test_the_services_own_tls_can_stay_on() -> None:
    of = planned({"url": "https://pay.example", "tls": "terminate"})
    assert of.forward is not None and of.terminates_tls
    assert of.url == "https://127.0.0.1:9000"
    plain = planned({"url": "http://pay.example", "tls": "terminate"})
    assert plain.forward is not None and plain.forward.scheme == "http"
    assert plain.url == "https://127.0.0.1:9000"


@pytest.mark.parametrize("extra", [{"tls": "passthrough"}, {"observe": False}])
def test_https_without_the_forwarder_is_a_connection_only(extra: dict[str, object]) -> None:
    of = planned({"url": "https://pay.example", **extra})
    assert of.forward is None and not of.records_calls
    assert of.origin.address == "pay.example:443"
    assert of.url == "https://127.0.0.1:9000"
    assert of.protocol == "tls"


def test_a_database_is_a_connection_only() -> None:
    of = planned("postgres://app:${PG}@db.example/app")
    assert of.forward is None and of.protocol == "postgres" and not of.records_calls
    assert of.origin.address == "db.example:5432"
    assert of.url == "postgres://app:${PG}@127.0.0.1:9000/app"


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        ("{url: http://h, tls: originate}", "http:// is not TLS"),
        ("{url: postgres://h/a, tls: terminate}", "not possible for PostgreSQL: it starts TLS inside"),
        ("{url: mysql://h/a, tls: originate}", "not possible for MySQL: it starts TLS inside"),
        ("{url: 'mysql://h/a?ssl-mode=VERIFY_IDENTITY'}", "looks for the listener's address"),
        ("{url: 'grpc://h:1', tls: terminate}", "not possible for gRPC: tailgate's forwarder speaks HTTP/1.1"),
        ("{url: 'grpcs://h:1', tls: originate}", "not possible for gRPC: tailgate's forwarder speaks HTTP/1.1"),
        ("{url: 'kafka://h:1', port: 9, tls: originate}", "not possible for Kafka: its clients expect TLS"),
        ("{url: 'tcp://h:1', tls: terminate}", "not possible for TCP: nothing says where TLS begins"),
        ("{url: http://h, ca: s.yaml}", "http:// has no certificate"),
        ("{url: https://h, tls: passthrough, ca: s.yaml}", "the service verifies the certificate itself"),
        ("{url: https://h, ca: none.pem}", "none.pem does not exist"),
        ("{url: postgres://h/a, observe: false}", "the calls of PostgreSQL are not observed anyway"),
        ("{url: https://h, observe: false, tls: terminate}", "is done where calls are observed"),
        ("{url: kafka://h}", "the address that the broker advertises"),
        ("{url: https://h, p50: 3ms}", "p50"),
        ("{url: 7}", "expected a URL"),
        ("[]", "expected a mapping"),
    ],
)
def test_what_cannot_be(tmp_path: Path, upstream: str, message: str) -> None:
    assert any(message in found for found in mistakes(scenario(tmp_path, upstream)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: x", "is no file of certificates in PEM"),
        (b"", "is no file of certificates in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is no file of certificates in PEM"),
        (trustme.CA().private_key_pem.bytes(), "is no file of certificates in PEM"),
        (trustme.CA().cert_pem.bytes(), ""),
    ],
)
def test_a_file_of_authorities_holds_certificates(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    file = scenario(tmp_path, "{url: https://h, ca: ca.pem}")
    if message:
        assert any(message in found for found in mistakes(file))
    else:
        load_scenario(file)


def test_application_faults_need_recorded_calls(tmp_path: Path) -> None:
    load_scenario(scenario(tmp_path, "https://localhost", "status: 503"))
    found = mistakes(scenario(tmp_path, "postgres://localhost/app", "status: 503"))
    assert any("status" in each and "x" in each for each in found)


def test_the_plan_of_a_file_holds_the_variable_and_not_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_PASS", "hunter2-hunter2")
    loaded = load_scenario(scenario(tmp_path, "'postgres://app:${PG_PASS}@localhost/app'"))
    plan, _ = dry_plan(loaded.checked)
    assert plan.service.env["URL"].startswith("postgres://app:${PG_PASS}@127.0.0.1:")
    assert "hunter2" not in plan.model_dump_json()


def test_a_variable_that_is_not_set_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_PASS", raising=False)
    assert any(
        "PG_PASS" in found for found in mistakes(scenario(tmp_path, "'postgres://app:${PG_PASS}@localhost/app'"))
    )


def test_validate_says_what_can_be_known(tmp_path: Path) -> None:
    (cell,) = preview(load_scenario(scenario(tmp_path, "https://pay.example")))
    (of,) = cell.upstreams
    assert (of.origin, of.records_calls, of.outside, of.calls_per_s) == ("https://pay.example", True, True, 20.0)


def test_a_target_outside_this_machine_is_asked_for(tmp_path: Path) -> None:
    path = scenario(tmp_path, "https://192.0.2.7")
    assert any("--allow-target 192.0.2.7" in warning.fix for warning in load_scenario(path).warnings)
    from click.testing import CliRunner

    got = CliRunner().invoke(run_command, [str(path)])
    assert "tailgate would send load to 192.0.2.7" in str(got.exception) + got.output


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tls", ["originate", "terminate"])
def test_no_fix_advises_what_is_refused_itself(scheme: str, tls: str) -> None:
    raw = {"url": f"{scheme}://h:9", "tls": tls, "port": 9000}
    try:
        parse_upstream(raw)
    except ValidationError as refused:
        (error,) = refused.errors()
        assert error["type"] == "problem"
        better = re.search(r"as ([a-z]+)://", error["ctx"]["fix"])
        without_tls = {"url": raw["url"], "port": 9000}
        parse_upstream({**raw, "url": f"{better[1]}://h:9"} if better else without_tls)
