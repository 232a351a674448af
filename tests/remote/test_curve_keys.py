from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.remote.curve_keys import TOKEN_LEAST, TOKEN_MOST, CurveKeys, read_keys
from tests.remote.remote_world import make_token


def test_both_sides_derive_the_same_keys_and_another_token_others(tmp_path: Path) -> None:
    one = read_keys(make_token(tmp_path / "one", "a" * TOKEN_LEAST))
    with_line_end = read_keys(make_token(tmp_path / "again", "a" * TOKEN_LEAST + "\n"))
    assert one == with_line_end
    other = read_keys(make_token(tmp_path / "other", "b" * TOKEN_LEAST))
    keys = [one.master_public, one.master_secret, one.worker_public, one.worker_secret]
    assert len({*keys, other.master_public, other.master_secret, other.worker_public, other.worker_secret}) == 8
    assert {len(key) for key in keys} == {40}


def test_no_key_is_shown() -> None:
    keys = CurveKeys.of(b"0123456789abcdef")
    assert keys.master_secret.decode() not in repr(keys)


@pytest.mark.parametrize("token", ["", "short", "x" * (TOKEN_MOST + 1)])
def test_a_token_that_is_too_short_or_too_long_is_refused(tmp_path: Path, token: str) -> None:
    path = tmp_path / "token"
    path.write_text(token)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=r"bytes; it must have 16 to 4096"):
        read_keys(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = make_token(tmp_path / "token")
    path.chmod(mode)
    with pytest.raises(UsageError) as refused:
        read_keys(path)
    assert refused.value.fix == f"chmod 600 {path}"


def test_a_token_file_that_is_not_there_is_named_with_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file") as refused:
        read_keys(tmp_path / "none")
    assert "head -c 32 /dev/urandom" in refused.value.fix
    with pytest.raises(UsageError) as copied:
        read_keys(tmp_path / "none", of_the_run=False)
    assert copied.value.fix == "copy the token file of `tailgate run --token-file` to this machine"
