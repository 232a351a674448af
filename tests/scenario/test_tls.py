"""`tls: terminate` in a scenario: what is planned, where `{ca}` stands, sizes and times of faults in TLS, warnings."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from fake_backends.tls.run_ca import RunCertificates
from harness.cli.display.output import spell
from harness.rundir.plan import Plan
from harness.scenario.planner import make_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.scenario.planning.plan_faults import HANDSHAKE_ANSWER_BYTES, HANDSHAKE_REQUEST_BYTES
from harness.tls_channel import TlsChannel
from tests.scenario.world import changed, load, only_problem, plan_of

FAULT = "{upstream: azure, latency: 60s, for: 90s}"
AZURE = "azure: {p50: 60ms, p99: 140ms}"
IN_TLS = "azure: {p50: 60ms, p99: 140ms, tls: terminate}"
COMMAND = "{command: [serve, '{port}', '{azure.url}', '{ca}']}"


def of(*more: tuple[str, str]) -> str:
    return changed((AZURE, IN_TLS), *more)


def planned(folder: Path, text: str) -> Plan:
    return plan_of(load(folder, text))


def test_its_url_is_https_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    plan = planned(tmp_path, of())
    assert plan.upstream("azure").url == f"https://127.0.0.1:{plan.upstream('azure').listener.port}"
    assert plan.upstream("gcp").url.startswith("http://")
    assert plan.upstream("azure").terminates_tls and not plan.upstream("gcp").terminates_tls
    assert plan.ca_file is not None
    assert planned(tmp_path, changed()).ca_file is None


def test_ca_is_the_file_in_the_run_directory_in_command_environment_and_headers(tmp_path: Path) -> None:
    service = "{command: [serve, '{port}', '{ca}'], env: {CA: 'x={ca}'}, headers: {X-Ca: '{ca}'}}"
    loaded = load(tmp_path, of(("{rung: timeout}", service)))
    ports = iter(range(20_000, 21_000))
    plan = make_plan(
        loaded,
        run_id="20260101-000000-abcd",
        seed=1,
        ports=lambda: next(ports),
        gateway=ResolvedGateway("none"),
        run_dir=tmp_path / "run",
    )
    ca = str(tmp_path / "run" / "tls" / "ca.pem")
    assert plan.ca_file == ca
    assert plan.service.argv is not None and plan.service.argv[-1] == ca
    assert plan.service.env["CA"] == f"x={ca}"
    assert plan.service.ready_headers["X-Ca"] == ca
    assert plan.load.requests[0].headers["X-Ca"] == ca


def test_without_tls_there_is_no_ca_and_the_message_says_why(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed(("{rung: timeout}", COMMAND)))
    assert "no upstream terminates TLS" in problem.message
    assert "tls: terminate" in problem.fix


def test_another_word_for_tls_is_refused(tmp_path: Path) -> None:
    assert only_problem(tmp_path, changed((AZURE, "azure: {tls: yes-please}"))).path == "upstreams.azure.tls"


@pytest.mark.parametrize(("gateway", "latency", "held_ms"), [("60s", "3s", 9_000), ("5s", "3s", 5_000)])
def test_a_latency_holds_each_flight_of_a_handshake(tmp_path: Path, gateway: str, latency: str, held_ms: float) -> None:
    times = [("timeout: 5s", f"timeout: {gateway}"), ("latency: 60s, for: 90s", f"latency: {latency}, for: 300s")]
    (fault,) = planned(tmp_path, of(*times)).faults
    assert (fault.held_ms, fault.proof.least_ms) == (held_ms, 2_000)  # two seconds prove any delay
    (plain,) = planned(tmp_path, changed(*times)).faults
    assert plain.held_ms == 3_000


def test_a_raw_latency_too(tmp_path: Path) -> None:
    raw = "toxic: {type: latency, attributes: {latency: 1000, jitter: 100}}"
    (fault,) = planned(tmp_path, of(("latency: 60s", raw), ("azure-latency", "azure-toxic"))).faults
    assert fault.held_ms == 3_300


@pytest.mark.parametrize("stream", ["downstream", "upstream"])
def test_a_cut_counts_the_handshake_and_beyond_it_nothing_would_be_cut(tmp_path: Path, stream: str) -> None:
    def cut(bytes_: int) -> tuple[str, str]:
        return ("latency: 60s", f"limit_data: {bytes_}B, stream: {stream}")

    name = ("azure-latency", "azure-limit-data")
    plain = "would be cut"
    found = only_problem(tmp_path, changed(cut(10_000_000), name)).message
    assert plain in found
    carried = int(found.split("(")[1].split(" ")[0])
    handshake = HANDSHAKE_ANSWER_BYTES if stream == "downstream" else HANDSHAKE_REQUEST_BYTES
    planned(tmp_path, of(cut(carried + handshake - 1), name))
    assert plain in only_problem(tmp_path, of(cut(carried + handshake), name)).message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_real_handshake_is_larger_than_faults_assume_on_each_side(version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    client, server = TlsChannel(context), TlsChannel(RunCertificates().server_context(), server_side=True)
    requested = answered = 0
    for _ in range(4):
        client.shake()
        requested += len(data := client.to_send())
        if data:
            server.received(data)
        server.shake()
        answered += len(data := server.to_send())
        if data:
            client.received(data)
    assert client.shake() and server.shake()
    assert requested >= HANDSHAKE_REQUEST_BYTES
    assert answered >= HANDSHAKE_ANSWER_BYTES


def test_a_toxic_may_keep_calls_from_a_listener_in_tls_only(tmp_path: Path) -> None:
    plan = planned(tmp_path, of())
    (fault,) = plan.faults
    assert fault.may_keep_calls_from(plan.upstream("azure"))
    assert not fault.may_keep_calls_from(plan.upstream("gcp"))
    assert plan.logs_clients
    (status,) = planned(tmp_path, of(("latency: 60s", "status: 503"), ("azure-latency", "azure-status"))).faults
    assert not status.may_keep_calls_from(plan.upstream("azure"))
    assert not planned(tmp_path, changed()).logs_clients


JAVA = "{command: [java, -jar, app.jar, '{port}', '{azure.url}'], env: {STORE: '-Djavax.net.ssl.trustStore=x'}}"


def warnings(folder: Path, text: str) -> list[str]:
    return [f"{warning.message} {warning.fix}" for warning in load(folder, text).warnings]


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_what_a_jvm_needs_is_said_once_where_the_command_looks_like_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(tmp_path, monkeypatch, "java")
    on_path(tmp_path, monkeypatch, "serve")
    without = JAVA.replace(", env: {STORE: '-Djavax.net.ssl.trustStore=x'}", "")
    both = ("gcp: {}", "gcp: {tls: terminate}")
    said = [each for each in warnings(tmp_path, of(("{rung: timeout}", without), both)) if "JVM" in each]
    assert len(said) == 1
    assert "keytool -importcert" in said[0] and "{ca}" in said[0]
    spelled = spell(next(each for each in load(tmp_path, of(("{rung: timeout}", without), both)).warnings))
    assert "-storepass changeit; then java -Djavax.net.ssl.trustStore=FILE" in spelled, "nothing of it is cut"
    assert spelled.rstrip().endswith("-Djavax.net.ssl.trustStorePassword=changeit …")
    for quiet in (
        of(("{rung: timeout}", JAVA)),
        of(("{rung: timeout}", "{command: [serve, '{port}', '{azure.url}']}")),
        changed(("{rung: timeout}", without)),
    ):
        assert not [each for each in warnings(tmp_path, quiet) if "JVM" in each]


def test_a_service_that_runs_already_cannot_know_the_authority(tmp_path: Path) -> None:
    url = "{url: 'http://127.0.0.1:9'}"
    azure = "azure: {tls: terminate, port: 7001}"
    ports = (("gcp: {}", "gcp: {port: 7002}"), ("{rung: timeout}", url))
    said = warnings(tmp_path, changed((AZURE, azure), *ports))
    assert [each for each in said if "exists for one run only" in each]
    assert not [each for each in warnings(tmp_path, changed((AZURE, "azure: {port: 7001}"), *ports)) if "TLS" in each]
