"""An origin that cannot be used: each mistake has a message of its own, and a fix."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fake_backends.tls import origin_context as module
from fake_backends.tls.origin_context import check_origin, origin_context
from fake_backends.tls.run_ca import RunCertificates
from harness.errors import RigError
from tests.fake_backends.tls.certificates import ca_file, listening, port_of, served


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)


async def plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


def checked(
    folder: Path,
    certificates: RunCertificates | None,
    *,
    name: str = "localhost",
    trusts: bool = True,
    within_s: float = 5.0,
    handle: object = quiet,
) -> None:
    """Check a local server that has this certificate; None: it speaks no TLS."""

    async def scene() -> None:
        server = certificates.server_context() if certificates else None
        known = certificates or RunCertificates()
        context = origin_context(ca_file(folder, known if trusts else RunCertificates()))
        async with served(handle, server) as port:  # type: ignore[arg-type]
            await check_origin("127.0.0.1", port, context, name, within_s)

    asyncio.run(scene())


def refusal(folder: Path, certificates: RunCertificates | None, **options: object) -> RigError:
    with pytest.raises(RigError) as raised:
        checked(folder, certificates, **options)  # type: ignore[arg-type]
    assert raised.value.fix
    return raised.value


def test_an_origin_that_can_be_used_raises_nothing_and_speaks_http_1(tmp_path: Path) -> None:
    checked(tmp_path, RunCertificates())


def test_a_certificate_for_another_name_says_both(tmp_path: Path) -> None:
    found = refusal(tmp_path, RunCertificates(["pay.example"]), name="shop.example")
    assert "is not for shop.example: it is for 127.0.0.1, ::1, localhost, pay.example" in found.message


def test_many_names_are_shortened(tmp_path: Path) -> None:
    found = refusal(tmp_path, RunCertificates([f"h{n}.example" for n in range(9)]), name="shop.example")
    assert found.message.endswith("and 7 more")


def test_an_unknown_issuer_asks_for_ca(tmp_path: Path) -> None:
    found = refusal(tmp_path, RunCertificates(), trusts=False)
    assert "authority that is not trusted here" in found.message
    assert "ca: " in found.fix


@pytest.mark.parametrize(("days", "said"), [(-30, "has expired"), (30, "is not valid yet")])
def test_a_certificate_outside_its_time(tmp_path: Path, days: int, said: str) -> None:
    found = refusal(tmp_path, RunCertificates(now=datetime.now(UTC) + timedelta(days=days)))
    assert said in found.message


def test_an_origin_without_tls_asks_for_http(tmp_path: Path) -> None:
    found = refusal(tmp_path, None, handle=plain_http)
    assert "does not speak TLS" in found.message
    assert "http://" in found.fix


def test_an_origin_that_hangs_up_in_the_handshake(tmp_path: Path) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)

    assert "closed the connection in the TLS handshake" in refusal(tmp_path, None, handle=close).message


def test_an_origin_that_says_nothing(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    assert "did not answer within 0.2 s" in refusal(tmp_path, None, handle=silent, within_s=0.2).message


def test_nobody_listens() -> None:
    with listening() as nobody:
        port = port_of(nobody)
    with pytest.raises(RigError, match=f"127.0.0.1:{port} refused the connection"):
        asyncio.run(check_origin("127.0.0.1", port, None, "127.0.0.1", 5))
    with pytest.raises(RigError, match=f"localhost:{port} refused the connection"):  # of several addresses
        asyncio.run(check_origin("localhost", port, None, "localhost", 5))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "?"), "pay.example does not resolve"),
        (OSError(errno.EHOSTUNREACH, "?"), "no route to pay.example:443"),
        (OSError(errno.ENETUNREACH, "?"), "no route to pay.example:443"),
        (OSError(errno.EACCES, "Permission denied"), "pay.example:443 cannot be reached: Permission denied"),
    ],
)
def test_errors_of_the_network(monkeypatch: pytest.MonkeyPatch, error: OSError, said: str) -> None:
    async def fails(*_: object) -> socket.socket:
        raise error

    monkeypatch.setattr(module, "connected", fails)
    with pytest.raises(RigError, match=said) as raised:
        asyncio.run(check_origin("pay.example", 443, None, "pay.example", 5))
    assert raised.value.fix


def test_a_ca_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("hello")
    with pytest.raises(RigError, match=r"empty\.pem cannot be used: it holds no certificate"):
        origin_context(tmp_path / "empty.pem")
    with pytest.raises(RigError, match=r"none\.pem cannot be used: No such file"):
        origin_context(tmp_path / "none.pem")


def test_a_private_authority_takes_the_systems_place_and_certificates_are_verified(tmp_path: Path) -> None:
    context = origin_context(ca_file(tmp_path, RunCertificates()))
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
