"""Answers as servers give them and as faults leave them: whole, cut short anywhere, late, or no HTTP."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.http1 import HEAD_BYTES_MOST, HttpExchange
from harness.upstreams.probes.fake import fault_in
from tests.thorough import examples

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\noffer"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
TO_THE_END = b"HTTP/1.0 200 OK\r\n\r\nas long as it lasts"
NO_BODY = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH
ANSWERS = (LENGTH, CHUNKED, TO_THE_END, NO_BODY, CONTINUED)


def exchange(*pieces: bytes, method: str = "GET") -> HttpExchange:
    found = HttpExchange(method, "/offers", {"Host": "localhost", "Connection": "close"})
    for piece in pieces:
        found.feed(piece)
    return found


def seen(found: HttpExchange) -> tuple[object, ...]:
    return (
        found.status,
        bytes(found.body),
        found.ended,
        found.is_http,
        found.has_head,
        found.received,
        found.body_bytes,
        fault_in(found),
    )


def test_the_request_is_what_was_asked_for() -> None:
    fields = {"Host": "h:1", "X-Mine": " ü ", "Connection": "close"}
    sent = HttpExchange("HEAD", "/x?y=1", fields).request
    assert sent == "HEAD /x?y=1 HTTP/1.1\r\nHost: h:1\r\nX-Mine: ü\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/ü", {}),
        ("/", {"Bad Name": "x"}),
        ("/", {"X": "s3cret\r\nY: z"}),
        ("/", {"X": "s3cret\x00"}),
        ("/", {"Content-Length": "5"}),
        ("/", {"Transfer-Encoding": "gzip"}),
    ],
)
def test_what_http_cannot_send_is_refused_without_a_word_of_it(target: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be sent") as caught:
        HttpExchange("GET", target, {"Host": "h", **headers})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("answer", "status", "body", "ended"),
    [
        (LENGTH, 200, b"offer", True),
        (LENGTH + b" and more", 200, b"offer", True),
        (LENGTH[:-1], 200, b"offe", False),
        (CHUNKED, 200, b"abcde", True),
        (CHUNKED[:-2], 200, b"abcde", False),
        (CHUNKED.replace(b"2\r\n", b"zz\r\n"), 200, b"abc", False),
        (TO_THE_END, 200, b"as long as it lasts", True),
        (NO_BODY, 204, b"", True),
        (CONTINUED, 200, b"offer", True),
        (b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", 503, b"", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", 200, b"a", True),
        (b"HTTP/1.1 429 Too Many\r\nRetry-Af", 429, b"", False),
        (b"HTTP/1.1 200 OK\r\nNo Name: x\r\n\r\n", 200, b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 200, b"", False),
        (b"HTTP/1.1 2000 OK\r\n\r\n", 0, b"", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 0, b"", False),
        (b"", 0, b"", False),
    ],
)
def test_an_answer_read_to_its_end_of_file(answer: bytes, status: int, body: bytes, ended: bool) -> None:
    found = exchange(answer, b"")
    assert (found.status, bytes(found.body), found.ended) == (status, body, ended)
    assert found.received == len(answer)


def test_an_answer_to_head_has_no_body() -> None:
    found = exchange(LENGTH[: -len(b"offer")], method="HEAD")
    assert found.ended and found.body == b""


@pytest.mark.parametrize(
    ("start", "is_http"),
    [
        (b"", True),
        (b"H", True),
        (b"HTTP/1.1 2", True),
        (b"HTTP/1.1 200 OK\r\nContent-Le", True),
        (b"hello\r\n", False),
        (b"SSH-2.0-OpenSSH_9.2", False),
        (b"\x15\x03\x01\x00\x02\x02\x16", False),
        (b"J\x00\x00\x00\n8.0.36", False),
        (b"HTTP/1.1 200 OK\r\nNo Name: x\r\n\r\n", False),
    ],
)
def test_what_cannot_become_an_answer_is_known_at_once(start: bytes, is_http: bool) -> None:
    assert exchange(start).is_http is is_http


def test_a_head_that_never_ends_is_bounded() -> None:
    piece = b"X: " + b"y" * 1_000 + b"\r\n"
    found = exchange(b"HTTP/1.1 200 OK\r\n", *([piece] * (HEAD_BYTES_MOST // len(piece) + 2)))
    assert found.is_damaged and not found.is_http


def test_what_follows_the_end_is_counted_and_nothing_more() -> None:
    found = exchange(LENGTH, LENGTH, b"", b"")
    assert (found.ended, bytes(found.body), found.received) == (True, b"offer", 2 * len(LENGTH))


@pytest.mark.thorough
@settings(deadline=None, derandomize=True, max_examples=examples(300))
@given(
    answer=st.sampled_from([*ANSWERS, b"hello\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16"]),
    cut=st.integers(0, 200),
    sizes=st.lists(st.integers(1, 40), min_size=1),
)
def test_it_matters_not_in_what_pieces_it_comes(answer: bytes, cut: int, sizes: list[int]) -> None:
    answer = answer[:cut]
    pieces: list[bytes] = []
    at = 0
    while at < len(answer):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(answer[at : at + size])
        at += size
    assert seen(exchange(*pieces)) == seen(exchange(answer))
    assert seen(exchange(*pieces, b"")) == seen(exchange(answer, b""))


@pytest.mark.thorough
@settings(deadline=None, derandomize=True, max_examples=examples(300))
@given(answer=st.binary(max_size=200), head=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:47], b"HTTP/1.1 "]))
def test_any_bytes_can_be_an_answer(answer: bytes, head: bytes) -> None:
    found = exchange(head + answer, b"")
    assert isinstance(fault_in(found), str)


@pytest.mark.parametrize("answer", ANSWERS, ids=["length", "chunked", "to-the-end", "no-body", "continued"])
def test_a_canary_is_well_only_if_nothing_is_missing(answer: bytes) -> None:
    ends_with_the_head = answer in (TO_THE_END, NO_BODY)
    head_bytes = answer.rindex(b"\r\n\r\n" if answer is not CHUNKED else b"\r\n\r\n3;x") + 4
    for size in range(len(answer) + 1):
        is_well = size == len(answer) or (ends_with_the_head and size >= head_bytes)
        assert (fault_in(exchange(answer[:size])) == "") is is_well, answer[:size]


def test_the_parser_is_imported_with_the_first_request_only() -> None:
    program = "import sys, harness.stack.processes.probe, harness.stack.monitor.canary; print('h11' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
