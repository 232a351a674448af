"""Secrets in every spelling that programs print, found and taken out; nothing else touched."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.secrets.redact import WITHIN_S, redact, redact_beginning, redact_files
from harness.text import one_line

SECRETS = (
    "s3cret-word",
    "p@ss/w:rd +%&?=#",
    "quo\"te's\\and<tags>&",
    "[a-z]+(.*)$^{2}|x",
    "ümläut-日本語",
    "tab\tand-more-of-it\nline-break-inside",
    "ends-in-a-break\n",
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhki\nG9w0BAQEFAASCBKcwggSj\n-----END KEY-----",
    "x" * 200,
)


def _in_user_pair(secret: str) -> str:
    return base64.b64encode(f"user:{secret}".encode()).decode()


SPELLED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "stripped": str.strip,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a path": quote,
    "in a query": quote_plus,
    "in a form": lambda secret: urlencode({"a": secret}),
    "in small hex": lambda secret: re.sub("%..", lambda hexed: hexed[0].lower(), quote(secret, safe="")),
    "quoted twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "in JSON": json.dumps,
    "in JSON of other letters": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in a Python literal": repr,
    "in a shell": shlex.quote,
    "in HTML": html.escape,
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in Basic authentication": _in_user_pair,
    "after two letters": lambda secret: base64.b64encode(f"ab{secret}".encode()).decode(),
    "in the middle of base64": lambda secret: base64.urlsafe_b64encode(f"a{secret}bc".encode()).decode(),
    "made legible": one_line,
    "line by line": lambda secret: "\n".join(f"> {line}" for line in secret.splitlines()),
}


@pytest.mark.parametrize("secret", SECRETS, ids=[repr(secret)[:20] for secret in SECRETS])
@pytest.mark.parametrize("spelled", SPELLED.values(), ids=SPELLED.keys())
def test_it_is_found_in_each_spelling(secret: str, spelled: Callable[[str], str], tmp_path: Path) -> None:
    text = f"before {spelled(secret)} after\n"
    log = tmp_path / "sut.log"
    log.write_text(text, encoding="utf-8")
    redact_files([log], {secret})
    in_file, in_text = log.read_text(encoding="utf-8"), redact(text, {secret})
    assert log.stat().st_size == len(text.encode())
    for left in (in_file, in_text):
        assert left.startswith("before ")
        assert left.endswith("after\n")
        # what a spelling puts around it may stay, and the ends of base64, which hold bits of the neighbours
        pieces = {spelled(secret)[at : at + 10] for at in range(max(1, len(spelled(secret)) - 9))}
        assert not {piece for piece in pieces if piece in left}


def test_the_longer_secret_goes_first(tmp_path: Path) -> None:
    secrets = {"abcdef", "abcdef123456"}
    assert redact("abcdef123456 abcdef", secrets) == "*** ***"
    log = tmp_path / "x.log"
    log.write_bytes(b"abcdef123456 abcdef")
    redact_files([log], secrets)
    assert log.read_bytes() == b"************ ******"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("pin 1234, port 12345, a1234b", "pin ***, port 12345, a1234b"),
        ("https://app:1234@db", "https://app:***@db"),
    ],
)
def test_a_short_secret_is_found_as_a_word_of_its_own(text: str, left: str, tmp_path: Path) -> None:
    assert redact(text, {"1234"}) == left
    log = tmp_path / "x.log"
    log.write_text(text)
    redact_files([log], {"1234"})
    assert log.read_text() == left.replace("***", "****")


@pytest.mark.parametrize("length", range(4, 11))
def test_what_is_left_of_a_secret_where_a_text_was_cut_goes_too(length: int) -> None:
    cut = f"Bearer {'s3cret-word'[:length]}… (cut, 9,000 characters)"
    assert redact(cut, {"s3cret-word"}) == "Bearer ***… (cut, 9,000 characters)"


def test_a_secret_across_two_reads_of_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.secrets.redact._CHUNK_BYTES", 16)
    secret = "s3cret-word"
    for before in range(40):
        log = tmp_path / f"{before}.log"
        text = f"{'.' * before}{secret}{'.' * 30} 1234"
        log.write_text(text)
        redact_files([log], {secret, "1234"})
        assert log.read_text() == text.replace(secret, "*" * len(secret)).replace("1234", "****")


def test_a_log_without_secrets_is_not_touched(tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    log.write_bytes(b"connecting\n\xff\n")
    before = log.stat().st_mtime_ns
    redact_files([log, tmp_path / "missing.log"], {"nowhere-in-it"})
    assert log.stat().st_mtime_ns == before


def test_what_is_no_plain_file_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("s3cret-word")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "link.log").symlink_to(outside)
    (logs / "folder.log").mkdir()
    os.mkfifo(logs / "pipe.log")
    redact_files(sorted(logs.iterdir()), {"s3cret-word"})
    assert outside.read_text() == "s3cret-word", "a link that a service made leads us nowhere"


def test_what_cannot_be_looked_through_in_time_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.secrets.redact._CHUNK_BYTES", 1_000)
    log = tmp_path / "sut.log"
    log.write_bytes((b"." * 989 + b"s3cret-word") * 50)
    ticks = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    redact_files([log], {"s3cret-word"}, within_s=9.0)
    left = log.read_bytes()
    assert b"s3cret" not in left
    assert left.startswith(b"." * 989 + b"*" * 11)
    assert left.endswith(b"[cut here by tailgate: 41000 more bytes could not be searched for secrets in time]\n")
    size = log.stat().st_size
    redact_files([log], ())
    assert log.stat().st_size == size, "without secrets a log is kept whole, however long"


def test_a_hundred_megabytes_take_no_memory_and_little_time(tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    line = b"2026-01-01 GET /v1/offers answered 200 in 31 ms with token s3cret-word and more\n"
    with log.open("wb") as file:
        for _ in range(100):
            file.write(line * (1_000_000 // len(line)))
    begin_s = time.process_time()
    redact_files([log], {"s3cret-word"}, within_s=60.0)
    assert time.process_time() - begin_s < WITHIN_S
    with log.open("rb") as file:
        assert not any(b"s3cret" in line for line in file)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    secret=st.text(min_size=6, max_size=20).filter(lambda text: len(text.strip()) >= 6),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_no_secret_stays_whatever_it_is_made_of(secret: str, before: str, after: str) -> None:
    assert secret not in redact(f"{before}{secret}{after}", {secret}) or "*" in secret


@pytest.mark.parametrize("secret", SECRETS)
def test_a_beginning_holds_not_even_half_of_one(secret: str) -> None:
    content = b"a" * 10 + secret.encode() + b"z" * 50
    for most in range(len(content) + 10):
        kept = redact_beginning(content, (secret,), most)
        assert len(kept) == min(most, len(content))
        assert set(kept[10 : 10 + len(secret.encode())]) <= set(b"*")
    assert redact_beginning(content, (), 20) == content[:20]
