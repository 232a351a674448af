"""The parts of the libcurl client that need no network: bodies, encodings, requests as they go on the wire."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import zlib
from types import SimpleNamespace

import brotli
import pycurl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.incomplete import BYTES_MOST
from harness.rundir.rows import Outcome
from scenarios.drive.curl import transfer as transfer_module
from scenarios.drive.curl.answer_buffer import AnswerBuffer
from scenarios.drive.curl.decoding import PIECE_MOST, BrokenEncoding, decoder_of
from scenarios.drive.curl.failures import outcome_of
from scenarios.drive.curl.transfer import Transfer
from scenarios.drive.curl.wire import Target, Wire, redirected, wire_of
from scenarios.drive.planned_requests import Outgoing

BASE = "http://127.0.0.1:8000"
TARGET = Target.of(BASE)
HEAD = (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"\r\n")


def outgoing(path: str = "/", method: str = "GET", body: str | None = None, **headers: str) -> Outgoing:
    return Outgoing("r", method, path, tuple((name.replace("_", "-"), value) for name, value in headers.items()), body)


def lines_of(wire: Wire) -> dict[str, str]:
    """Without the lines that only keep libcurl from adding a header."""
    pairs = (line.decode("latin-1").partition(": ") for line in wire.lines)
    return {name: value for name, _, value in pairs if value}


# ---------------------------------------------------------------- bodies


def test_a_body_within_the_limit_is_whole() -> None:
    buffer = AnswerBuffer([b"needle"], held_most=100)
    for piece in (b"a" * 50, b"b" * 50):
        buffer.write(piece)
    assert buffer.content() == b"a" * 50 + b"b" * 50
    assert buffer.size == 100
    assert buffer.first_ns > 0


@given(
    st.lists(st.sampled_from([b"needle", b"nee", b"dle", b"hay", b"other", b"\n", b"n" * 40]), max_size=60),
    st.integers(1, 9),
)
def test_what_checks_look_for_is_found_in_a_body_of_any_length(parts: list[bytes], cut: int) -> None:
    """And nothing that is not in it: what is held stands for the whole."""
    body = b"".join(parts)
    buffer = AnswerBuffer([b"needle", b"other", b"absent"], held_most=16)
    for start in range(0, len(body), cut):
        buffer.write(body[start : start + cut])
    held = buffer.content()
    assert [each in held for each in (b"needle", b"other", b"absent")] == [
        each in body for each in (b"needle", b"other", b"absent")
    ]
    assert buffer.size == len(body)


def test_a_long_body_keeps_its_beginning_and_takes_little_memory() -> None:
    buffer = AnswerBuffer([b"needle"])
    for number in range(4000):
        buffer.write(b"%08d" % number * 1000)
    assert buffer.size == 32_000_000
    assert len(buffer.content()) < 600_000
    assert buffer.content().startswith(b"00000000" * 1000 + b"00000001")
    assert len(buffer.content()) > BYTES_MOST


def test_an_emptied_buffer_remembers_nothing() -> None:
    buffer = AnswerBuffer([b"needle"], held_most=4)
    buffer.head_lines.append(b"Content-Encoding: gzip\r\n")
    buffer.write(b"not gzip")
    assert buffer.broken
    buffer.clear()
    buffer.write(b"plain")
    assert (buffer.content(), buffer.size, buffer.broken, buffer.is_undecoded()) == (b"plain", 5, False, False)


@pytest.mark.parametrize(
    ("lines", "cut"),
    [
        (HEAD, False),
        (HEAD[:2], True),
        ((b"HTTP/1.1 100 Continue\r\n", b"\r\n", *HEAD), False),
        ((b"HTTP/1.1 100 Continue\r\n", b"\r\n", *HEAD[:2]), True),
        ((*HEAD, b"X-Trailer: 1\r\n"), False),
        ((b"HTTP/1.1 200 OK\n", b"\n"), False),
        ((), True),
    ],
)
def test_a_head_without_its_end_is_no_answer(lines: tuple[bytes, ...], cut: bool) -> None:
    buffer = AnswerBuffer([])
    buffer.head_lines.extend(lines)
    assert buffer.is_cut() is cut
    assert outcome_of(0, buffer, Outcome.CLIENT_TIMEOUT) is (Outcome.CONNECTION_ERROR if cut else None)


def test_what_libcurl_reports_has_an_outcome() -> None:
    buffer = AnswerBuffer([])
    buffer.head_lines.extend(HEAD)
    late = Outcome.GATEWAY_TIMEOUT
    assert outcome_of(pycurl.E_OPERATION_TIMEDOUT, buffer, late) is late
    assert outcome_of(pycurl.E_RECV_ERROR, buffer, late) is Outcome.CONNECTION_ERROR
    buffer.head_lines.insert(1, b"content-encoding: gzip\r\n")
    buffer.write(gzip.compress(b"x" * 99)[:-4])
    assert outcome_of(pycurl.E_RECV_ERROR, buffer, late) is Outcome.CONNECTION_ERROR, "its connection broke first"
    assert outcome_of(0, buffer, late) is Outcome.BAD_ANSWER, "whole by its length, and cut inside"


# ---------------------------------------------------------------- encodings

TEXT = b"offers " * 5000
ENCODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT[:900]) + gzip.compress(TEXT[900:]),
    " GZIP": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "br": brotli.compress(TEXT),
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_body_is_decoded_however_it_is_cut(encoding: str, step: int) -> None:
    decoder, data = decoder_of(encoding), ENCODED[encoding]
    assert decoder is not None
    pieces = [piece for at in range(0, len(data), step) for piece in decoder.pieces(data[at : at + step])]
    assert b"".join(pieces) == TEXT
    assert decoder.finished


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_stream_that_was_cut_is_not_finished(encoding: str) -> None:
    decoder = decoder_of(encoding)
    assert decoder is not None
    list(decoder.pieces(ENCODED[encoding][:-3]))
    assert not decoder.finished


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_bomb_comes_in_pieces(encoding: str) -> None:
    zeros = b"\0" * (8 * PIECE_MOST)
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[encoding]
    decoder = decoder_of(encoding)
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.pieces(compress(zeros))]
    assert sum(sizes) == len(zeros)
    assert max(sizes) <= 3 * PIECE_MOST
    assert decoder.finished


@pytest.mark.parametrize(("encoding", "data"), [("gzip", b"no"), ("deflate", b"\xff\xff"), ("br", b"\xff" * 9)])
def test_what_is_not_encoded_so_is_broken(encoding: str, data: bytes) -> None:
    decoder = decoder_of(encoding)
    assert decoder is not None
    with pytest.raises(BrokenEncoding):
        list(decoder.pieces(data))


def test_an_encoding_that_was_not_asked_for_is_broken() -> None:
    assert decoder_of("identity") is None
    for encoding in ("zstd", "gzip, br"):
        with pytest.raises(BrokenEncoding, match="not asked for"):
            decoder_of(encoding)


# ---------------------------------------------------------------- requests


def test_a_request_has_the_headers_that_fasthttpuser_sends() -> None:
    assert lines_of(wire_of(outgoing(), TARGET)) == {"Accept-Encoding": "gzip, deflate, br"}
    posted = wire_of(outgoing(method="post", body="ü"), TARGET)
    assert (posted.method, posted.body) == ("POST", "ü".encode())
    assert lines_of(posted)["Content-Type"] == "text/plain; charset=utf-8"
    given = wire_of(outgoing(method="POST", body="{}", content_type="application/json", accept_encoding="br"), TARGET)
    assert lines_of(given) == {"content-type": "application/json", "accept-encoding": "br"}


def test_credentials_in_the_url_become_a_header() -> None:
    target = Target.of("http://user:p%40ss@127.0.0.1:8000")
    wire = wire_of(outgoing("/a"), target)
    assert wire.url == f"{BASE}/a"
    assert lines_of(wire)["Authorization"] == "Basic dXNlcjpwQHNz"
    assert lines_of(wire_of(outgoing(authorization="Bearer x"), target))["authorization"] == "Bearer x"
    assert "Authorization" not in lines_of(wire_of(outgoing(authorization="Bearer x"), target))


def test_a_method_that_carries_a_body_has_an_empty_one() -> None:
    assert {method: wire_of(outgoing(method=method), TARGET).body for method in ("POST", "PUT", "PATCH")} == {
        "POST": b"",
        "PUT": b"",
        "PATCH": b"",
    }
    assert wire_of(outgoing(method="DELETE"), TARGET).body is None


@pytest.mark.parametrize(
    "request_", [outgoing(x_a="1\r\nx-b: 2"), outgoing(x_a="漢"), outgoing(**{"x a": "1"}), outgoing(method="GET /")]
)
def test_what_would_be_another_request_is_refused(request_: Outgoing) -> None:
    with pytest.raises(ValueError, match=r"invalid|cannot be sent"):
        wire_of(request_, TARGET)


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        ("GET", 302, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("PUT", 302, "GET"),
        ("DELETE", 303, "GET"),
        ("POST", 307, "POST"),
        ("PUT", 308, "PUT"),
    ],
)
def test_a_redirect_changes_the_method_as_locust_does(method: str, status: int, becomes: str) -> None:
    first = wire_of(outgoing(method=method, body="a=1" if method in ("POST", "PUT") else None), TARGET)
    after = redirected(first, status, f"{BASE}/next", first)
    assert (after.method, after.url) == (becomes, f"{BASE}/next")
    kept = method == becomes and first.body is not None
    assert (after.body is not None, "Content-Type" in lines_of(after)) == (kept, kept)


def test_a_redirect_elsewhere_takes_no_credentials_along() -> None:
    first = wire_of(outgoing(Authorization="Bearer x", Cookie="a=1", X_Mine="1"), TARGET)
    same = lines_of(redirected(first, 302, f"{BASE}/next", first))
    other = lines_of(redirected(first, 302, "http://127.0.0.1:9000/next", first))
    assert (same["Authorization"], same["X-Mine"]) == ("Bearer x", "1")
    assert "Cookie" not in same
    assert "Authorization" not in other
    assert other["X-Mine"] == "1"


def test_a_redirect_out_of_http_is_refused() -> None:
    first = wire_of(outgoing(), TARGET)
    with pytest.raises(ValueError, match="not followed"):
        redirected(first, 302, "file:///etc/passwd", first)


# ---------------------------------------------------------------- where a connection may lead


@pytest.mark.parametrize(
    ("target", "url", "address", "opened"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/", "127.0.0.1", True),
        ("127.0.0.1", "http://localhost:9000/next", "127.0.0.1", True),
        ("127.0.0.1", "http://[::1]:9000/next", "::1", True),
        ("127.0.0.1", "http://login.example/next", "192.0.2.7", False),
        ("127.0.0.1", "http://192.0.2.7/next", "192.0.2.7", False),
        ("shop.example", "http://shop.example/next", "192.0.2.7", True),  # allowed by --allow-target
        ("shop.example", "http://login.example/next", "192.0.2.8", False),
    ],
)
def test_only_the_target_and_loopback_are_connected_to(target: str, url: str, address: str, opened: bool) -> None:
    """A redirect, or a name in its target, must not lead load elsewhere. Nothing is connected here."""
    transfer = Transfer(AnswerBuffer([]), deadline_ms=1000, target=target, user_agent="x")
    transfer.aim(Wire("GET", url, (), None), [])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    where = SimpleNamespace(addr=(address, 80), family=family, socktype=socket.SOCK_STREAM, protocol=0)
    found = transfer.open_socket(0, where)
    assert (found != pycurl.SOCKET_BAD) is opened
    if opened:
        found.close()


def test_a_worker_without_a_free_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be taken for the service's connection errors."""

    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def died(message: str) -> None:
        raise AssertionError(message)

    monkeypatch.setattr(transfer_module, "_socket", SimpleNamespace(socket=full))
    monkeypatch.setattr(transfer_module, "die", died)
    transfer = Transfer(AnswerBuffer([]), deadline_ms=1000, target="127.0.0.1", user_agent="x")
    where = SimpleNamespace(addr=("127.0.0.1", 80), family=socket.AF_INET, socktype=socket.SOCK_STREAM, protocol=0)
    with pytest.raises(AssertionError, match="no connection can be opened: Too many open files"):
        transfer.open_socket(0, where)
