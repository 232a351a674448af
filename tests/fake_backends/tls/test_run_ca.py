"""The authority of a run: whom its certificate is for, how long, what the bundle holds, and where no key is."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
import trustme
from cryptography import x509

from fake_backends.tls import run_ca
from fake_backends.tls.pem import certificates_in, read_certificates
from fake_backends.tls.run_ca import RunCertificates
from fake_backends.tls.system_cas import system_certificates
from fake_backends.tls.terminating import listener_contexts, trusted_files
from harness.errors import RigError
from harness.rundir.plan import StackPlan
from harness.rundir.planned.service import PlannedService
from harness.rundir.planned.upstream import Endpoint
from harness.tls_channel import TlsChannel
from tests.fake_backends.plans import plan, upstream
from tests.fake_backends.tls.certificates import trusting


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[TlsChannel, int, int]:
    """The client's channel after a handshake in memory, and how many bytes client and server sent for it."""
    one, other = TlsChannel(client, server_name=name), TlsChannel(server, server_side=True)
    sent = [0, 0]
    for _ in range(6):
        done = one.shake()
        sent[0] += _moved(one, other)
        if other.shake() and done:
            break
        sent[1] += _moved(other, one)
    return one, sent[0], sent[1]


def _moved(source: TlsChannel, sink: TlsChannel) -> int:
    data = source.to_send()
    if data:
        sink.received(data)
    return len(data)


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "localhost", "pay.example"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_knows_the_authority_accepts_each_name(name: str, version: ssl.TLSVersion) -> None:
    certificates = RunCertificates(["pay.example"])
    client = trusting(certificates, version)
    client.set_alpn_protocols(["h2", "http/1.1"])
    shaken(certificates.server_context(), client, name)  # raises if the certificate does not fit


def test_another_name_and_another_authority_are_refused() -> None:
    certificates = RunCertificates(["pay.example"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(certificates.server_context(), trusting(certificates), "other.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(certificates.server_context(), trusting(RunCertificates()), "localhost")


def test_a_name_that_no_certificate_can_carry_is_left_out() -> None:
    certificates = RunCertificates(["my_db", "", "pay.example"])
    shaken(certificates.server_context(), trusting(certificates), "pay.example")


def test_it_is_valid_for_a_day_from_some_minutes_ago() -> None:
    now = datetime(2030, 5, 1, 12, tzinfo=UTC)
    certificates = RunCertificates(now=now)
    leaf = x509.load_pem_x509_certificate(certificates._leaf.cert_chain_pems[0].bytes())
    assert leaf.not_valid_before_utc == now - timedelta(minutes=10)
    assert leaf.not_valid_after_utc == now + timedelta(hours=24)


def test_the_key_is_in_no_file_once_the_context_is_there_nor_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[tuple[int, bytes]] = []

    def refuse(self: ssl.SSLContext, path: Path) -> None:
        seen.append((path.parent.stat().st_mode & 0o777, path.read_bytes()))
        raise ssl.SSLError(1, "no")

    certificates = RunCertificates()
    certificates.server_context()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(RigError, match="cannot be loaded"):
        certificates.server_context()
    ((mode, pem),) = seen
    assert mode == 0o700 and b"PRIVATE KEY" in pem  # it was there while it was loaded
    assert list(tmp_path.iterdir()) == []


def test_the_authority_forgets_its_key() -> None:
    certificates = RunCertificates()
    assert not any(isinstance(value, trustme.CA) for value in vars(certificates).values())
    assert b"PRIVATE" not in certificates.ca_pem


def test_the_bundle_has_the_run_the_users_files_and_the_system_and_no_key(tmp_path: Path) -> None:
    theirs = trustme.CA()
    mixed = tmp_path / "mixed.pem"
    leaf = theirs.issue_cert("x.example")
    mixed.write_bytes(leaf.private_key_pem.bytes() + theirs.cert_pem.bytes() * 2)
    certificates = RunCertificates()
    bundle = tmp_path / "run" / "tls" / "ca.pem"
    certificates.write_bundle(bundle, {"SSL_CERT_FILE": mixed})
    text = bundle.read_text()
    assert "PRIVATE" not in text
    found = list(certificates_in(text))
    assert len(set(found)) == len(found)
    assert found[0].encode() == certificates.ca_pem  # first: keytool imports the first one of a file
    assert list(certificates_in(theirs.cert_pem.bytes().decode())) == [found[1]]
    assert set(system_certificates()) <= set(found)
    ssl.create_default_context(cafile=bundle)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_text("hello"), "holds no certificate"),
        (lambda path: path.write_text("-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----"), "no certificate"),
        (lambda path: path.write_bytes(b"\xff" * 100), "holds no certificate"),
    ],
    ids=["missing", "folder", "text", "damaged", "binary"],
)
def test_a_file_that_cannot_be_used_is_named_with_what_names_it(tmp_path: Path, write: object, why: str) -> None:
    path = tmp_path / "theirs.pem"
    assert callable(write)
    write(path)
    with pytest.raises(RigError, match=why) as raised:
        read_certificates(path, "NODE_EXTRA_CA_CERTS")
    assert str(path) in raised.value.message and "NODE_EXTRA_CA_CERTS" in raised.value.message
    assert raised.value.fix


