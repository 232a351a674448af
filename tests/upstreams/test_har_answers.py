"""Answers of a HAR recording: which headers a fake can send again, and whether the body is what was received."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from harness.upstreams.routes.har.answers import BODY_BYTES_MOST, HEADER_MOST
from harness.upstreams.routes.templates import parse_template
from tests.upstreams.har_files import answer_of, entry, mitmproxy_entry, read, refused


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "Content-Encoding", "Content-Length", "Set-Cookie", "Date", ":status", "x-hop", "alt-svc",
    ],
)  # fmt: skip
def test_headers_of_the_connection_and_the_encoding_are_left_out(tmp_path: Path, name: str) -> None:
    headers = [("Content-Type", "text/plain"), (name, "v"), (name.upper(), "w"), ("Connection", "close, X-Hop")]
    assert answer_of(tmp_path, entry(headers=headers)).headers == (("Content-Type", "text/plain"),)


def test_other_headers_stay_in_order_and_as_often_as_they_came(tmp_path: Path) -> None:
    headers = [("ETag", '"1"'), ("Vary", "a"), ("content-type", "a/b"), ("Vary", "b"), ("WWW-Authenticate", "Basic")]
    assert answer_of(tmp_path, entry(headers=headers)).headers == tuple(headers)


def test_a_browser_joins_headers_with_line_breaks(tmp_path: Path) -> None:
    recorded = entry(headers=[("vary", "a\r\nb"), ("content-type", "a/b")])
    assert answer_of(tmp_path, recorded).headers == (("vary", "a"), ("vary", "b"), ("content-type", "a/b"))


def test_a_header_that_cannot_be_sent_is_left_out_and_counted(tmp_path: Path) -> None:
    headers = [("x y", "v"), ("", "v"), ("x", "日本"), ("y", "a\x00b"), ("z", "v" * (HEADER_MOST + 1)), ("ok", "é")]
    found = read(tmp_path, entry(headers=headers, mimeType="x-unknown"))
    assert found.routes[0].answers[0].headers == (("ok", "é"),)
    assert found.notes == ("5 headers were left out because HTTP/1.1 cannot carry them",)


def test_braces_in_a_header_are_no_template(tmp_path: Path) -> None:
    (x, _) = answer_of(tmp_path, entry(headers=[("x", '{"seq": "{seq}"}'), ("content-type", "a/b")])).headers
    assert parse_template(x[1]) == ('{"seq": "{seq}"}',)


def test_the_content_type_of_the_recording_is_used_where_the_headers_have_none(tmp_path: Path) -> None:
    assert answer_of(tmp_path, entry(headers=[], mimeType="text/csv")).headers == (("Content-Type", "text/csv"),)
    assert answer_of(tmp_path, entry(headers=[], mimeType="x-unknown")).headers == ()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("text/html; charset=ISO-8859-1", "text/html; charset=utf-8"),
        ('text/html;charset="Shift_JIS"; q=1', "text/html;charset=utf-8; q=1"),
        ("text/html", "text/html"),
    ],
)
def test_text_is_sent_as_utf_8_and_says_so(tmp_path: Path, given: str, sent: str) -> None:
    answer = answer_of(tmp_path, entry(text="żółć", headers=[("Content-Type", given)]))
    assert (answer.data, answer.headers) == ("żółć".encode(), (("Content-Type", sent),))


def test_bytes_keep_their_charset(tmp_path: Path) -> None:
    recorded = mitmproxy_entry(body="é".encode("latin-1"), media_type="text/plain; charset=latin-1")
    answer = answer_of(tmp_path, recorded)
    assert (answer.data, answer.headers) == (b"\xe9", (("Content-Type", "text/plain; charset=latin-1"),))


@pytest.mark.parametrize("text", ['{"a": 1.10,\n "b": 1e3}', "[1, 2", "plain {text}", "[INFO] started", "\ufeff{}"])
def test_a_body_without_secrets_is_not_changed_by_a_byte(tmp_path: Path, text: str) -> None:
    assert answer_of(tmp_path, entry(text=text)).data == text.encode()
    encoded = base64.encodebytes(text.encode()).decode()
    assert answer_of(tmp_path, entry(text=encoded, encoding="base64")).data == text.encode()


def test_a_body_that_cannot_be_decoded_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, entry(), entry(text="!no base64!", encoding="base64"))
    assert found.routes[0].recorded == 1
    assert found.notes == ("1 exchange is left out: their bodies cannot be decoded",)


@pytest.mark.parametrize("text", ["[" * 100_000, f'{{"a": {"9" * 5_000}}}'])
def test_json_that_cannot_be_searched_for_secrets_is_left_out(tmp_path: Path, text: str) -> None:
    assert "cannot be decoded" in read(tmp_path, entry(), entry(text=text)).notes[0]


def test_json_bytes_in_no_known_charset_are_left_out(tmp_path: Path) -> None:
    recorded = mitmproxy_entry(body=b'{"token": "\xff"}', media_type="application/json; charset=nonsense")
    assert "cannot be decoded" in read(tmp_path, entry(), recorded).notes[0]


def test_the_largest_body(tmp_path: Path) -> None:
    text = "x" * BODY_BYTES_MOST
    assert answer_of(tmp_path, entry(text=text)).data == text.encode()
    for large in (entry(text=f"{text}x"), entry(text="é" + text[1:])):
        assert "more than 5 MB" in refused(tmp_path, large).message
    encoded = base64.b64encode(b"\xff" * (BODY_BYTES_MOST + 1)).decode()
    assert "more than 5 MB" in refused(tmp_path, entry(text=encoded, encoding="base64")).message


def test_a_query_without_end_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, entry(), entry("https://api.example.com/q?" + "a&" * 2_000))
    assert found.notes == ("1 exchange is left out: their queries have more than 1,000 parts",)


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("https://api.example.com/login?next=1#top", "/login?next=1#top"),
        ("https://API.example.com:443", "/"),
        ("//api.example.com/x", "/x"),
        ("/x", "/x"),
        ("https://elsewhere.example.org/x", "https://elsewhere.example.org/x"),
        ("http://api.example.com:8080/x", "http://api.example.com:8080/x"),
        ("http://[::1/x", "http://[::1/x"),
    ],
)
def test_a_redirect_to_the_recorded_host_leads_to_the_fake(tmp_path: Path, location: str, sent: str) -> None:
    recorded = entry(text="moved", status=302, headers=[("Location", location), ("Content-Type", "text/plain")])
    assert answer_of(tmp_path, recorded).headers[0] == ("Location", sent)


@pytest.mark.parametrize("link", ["https://api.example.com/p/2", r"https:\/\/api.example.com\/p\/2"])
def test_links_out_of_the_fake_are_said(tmp_path: Path, link: str) -> None:
    found = read(tmp_path, entry(text=f'{{"next": "{link}"}}'))
    assert "the body of an answer links to the recorded host" in found.notes[0]
    assert json.loads(found.routes[0].answers[0].data or b"")["next"].startswith("https://api.example.com")
