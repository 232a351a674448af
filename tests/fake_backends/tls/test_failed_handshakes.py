"""Why a handshake with a listener failed: by real clients' contexts, in memory."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from fake_backends.tls.failed_handshakes import WatchedContext
from fake_backends.tls.run_ca import RunCertificates
from harness.tls_channel import TlsChannel
from tests.fake_backends.tls.certificates import certificates, trusting

Told = list[tuple[str, str]]


def watched(of: RunCertificates) -> tuple[WatchedContext, Told]:
    told: Told = []
    context = of.server_context()
    context.tell = lambda reason, fix: told.append((reason, fix))
    return context, told


def shake(server: WatchedContext, client: ssl.SSLContext, name: str) -> None:
    """Both sides until both are done, or until one fails and the other one has heard of it."""
    one, other = TlsChannel(client, server_name=name), TlsChannel(server, server_side=True)
    for _ in range(4):
        for here, there in ((one, other), (other, one)):
            with contextlib.suppress(ssl.SSLError):
                here.shake()
            if data := here.to_send():
                there.received(data)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_trusts_another_authority(version: ssl.TLSVersion) -> None:
    server, told = watched(certificates())
    shake(server, trusting(RunCertificates(), version), "localhost")
    ((reason, fix),) = told
    assert reason == "it does not trust the certificate authority of the run"
    assert "`{ca}`" in fix and "SSL_CERT_FILE" in fix


def test_a_client_that_asks_for_another_name() -> None:
    server, told = watched(certificates())
    shake(server, trusting(certificates()), "db.internal")
    ((reason, fix),) = told
    assert reason == "it asked for the name db.internal, which the certificate does not have"
    assert "pay.example" in fix and "localhost" in fix


def test_a_client_that_asks_for_another_address() -> None:
    server, told = watched(certificates())
    shake(server, trusting(certificates()), "10.0.0.7")
    assert [reason for reason, _ in told] == ["it did not accept the certificate"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"GET /offers HTTP/1.1\r\nhost: x\r\n\r\n", "it sent plain HTTP, and TLS is spoken there"),
        (b"*1\r\n$4\r\nPING\r\n", "it sent something that is not TLS"),
    ],
)
def test_a_client_that_speaks_no_tls(said: bytes, reason: str) -> None:
    server, told = watched(certificates())
    channel = TlsChannel(server, server_side=True)
    channel.received(said)
    for _ in range(2):  # it is told once, however often the handshake is gone on with
        with pytest.raises(ssl.SSLError):
            channel.shake()
    ((found, fix),) = told
    assert found == reason
    assert "{NAME.url}" in fix


def test_one_that_succeeds_or_was_just_cut_is_not_told() -> None:
    server, told = watched(certificates())
    shake(server, trusting(certificates()), "localhost")
    cut = TlsChannel(server, server_side=True)
    cut.received(b"")
    with pytest.raises(ssl.SSLEOFError):
        cut.shake()
    assert told == []


def test_an_unknown_reason_is_named_as_openssl_does() -> None:
    reason, fix = certificates().server_context().reason("SOMETHING_NEW", None)
    assert (reason, fix) == ("OpenSSL says SOMETHING_NEW", "see the log of the service")
