from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from harness.text import sanitize
from reports.redacted import redacted, redacted_document, shown


def test_hidden_characters_are_spelled_out() -> None:
    assert sanitize("a\x00b\x1b[31m\u202ec\ud800") == "a\\x00b\\x1b[31m\\u202ec\\ud800"
    assert sanitize("tab\tand\nnewline, ümlaut, 日本") == "tab\tand\nnewline, ümlaut, 日本"


@given(st.text())
def test_whatever_comes_in_can_be_written_as_xml_and_utf8(text: str) -> None:
    out = sanitize(text)
    assert all(char in "\t\n" or ord(char) >= 0x20 for char in out)
    out.encode("utf-8")


def test_secrets_are_masked_wherever_they_stand() -> None:
    assert redacted("postgres://app:hunter2@db:5432/app") == "postgres://app:•••@db:5432/app"
    assert redacted("Authorization: Bearer abcdef123456") == "Authorization: Bearer •••"
    assert redacted("GET /x?api_key=s3cret&page=2") == "GET /x?api_key=•••&page=2"


def test_an_unexpanded_variable_is_no_secret() -> None:
    assert redacted("postgres://app:${PG_PASS}@db/app") == "postgres://app:${PG_PASS}@db/app"
    assert redacted_document({"API_TOKEN": "${TOKEN}"}) == {"API_TOKEN": "${TOKEN}"}


def test_values_under_secret_looking_keys_are_masked_at_any_depth() -> None:
    document = {"env": {"DB_PASSWORD": "x", "HOME": "/root"}, "headers": [{"Authorization": "Basic Zm9v"}]}
    assert redacted_document(document) == {
        "env": {"DB_PASSWORD": "•••", "HOME": "/root"},
        "headers": [{"Authorization": "•••"}],
    }


@given(st.text(alphabet=string.ascii_letters + " /.:-"))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert shown(text) == text or "bearer" in text.lower() or "basic" in text.lower()
