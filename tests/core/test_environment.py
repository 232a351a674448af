"""`${VAR}`: filled in at start, redacted afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.environment import Expander, redact, redact_file
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${PG_PASS}", "s3cret-word"),
        ("postgres://app:${PG_PASS}@db/${NAME:-app}", "postgres://app:s3cret-word@db/app"),
        ("${EMPTY:-default}", "default"),
        ("[${EMPTY}]", "[]"),
        ("$PG_PASS $${", "$PG_PASS $${"),
    ],
)
def test_references_are_filled_in(text: str, expected: str) -> None:
    assert Expander({"PG_PASS": "s3cret-word", "EMPTY": ""})(text) == expected


def test_a_variable_that_is_not_set_is_named_with_its_way_out() -> None:
    with pytest.raises(UsageError, match=r"\$\{PG_PASS\}, which is not set") as caught:
        Expander({})("${PG_PASS}")
    assert "export PG_PASS" in caught.value.fix


def test_only_values_from_the_environment_that_can_be_secrets_are_remembered() -> None:
    expand = Expander({"TOKEN": "abcdef123", "PORT": "8080"})
    expand("${TOKEN} ${PORT} ${OTHER:-not-secret}")
    assert expand.secrets == {"abcdef123"}


def test_the_longer_secret_goes_first() -> None:
    assert redact("abcdef123456 abcdef", {"abcdef", "abcdef123456"}) == "*** ***"


def test_a_log_is_rewritten_only_where_it_must_be(tmp_path: Path) -> None:
    log = tmp_path / "sut.log"
    log.write_bytes(b"connecting with s3cret-word\n\xff\n")
    redact_file(log, {"s3cret-word"})
    assert log.read_bytes() == b"connecting with ***\n\xff\n"
    before = log.stat().st_mtime_ns
    redact_file(log, {"nowhere-in-it"})
    redact_file(tmp_path / "missing.log", {"s3cret-word"})
    assert log.stat().st_mtime_ns == before