def test_equal_certificates_are_equal_texts_however_they_are_wrapped() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    unwrapped = pem.replace("\n", "\r\n").replace("BEGIN CERTIFICATE-----\r\n", "BEGIN CERTIFICATE-----\r\n  ")
    assert list(certificates_in(unwrapped)) == list(certificates_in(f"# theirs\n{pem}"))


def test_the_systems_authorities_come_from_its_file_its_folder_or_certifi(tmp_path: Path) -> None:
    one, two = (trustme.CA().cert_pem.bytes() for _ in range(2))
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "a.pem").write_bytes(one)
    (tmp_path / "certs" / "b.0").write_bytes(two)
    (tmp_path / "file.pem").write_bytes(one)

    def found(file: str, folder: str) -> int:
        paths = ssl.get_default_verify_paths()._replace(
            openssl_cafile=str(tmp_path / file), openssl_capath=str(tmp_path / folder)
        )
        return len(system_certificates(paths))

    assert found("file.pem", "certs") == 1
    assert found("none.pem", "certs") == 2
    assert found("none.pem", "none") > 50


def stack(tmp_path: Path, *, kind: Literal["command", "url"] = "command", **env: str) -> StackPlan:
    service = PlannedService(kind=kind, url="http://127.0.0.1:1", env=env, cwd=str(tmp_path))
    own = plan(upstream().model_copy(update={"terminates_tls": True})).stack
    return own.model_copy(update={"service": service, "ca_file": str(tmp_path / "tls" / "ca.pem")})


def test_files_that_the_scenario_or_the_caller_names_are_merged_and_the_scenario_goes_first(tmp_path: Path) -> None:
    environ = {
        "SSL_CERT_FILE": "/callers.pem",
        "REQUESTS_CA_BUNDLE": "/callers.pem",
        "WHERE": "sub",
        "CURL_CA_BUNDLE": "",
    }
    of = stack(tmp_path, SSL_CERT_FILE="${WHERE}/own.pem", AWS_CA_BUNDLE=str(tmp_path / "tls" / "ca.pem"))
    assert dict(trusted_files(of, environ)) == {
        "SSL_CERT_FILE": tmp_path / "sub" / "own.pem",
        "REQUESTS_CA_BUNDLE": Path("/callers.pem"),
    }
    assert dict(trusted_files(stack(tmp_path, kind="url"), environ)) == {}


@pytest.mark.parametrize("by", ["scenario", "caller"])
def test_a_merged_file_is_in_the_bundle_and_a_missing_one_is_an_error(tmp_path: Path, by: str) -> None:
    theirs = tmp_path / "theirs.pem"
    if by == "scenario":
        of, environ = stack(tmp_path, NODE_EXTRA_CA_CERTS=str(theirs)), dict[str, str]()
    else:
        of, environ = stack(tmp_path), {"NODE_EXTRA_CA_CERTS": str(theirs)}
    with pytest.raises(RigError, match=r"NODE_EXTRA_CA_CERTS names .*theirs\.pem, which cannot be read"):
        listener_contexts(of, environ)
    authority = trustme.CA()
    theirs.write_bytes(authority.cert_pem.bytes())
    assert list(listener_contexts(of, environ)) == ["azure"]
    bundle = (tmp_path / "tls" / "ca.pem").read_text()
    assert next(certificates_in(authority.cert_pem.bytes().decode())) in bundle


def test_without_tls_no_certificate_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_ca, "RunCertificates", None)
    assert listener_contexts(stack(tmp_path).model_copy(update={"ca_file": None}), {}) == {}
    assert not (tmp_path / "tls").exists()


def test_the_certificate_names_the_listener_where_toxiproxy_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    real = run_ca.RunCertificates

    def noted(names: Iterable[str]) -> run_ca.RunCertificates:
        named.extend(names)
        return real(named)

    monkeypatch.setattr(run_ca, "RunCertificates", noted)
    of = stack(tmp_path)
    elsewhere = of.upstreams[0].model_copy(update={"listener": Endpoint(host="tox.internal", port=1)})
    passed_through = elsewhere.model_copy(
        update={"terminates_tls": False, "listener": Endpoint(host="other.internal", port=1)}
    )
    assert listener_contexts(of.model_copy(update={"upstreams": (elsewhere, passed_through)}), {})
    assert named == ["tox.internal"]
